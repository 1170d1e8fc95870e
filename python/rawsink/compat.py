"""The classes of a Python project that stores raw partitions itself: change the import, keep the code.

::

    from rawsink.compat import create_raw_sink, PartitionKey, RunContext

Names, arguments and results are those of the existing project. What differs: a row or metadata
without JSON text is refused, a sealed run never changes, and consumers can detect changed bytes.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import rawsink

from . import _rawsink
from ._errors import corrupt
from ._state import choice, is_url
from ._results import Record, record_of, validation_of
from ._types import Day, PartitionKey, iso

__all__ = [
    "LocalFilesystemRawSink",
    "ObjectStorageRawSink",
    "PartitionKey",
    "PartitionReader",
    "PartitionState",
    "PartitionStateRepository",
    "PartitionWriter",
    "RawPartitionValidator",
    "RawSink",
    "RunContext",
    "S3Config",
    "StateRepository",
    "create_raw_sink",
]


@dataclass(frozen=True)
class RunContext:
    """One pipeline execution."""

    run_id: str

    @classmethod
    def create(cls) -> RunContext:
        """Start an execution, now."""
        return cls(rawsink.new_run_id())


@runtime_checkable
class PartitionWriter(Protocol):
    """Appends rows, then seals the partition."""

    def write_payload_row(self, row: Mapping[str, Any]) -> None:
        """Append one row."""

    def finalize(self, metadata: Mapping[str, Any]) -> None:
        """Seal the partition."""


@runtime_checkable
class PartitionReader(Protocol):
    """Reads a sealed partition."""

    def iter_payload_rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows in the order in which they were written."""
        ...

    def read_metadata(self) -> dict[str, Any]:
        """Return the metadata."""
        ...


@runtime_checkable
class RawSink(Protocol):
    """Where partitions are written and read."""

    def write_partition(self, partition_key: PartitionKey, run_id: str) -> PartitionWriter:
        """Start writing a partition."""
        ...

    def open_partition(self, partition_key: PartitionKey, run_id: str) -> PartitionReader:
        """Open a sealed partition."""
        ...

    def list_partitions(self, partition_key: PartitionKey) -> list[str]:
        """Return the run ids, sorted."""
        ...


class StateRepository(Protocol):
    """Where records are stored, by this package or by other software."""

    def get_partition_state(
        self, source: str, customer_id: str, query_name: str, logical_date: datetime.date, /
    ) -> PartitionState | None:
        """Return the record of a partition; ``None`` if there is none."""
        ...

    def upsert_partition_state(self, state: PartitionState, /) -> None:
        """Store a record."""


class _Writer:
    """A writer that aborts when it is dropped."""

    def __init__(self, writer: rawsink.PartitionWriter) -> None:
        self._writer = writer

    def write_payload_row(self, row: Mapping[str, Any]) -> None:
        """Append one row."""
        is_plain = isinstance(row, dict) or not isinstance(row, Mapping)
        self._writer.write_payload_row(row if is_plain else dict(row))

    def finalize(self, metadata: Mapping[str, Any]) -> None:
        """Seal the partition."""
        self._writer.finalize(metadata)

    def abort(self) -> None:
        """Abort the attempt."""
        self._writer.abort()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *raised: object) -> None:
        self._writer.abort()


