"""Arrow: the rows of a selection, for every tool that reads Arrow. Needs ``pip install rawsink[arrow]``.

::

    rows = rawsink.arrow.scan(sink, source="google_ads")
    duckdb.sql("SELECT customer_id, count(*) FROM rows GROUP BY 1")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow

from ._scan import Scan
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
) -> pyarrow.RecordBatchReader:
    """Return the rows of the runs that have authority, with the names of their run as columns of text.

    Without ``sink`` the environment selects it. Without ``schema`` all rows are read once before, to
    find columns that hold them: a column of a late row is kept, text stays text, and values that no
    type holds together are their JSON text. ``key_prefix`` is put before the names of the key columns,
    if rows have members of the same name.

    Each payload is verified before its first row: a damaged one raises :class:`rawsink.Corrupt`.
    """
    scanned = Scan(
        sink or RawSink.from_env(),
        (source, customer_id, query_name, since, until),
        schema=schema,
        key_prefix=key_prefix,
    )
    batches = (batch for run in scanned.runs for batch in scanned.batches(run))
    return pyarrow.RecordBatchReader.from_batches(scanned.schema, batches)
