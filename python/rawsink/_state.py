"""The state: which run has authority."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TypeGuard

from . import _rawsink
from ._errors import corrupt
from ._types import Day, PartitionKey, Status, iso

if TYPE_CHECKING:
    from ._results import LogEntry, Record

Choice = tuple["str | None", "str | None", "str | None", "str | None", "str | None"]


def choice(
    source: str | None,
    customer_id: str | None,
    query_name: str | None,
    since: Day | None,
    until: Day | None,
) -> Choice:
    """Return a selection for the native part."""
    days = [None if day is None else iso(day) for day in (since, until)]
    return source, customer_id, query_name, days[0], days[1]


def is_url(state: str | os.PathLike[str]) -> TypeGuard[str]:
    """Return whether a state is named by a URL, not by the path of an SQLite file."""
    return isinstance(state, str) and ("://" in state or state.startswith("sqlite:"))


# Inside the class, `list` is its method.
Records = list["Record"]
Entries = list["LogEntry"]


class State:
    """``PartitionState`` and its verdict log.

    Only a validation, and these explicit commands of an operator, change it.
    """

    def __init__(self, native: _rawsink.State) -> None:
        self._native = native

    @classmethod
    def open(cls, url: str | os.PathLike[str]) -> State:
        """Open a state by its URL, as in ``RAW_SINK_STATE_URL``, or the path of an SQLite file."""
        if is_url(url):
            return cls(_rawsink.State.open(url))
        return cls(_rawsink.State.open_file(url))

    def init(self) -> None:
        """Create the tables if they do not exist."""
        self._native.init()

    def get(self, key: PartitionKey) -> Record | None:
        """Return the record of a partition; ``None`` means pending."""
        text = self._native.get(key)
        return None if text is None else _record(text)

    def list(
        self,
        *,
        status: Status | None = None,
        source: str | None = None,
        customer_id: str | None = None,
        query_name: str | None = None,
        since: Day | None = None,
        until: Day | None = None,
    ) -> Records:
        """Return the records of a selection, sorted by key.

        Raises :class:`Corrupt` if a record is malformed.
        """
        selected = choice(source, customer_id, query_name, since, until)
        texts, faults = self._native.list(selected, status)
        if faults:
            raise corrupt("; ".join(faults))
        return [_record(text) for text in texts]

    def history(self, key: PartitionKey) -> Entries:
        """Return the verdict log of a partition, oldest first."""
        from ._results import log_entry_of

        return [log_entry_of(entry) for entry in json.loads(self._native.history(key))]

    def retry(
        self,
        *,
        source: str | None = None,
        customer_id: str | None = None,
        query_name: str | None = None,
        since: Day | None = None,
        until: Day | None = None,
        marked: bool = False,
    ) -> int:
        """Set the failed records of a selection back to pending and return their number.

        Records whose message starts with a mark of other software, such as ``[terminal]``, are
        kept unless ``marked`` is true.
        """
        selected = choice(source, customer_id, query_name, since, until)
        return self._native.retry(selected, marked)

    def withdraw(self, key: PartitionKey, run_id: str, *, reason: str) -> Record | None:
        """Withdraw a run, so that no consumer reads it. Return the record after it.

        If the run has authority, the newest other run that passed gets it, or none. Returns
        ``None`` if the run was withdrawn before. Nothing is deleted.
        """
        text = self._native.withdraw(key, run_id, reason)
        return None if text is None else _record(text)

    def restore(self, key: PartitionKey, run_id: str) -> Record | None:
        """End the withdrawal of a run. It is due then: validate it."""
        text = self._native.restore(key, run_id)
        return None if text is None else _record(text)


def _record(text: str) -> Record:
    from ._results import record_of

    return record_of(json.loads(text))