class _Reader:
    """A reader that may be started again and left at any row."""

    def __init__(self, reader: rawsink.PartitionReader) -> None:
        self._reader = reader

    def iter_payload_rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows in the order in which they were written."""
        return self._reader.rows()

    def read_metadata(self) -> dict[str, Any]:
        """Return the metadata, exactly as it was given."""
        return self._reader.read_metadata()


class _Sink:
    """A sink of this package, with the names of the existing project."""

    def __init__(self, sink: rawsink.RawSink) -> None:
        self._sink = sink

    def write_partition(self, partition_key: PartitionKey, run_id: str) -> _Writer:
        """Start writing a partition. Raises ``FileExistsError`` if the run is sealed."""
        return _Writer(self._sink.write_partition(partition_key, run_id))

    def open_partition(self, partition_key: PartitionKey, run_id: str) -> _Reader:
        """Open a sealed partition. Raises ``FileNotFoundError`` if it does not exist."""
        return _Reader(self._sink.open_partition(partition_key, run_id))

    def list_partitions(self, partition_key: PartitionKey) -> list[str]:
        """Return the run ids, sorted."""
        return self._sink.list_partitions(partition_key)


class LocalFilesystemRawSink(_Sink):
    """Partitions in a directory. The directory is created with its parents by the first write."""

    def __init__(self, root: str | os.PathLike[str] = "data/raw") -> None:
        self.root = Path(root)
        settings = {"RAW_SINK": "filesystem", "RAW_SINK_ROOT": os.fspath(self.root)}
        native = _rawsink.Sink.from_settings(settings, lenient=True)
        super().__init__(rawsink.RawSink(native))


@dataclass(frozen=True)
class S3Config:
    """A bucket. The environment (``RAW_SINK_ENDPOINT_URL``, ...) replaces each ``None``."""

    bucket: str
    prefix: str
    endpoint_url: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)


class ObjectStorageRawSink(_Sink):
    """Partitions in a bucket."""

    def __init__(self, config: S3Config) -> None:
        self.bucket = config.bucket
        self.prefix = config.prefix
        given = {
            "RAW_SINK": "object",
            "RAW_SINK_BUCKET": config.bucket,
            "RAW_SINK_PREFIX": config.prefix,
            "RAW_SINK_ENDPOINT_URL": config.endpoint_url,
            "RAW_SINK_REGION": config.region,
            "RAW_SINK_ACCESS_KEY_ID": config.access_key,
            "RAW_SINK_SECRET_ACCESS_KEY": config.secret_key,
        }
        settings = _environment()
        for name, value in given.items():
            if value is not None:
                settings.pop(f"{name}_FILE", None)
                settings[name] = value
        super().__init__(rawsink.RawSink(_rawsink.Sink.from_settings(settings)))


def _environment() -> dict[str, str]:
    known = set(_rawsink.variables())
    known |= {f"{name}_FILE" for name in known}
    return {name: value for name, value in os.environ.items() if name in known}


def create_raw_sink() -> LocalFilesystemRawSink | ObjectStorageRawSink:
    """Return the sink that the environment selects now: ``RAW_SINK``, ``RAW_SINK_ROOT``, ...

    Raises ``ValueError`` that names each variable which is missing or wrong.
    """
    settings = _environment()
    kind = settings.get("RAW_SINK", "filesystem").strip().lower()
    settings["RAW_SINK"] = kind
    native = _rawsink.Sink.from_settings(settings, lenient=True)
    sink = rawsink.RawSink(native)
    made: LocalFilesystemRawSink | ObjectStorageRawSink
    if kind == "object":
        made = ObjectStorageRawSink.__new__(ObjectStorageRawSink)
        made.bucket = settings["RAW_SINK_BUCKET"]
        made.prefix = native.root
    else:
        made = LocalFilesystemRawSink.__new__(LocalFilesystemRawSink)
        made.root = Path(native.root)
    _Sink.__init__(made, sink)
    return made


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


@dataclass
class PartitionState:
    """The record of one logical partition."""

    source: str
    customer_id: str
    query_name: str
    logical_date: datetime.date
    status: str = "pending"
    current_run_id: str | None = None
    schema_version: str | None = None
    record_count: int | None = None
    updated_at: datetime.datetime = field(default_factory=_now)
    error_message: str | None = None
    attempt_count: int = 0

    @property
    def partition_key(self) -> PartitionKey:
        """The logical partition."""
        return PartitionKey(
            self.source, self.customer_id, self.query_name, iso(self.logical_date)
        )


def _state_of(record: Record) -> PartitionState:
    key = record.key
    return PartitionState(
        key.source,
        key.customer_id,
        key.query_name,
        key.date,
        record.status,
        record.current_run_id,
        record.schema_version,
        record.record_count,
        record.updated_at or datetime.datetime.fromtimestamp(0, datetime.timezone.utc),
        record.error_message,
        record.attempt_count,
    )


def _json_of(state: PartitionState) -> str:
    moment = state.updated_at
    if moment.tzinfo is None:
        raise ValueError("updated_at has no time zone")
    moment = moment.astimezone(datetime.timezone.utc)
    return json.dumps(
        {
            "status": state.status,
            "current_run_id": state.current_run_id,
            "schema_version": state.schema_version,
            "record_count": state.record_count,
            "updated_at": moment.isoformat().replace("+00:00", "Z"),
            "error_message": state.error_message,
            "attempt_count": state.attempt_count,
        }
    )


class PartitionStateRepository:
    """The table ``partition_state``, in an SQLite file or by the URL of a state."""

    def __init__(self, db_path: str | os.PathLike[str] = "data/state_store.db") -> None:
        self.db_path = db_path
        if is_url(db_path):
            self._native = _rawsink.State.open(db_path)
        else:
            self._native = _rawsink.State.open_file(db_path)

    def ensure_schema(self) -> None:
        """Create the table if it does not exist."""
        if not is_url(self.db_path):
            Path(self.db_path).absolute().parent.mkdir(parents=True, exist_ok=True)
        self._native.init()

    def get_partition_state(
        self,
        source: str | PartitionKey,
        customer_id: str | None = None,
        query_name: str | None = None,
        logical_date: Day | None = None,
    ) -> PartitionState | None:
        """Return the record of a partition, named by a key or its four parts; ``None`` if there is none."""
        if isinstance(source, str):
            if customer_id is None or query_name is None or logical_date is None:
                raise TypeError("pass a PartitionKey, or all four parts of one")
            source = PartitionKey(source, customer_id, query_name, logical_date)
        text = self._native.get(source)
        return None if text is None else _state_of(record_of(json.loads(text)))

    def list_partition_states(
        self,
        status: str | None = None,
        customer_id: str | None = None,
        query_name: str | None = None,
        since: Day | None = None,
        until: Day | None = None,
        limit: int | None = None,
    ) -> list[PartitionState]:
        """Return the records of a selection, the newest day first."""
        if limit is not None and limit < 0:
            raise ValueError("limit is negative")
        selected = choice(None, customer_id, query_name, since, until)
        texts, faults = self._native.list(selected, status)
        if faults:
            raise corrupt("; ".join(faults))
        states = [_state_of(record_of(json.loads(text))) for text in texts]
        states.sort(key=lambda state: (state.logical_date, state.updated_at), reverse=True)
        return states if limit is None else states[:limit]

    def upsert_partition_state(self, state: PartitionState) -> None:
        """Store a record as it is given, except that ``attempt_count`` never decreases."""
        self._native.store(state.partition_key, _json_of(state))


class RawPartitionValidator:
    """Validates runs and records the verdicts.

    Sinks and repositories of other software work too: their rows are judged by the same rules. Only
    with a :class:`PartitionStateRepository` of this package is a verdict recorded atomically.
    """

    def __init__(self, raw_sink: RawSink, state_repo: StateRepository) -> None:
        self.raw_sink = raw_sink
        self.state_repo = state_repo

    def validate_partition(self, partition_key: PartitionKey, run_id: str) -> PartitionState:
        """Validate a run, record the verdict and return the record after it.

        A run that does not exist, or is not sealed, fails.
        """
        sink, repository = self.raw_sink, self.state_repo
        if isinstance(sink, _Sink) and isinstance(repository, PartitionStateRepository):
            rules = (False, False, True)
            text = sink._sink._native.validate(
                partition_key, run_id, rules, repository._native
            )
            return _state_of(validation_of(json.loads(text)).state)
        if isinstance(sink, _Sink):
            verdict = sink._sink._native.judge(partition_key, run_id)
        else:
            verdict = self._examine(partition_key, run_id)
        if isinstance(repository, PartitionStateRepository):
            recorded = repository._native.judge(partition_key, verdict)
            return _state_of(record_of(json.loads(recorded)))
        key = partition_key
        previous = repository.get_partition_state(
            key.source, key.customer_id, key.query_name, key.date
        )
        text = _rawsink.transition(None if previous is None else _json_of(previous), verdict)
        names = (key.source, key.customer_id, key.query_name, key.logical_date)
        state = _state_of(record_of(json.loads(text), names))
        repository.upsert_partition_state(state)
        return state

    def _examine(self, key: PartitionKey, run_id: str) -> dict[str, Any]:
        """Pass everything that the sink returns to the native examination."""
        examination = _rawsink.Examination(key, run_id, False)
        try:
            reader = self.raw_sink.open_partition(key, run_id)
            examination.metadata(reader.read_metadata())
            for row in reader.iter_payload_rows():
                examination.row(row)
        except (FileNotFoundError, ValueError, KeyError) as fault:
            # The run does not exist, or is damaged. Other errors prove nothing.
            examination.end_by(f"{type(fault).__name__}: {fault}")
        return examination.finish()
