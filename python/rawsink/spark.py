"""Spark 4: a data source of the runs that have authority. Needs ``pip install rawsink[spark]``.

::

    spark.dataSource.register(rawsink.spark.RawSinkDataSource)
    rows = spark.read.format("rawsink").load("google_ads/customer_id=123")

Each payload is verified by the executor that reads it: a damaged one fails the query. The names of a
run are columns of text; filters on them skip runs. Without a schema all selected rows are read once
before, by the driver.

Driver and executors need the package, and settings: those of their environment, or of the file that
the option ``env_file`` names on each of them. Nothing secret is sent to an executor.

========== =============================================================
option     meaning
========== =============================================================
path       the path of ``load``: a source, or any longer canonical path
since      the first reporting day
until      the last reporting day
env_file   a file of settings, instead of the environment
key_prefix put before the names of the key columns
========== =============================================================

It only reads. To write, let an extractor land each partition: rows that an engine has shuffled are no
raw extract.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import (
    DataSource,
    DataSourceReader,
    EqualTo,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    InputPartition,
    LessThan,
    LessThanOrEqual,
)
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import StructType

from . import _rawsink
from ._scan import KEYS, Run, Scan, batches, names_of
from ._sink import RawSink

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql.datasource import Filter

_COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    EqualTo: operator.eq,
    GreaterThan: operator.gt,
    GreaterThanOrEqual: operator.ge,
    LessThan: operator.lt,
    LessThanOrEqual: operator.le,
    In: lambda name, names: name in names,
}


class RunPartition(InputPartition):
    """One run."""

    def __init__(self, run: Run) -> None:
        super().__init__(0)
        self.run = run


class RawSinkDataSource(DataSource):
    """The data source ``rawsink``."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "rawsink"

    def schema(self) -> StructType:
        """Return the schema that holds every selected row."""
        return from_arrow_schema(self._scan(None).schema)

    def reader(self, schema: StructType) -> RunReader:
        """Return what reads the selected runs."""
        keys = [self._prefix + name for name in KEYS]
        kept = [field for field in schema if field.name not in keys]
        scan = self._scan(to_arrow_schema(StructType(kept)))
        return RunReader(scan, schema.names, self.options)

    @property
    def _prefix(self) -> str:
        return str(self.options.get("key_prefix", ""))

    def _scan(self, rows: pyarrow.Schema | None) -> Scan:
        path = self.options.get("path", "")
        source, customer_id, query_name, day, run_id = _rawsink.parse_path(path, "")
        if run_id is not None:
            raise ValueError(f"{path!r} names a run: name its partition")
        since = day or self.options.get("since")
        until = day or self.options.get("until")
        selection = (source, customer_id, query_name, since, until)
        sink = _sink(self.options)
        return Scan(sink, selection, schema=rows, key_prefix=self._prefix)


class RunReader(DataSourceReader):
    """Reads runs, each by one task."""

    def __init__(self, scan: Scan, columns: list[str], options: dict[str, str]) -> None:
        self.runs, self.rows, self.key_names = scan.runs, scan.rows, scan.key_names
        self.columns = columns
        self.options = dict(options)

    def pushFilters(self, filters: list[Filter]) -> Iterator[Filter]:  # noqa: N802
        """Skip the runs that filters on key columns exclude, and return the other filters."""
        for wanted in filters:
            compare = _COMPARE.get(type(wanted))
            name = ".".join(wanted.attribute) if compare else ""
            if compare is None or name not in self.key_names:
                yield wanted
                continue
            index = self.key_names.index(name)
            self.runs = [run for run in self.runs if compare(names_of(run)[index], wanted.value)]

    def partitions(self) -> list[InputPartition]:
        """Return the runs to read."""
        return [RunPartition(run) for run in self.runs]

    def read(self, partition: InputPartition) -> Iterator[pyarrow.RecordBatch]:
        """Yield the rows of a run, verified."""
        assert isinstance(partition, RunPartition)
        found = batches(_sink(self.options), partition.run, self.rows, self.key_names)
        return (batch.select(self.columns) for batch in found)


def _sink(options: dict[str, str]) -> RawSink:
    file = options.get("env_file")
    return RawSink.from_env() if file is None else RawSink.from_file(file)
