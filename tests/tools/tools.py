"""How each tool reads the rows of a source through the package.

Each function returns rows as dicts of `customer_id`, `id` and, if there is one, `late`.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import rawsink
import rawsink.arrow
import rawsink.fs
import rawsink.polars

COLUMNS = ("customer_id", "id", "late")
Rows = list[dict[str, Any]]


def files_of(sink: rawsink.RawSink, source: str) -> tuple[rawsink.fs.RawSinkFileSystem, list[str]]:
    files = rawsink.fs.RawSinkFileSystem(sink, skip_instance_cache=True)
    return files, files.find(source)


def customer(path: str) -> str:
    return unquote(path.split("/")[1].removeprefix("customer_id="))


def duckdb_files(sink: rawsink.RawSink, source: str) -> Rows:
    import duckdb

    connection = duckdb.connect()
    connection.register_filesystem(files_of(sink, source)[0])
    return connection.sql(
        f"""SELECT * FROM read_json('rawsink://{source}/**/payload.jsonl', format = 'newline_delimited',
        hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"""
    ).to_arrow_table().to_pylist()


def duckdb_arrow(sink: rawsink.RawSink, source: str) -> Rows:
    import duckdb

    rows = rawsink.arrow.scan(sink, source=source)  # noqa: F841
    return duckdb.sql("SELECT * FROM rows").to_arrow_table().to_pylist()


def polars_scan(sink: rawsink.RawSink, source: str) -> Rows:
    return rawsink.polars.scan(sink, source=source).collect().to_dicts()


def polars_file(sink: rawsink.RawSink, source: str) -> Rows:
    import polars

    files, names = files_of(sink, source)
    rows = []
    for name in names:
        with files.open(name) as file:
            found = polars.read_ndjson(file, infer_schema_length=None).to_dicts()
        rows += [{"customer_id": customer(name), **row} for row in found]
    return rows


def arrow_scan(sink: rawsink.RawSink, source: str) -> Rows:
    return rawsink.arrow.scan(sink, source=source).read_all().to_pylist()


def arrow_dataset(sink: rawsink.RawSink, source: str) -> Rows:
    import pyarrow
    import pyarrow.dataset
    import pyarrow.fs

    files, names = files_of(sink, source)
    text = pyarrow.string()
    return pyarrow.dataset.dataset(
        names,
        filesystem=pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(files)),
        format="json",
        partitioning=pyarrow.dataset.partitioning(
            pyarrow.schema([("customer_id", text)]), flavor="hive"
        ),
        schema=pyarrow.schema([("customer_id", text), ("id", text), ("late", text)]),
    ).to_table().to_pylist()


def pandas_file(sink: rawsink.RawSink, source: str) -> Rows:
    import pandas

    files, names = files_of(sink, source)
    rows = []
    for name in names:
        with files.open(name) as file:
            frame = pandas.read_json(file, lines=True, dtype=False)
        rows += [{"customer_id": customer(name), **row} for row in frame.to_dict("records")]
    return rows


def dask_bag(sink: rawsink.RawSink, source: str) -> Rows:
    import dask.bag

    names = [f"rawsink://{name}" for name in files_of(sink, source)[1]]
    bag = dask.bag.read_text(names, include_path=True)

    def parse(line: tuple[str, str]) -> dict[str, Any]:
        import json

        return {"customer_id": customer(line[1].removeprefix("rawsink://")), **json.loads(line[0])}

    rows: Rows = bag.map(parse).compute(scheduler="threads")
    return rows


_spark: Any = None


def spark() -> Any:
    """Return the session of a cluster with two executors, all on loopback."""
    global _spark
    if _spark is None:
        from pyspark.sql import SparkSession

        import rawsink.spark

        os.environ.update(SPARK_LOCAL_IP="127.0.0.1", SPARK_LOCAL_HOSTNAME="localhost")
        _spark = (
            SparkSession.builder.master("local-cluster[2,1,1024]")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.sql.python.filterPushdown.enabled", "true")
            .getOrCreate()
        )
        _spark.sparkContext.setLogLevel("OFF")
        _spark.dataSource.register(rawsink.spark.RawSinkDataSource)
    return _spark


def spark_source(sink: rawsink.RawSink, source: str) -> Rows:
    # The executors read their environment, which is that of this process when the session began.
    file = os.environ["TOOLS_ENV_FILE"]
    frame = spark().read.format("rawsink").option("env_file", file).load(source)
    return [row.asDict(recursive=True) for row in frame.collect()]


TOOLS: dict[str, tuple[str, Callable[[rawsink.RawSink, str], Rows]]] = {
    "DuckDB, Arrow": ("`FROM rawsink.arrow.scan(...)`", duckdb_arrow),
    "DuckDB, files": ("`read_json('rawsink://...')`", duckdb_files),
    "Polars, lazy": ("`rawsink.polars.scan(...)`", polars_scan),
    "Polars, files": ("`read_ndjson(file)`", polars_file),
    "PyArrow": ("`rawsink.arrow.scan(...)`", arrow_scan),
    "PyArrow, dataset": ("`dataset(names, filesystem=...)` with a schema", arrow_dataset),
    "pandas": ("`read_json(file, lines=True, dtype=False)`", pandas_file),
    "Dask": ('`dask.bag.read_text("rawsink://...")`', dask_bag),
    "Spark": ('`spark.read.format("rawsink")`', spark_source),
}


def plain(rows: Rows) -> list[tuple[Any, ...]]:
    """Return rows for a comparison: a date that a tool made of text is marked."""

    def value(found: Any) -> Any:
        if isinstance(found, float) and found != found:
            return None
        return f"date {found}" if isinstance(found, datetime.date) else found

    return sorted((tuple(value(row.get(name)) for name in COLUMNS) for row in rows), key=repr)
