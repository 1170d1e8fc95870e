"""Polars: a lazy scan of the runs that have authority. Needs ``pip install rawsink[polars]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars
import pyarrow
from polars.io.plugins import register_io_source

from ._scan import Scan, names_of
from ._sink import RawSink

if TYPE_CHECKING:
    from ._types import Day


def scan(
    sink: RawSink | None = None,
    *,
    source: str | None = None,
    customer_id: str | None = None,
    query_name: str | None = None,
    since: Day | None = None,
    until: Day | None = None,
    schema: pyarrow.Schema | None = None,
    key_prefix: str = "",
) -> polars.LazyFrame:
    """Scan the rows of a selection, with the names of their run as columns of text.

    Without ``sink`` the environment selects it. Without ``schema`` all rows are read once before, to
    find columns that hold them. A filter of key columns alone skips the runs that it excludes.
    ``key_prefix`` is put before the names of the key columns, if rows have members of the same name.

    Each payload is verified before its first row: a damaged one raises :class:`rawsink.Corrupt`.
    """
    scanned = Scan(
        sink or RawSink.from_env(),
        (source, customer_id, query_name, since, until),
        schema=schema,
        key_prefix=key_prefix,
    )
    empty = polars.from_arrow(scanned.schema.empty_table())
    assert isinstance(empty, polars.DataFrame)

    def read(
        columns: list[str] | None,
        predicate: polars.Expr | None,
        most: int | None,
        _batch_size: int | None,
    ) -> Iterator[polars.DataFrame]:
        runs = scanned.runs
        keys = scanned.key_names
        if predicate is not None and set(predicate.meta.root_names()) <= set(keys):
            named = polars.DataFrame([names_of(run) for run in runs], schema=keys, orient="row")
            kept = named.with_row_index("rawsink number").filter(predicate)["rawsink number"]
            runs = [runs[number] for number in kept]
        for run in runs:
            for batch in scanned.batches(run):
                frame = polars.from_arrow(batch)
                assert isinstance(frame, polars.DataFrame)
                frame = frame.cast(empty.schema)
                if predicate is not None:
                    frame = frame.filter(predicate)
                if most is not None:
                    frame = frame.head(most)
                    most -= len(frame)
                yield frame if columns is None else frame.select(columns)
                if most == 0:
                    return

    return register_io_source(read, schema=empty.schema)
