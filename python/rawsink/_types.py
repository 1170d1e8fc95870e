"""The names of partitions, and the values of one partition."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from . import _rawsink

Day = datetime.date | str
"""A reporting day: a date, or text such as ``2024-06-01``."""

Status = Literal["pending", "success", "failed"]


def iso(day: Day) -> str:
    """Return a day as ISO text."""
    if isinstance(day, datetime.datetime):
        raise TypeError("a reporting day is a date, not a time: pass datetime.date or ISO text")
    return day.isoformat() if isinstance(day, datetime.date) else day


def new_run_id(*, at: datetime.datetime | None = None) -> str:
    """Return a run id for this moment, or for a time with a zone.

    The same time gives the same id: with the start that a scheduler keeps for a job, each retry has the same run.

    Raises :class:`Invalid` for a time without a zone.
    """
    return _rawsink.new_run_id(None if at is None else at.isoformat())


@dataclass(frozen=True, order=True)
class PartitionKey:
    """The name of a logical partition. The names are checked when it is created.

    Raises :class:`Invalid` for an illegal name.
    """

    source: str
    customer_id: str
    query_name: str
    logical_date: str

    def __init__(
        self, source: str, customer_id: str, query_name: str, logical_date: Day
    ) -> None:
        day = iso(logical_date)
        _rawsink.check_key(source, customer_id, query_name, day)
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "customer_id", customer_id)
        object.__setattr__(self, "query_name", query_name)
        object.__setattr__(self, "logical_date", day)

    @property
    def date(self) -> datetime.date:
        """The reporting day."""
        return datetime.date.fromisoformat(self.logical_date)

    @property
    def path(self) -> str:
        """The canonical path, below the root."""
        return _rawsink.check_key(
            self.source, self.customer_id, self.query_name, self.logical_date
        )

    @classmethod
    def parse(cls, path: str, root: str = "") -> PartitionKey:
        """Return the partition that a canonical path names. It may name a run too."""
        source, customer_id, query_name, logical_date, _ = _rawsink.parse_path(path, root)
        if source and customer_id and query_name and logical_date:
            return cls(source, customer_id, query_name, logical_date)
        raise ValueError(f"{path!r} does not name a partition")

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class Seal:
    """The block ``_seal`` of ``metadata.json``."""

    format: int
    writer: str
    payload_bytes: int
    payload_sha256: str
    record_count: int
    software: str


@dataclass(frozen=True)
class Sealed:
    """A partition that a writer sealed."""

    writer: str
    payload_bytes: int
    payload_sha256: str
    record_count: int


@dataclass(frozen=True)
class PayloadSummary:
    """A payload that was read to its end and that matches its seal."""

    payload_bytes: int
    payload_sha256: str
    record_count: int


@dataclass(frozen=True)
class Run:
    """A run that has a payload or a seal."""

    run_id: str
    sealed: bool
    payload_bytes: int | None


@dataclass(frozen=True)
class Reject:
    """A row that was refused."""

    line: int
    """Its line, from 1."""
    reason: str
    text: bytes
    """The row, as far as it is text."""


def key_of(names: Iterable[str]) -> PartitionKey:
    """Return a key from its names."""
    source, customer_id, query_name, logical_date = names
    return PartitionKey(source, customer_id, query_name, logical_date)
