"""The rows of many runs as Arrow batches with one schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow

from . import _arrow, _rawsink, _verified

if TYPE_CHECKING:
    from ._sink import RawSink
    from ._types import Day, PartitionKey

KEYS = ("source", "customer_id", "query_name", "logical_date", "run_id")
"""The names of a run, which are columns of text."""

JOBS = 4
"""Number of payloads that are verified at once."""


class Run(NamedTuple):
    """A run that has authority."""

    key: PartitionKey
    run_id: str


class Scan:
    """The runs of a selection that have authority, and the schema of all their rows."""

    def __init__(
        self,
        sink: RawSink,
        selection: tuple[str | None, str | None, str | None, Day | None, Day | None],
        *,
        schema: pyarrow.Schema | None = None,
        key_prefix: str = "",
    ) -> None:
        self.sink = sink
        source, customer_id, query_name, since, until = selection
        records = sink.state.list(
            status="success",
            source=source,
            customer_id=customer_id,
            query_name=query_name,
            since=since,
            until=until,
        )
        self.runs = [
            Run(record.key, record.current_run_id) for record in records if record.current_run_id
        ]
        self.key_names = [key_prefix + name for name in KEYS]
        self.rows = schema_of(sink, self.runs) if schema is None else schema
        """The schema of the rows, without the names of their run."""
        self.schema = with_keys(self.rows, self.key_names)

    def batches(self, run: Run) -> Iterator[pyarrow.RecordBatch]:
        """Yield the rows of a run, verified, in batches."""
        return batches(self.sink, run, self.rows, self.key_names)


def with_keys(rows: pyarrow.Schema, key_names: Sequence[str]) -> pyarrow.Schema:
    """Return the schema of rows with the names of their run in front.

    Raises ValueError if rows have a member with such a name.
    """
    taken = sorted(set(key_names) & set(rows.names))
    if taken:
        raise ValueError(
            f"rows have a member {taken[0]!r}, as the column with the name of their run: "
            "pass key_prefix, such as 'key_'"
        )
    return pyarrow.schema([(name, pyarrow.string()) for name in key_names] + list(rows))


def names_of(run: Run) -> tuple[str, ...]:
    """Return the names of a run."""
    key = run.key
    return key.source, key.customer_id, key.query_name, key.logical_date, run.run_id


def payload(sink: RawSink, run: Run, *, infer: bool) -> _verified.Verified:
    """Return the verified payload of a run that has authority, or had it when it was listed."""
    native = _rawsink.PartitionReader(sink._native, run.key, run.run_id, validated=True)
    return _verified.verified(sink.uri, native, infer=infer)


def schema_of(sink: RawSink, runs: Sequence[Run]) -> pyarrow.Schema:
    """Return the schema that holds every row of some runs."""

    def shape(run: Run) -> str:
        return json.dumps(payload(sink, run, infer=True).shape)

    with ThreadPoolExecutor(JOBS) as pool:
        shapes = list(pool.map(shape, runs))
    joined: Any = json.loads(_rawsink.join_shapes(shapes))
    return _arrow.schema_of(joined)


def batches(
    sink: RawSink, run: Run, rows: pyarrow.Schema, key_names: Sequence[str]
) -> Iterator[pyarrow.RecordBatch]:
    """Yield the rows of a run in batches, with the names of the run in front."""
    found = payload(sink, run, infer=True)
    schema = with_keys(rows, key_names)
    with found.open() as file:
        for batch in _arrow.batches(file, found.shape, found.longest, rows):
            keys = [pyarrow.repeat(name, batch.num_rows) for name in names_of(run)]
            yield pyarrow.RecordBatch.from_arrays([*keys, *batch.columns], schema=schema)
