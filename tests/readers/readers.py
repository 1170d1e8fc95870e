"""The readers: each opens URIs with its default options, and returns the member `who` of every row."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

Reader = Callable[[list[str]], list[str]]


def open_reader(name: str, kind: str) -> Reader:
    return {"duckdb": duckdb, "polars": polars, "pyarrow": pyarrow, "spark": spark}[name](kind)


def duckdb(kind: str) -> Reader:
    import duckdb

    database = duckdb.connect()
    if kind == "bucket":
        import duckdb_extension_httpfs

        (extension,) = Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
        database.execute(f"LOAD '{extension}'")
        endpoint = urlsplit(os.environ["RAW_SINK_ENDPOINT_URL"])
        secret = {
            "KEY_ID": os.environ["RAW_SINK_ACCESS_KEY_ID"],
            "SECRET": os.environ["RAW_SINK_SECRET_ACCESS_KEY"],
            "REGION": region(),
            "ENDPOINT": endpoint.netloc,
            "URL_STYLE": "path",
        }
        quoted = ", ".join(f"{name} '{value}'" for name, value in secret.items())
        database.execute(f"CREATE SECRET (TYPE s3, {quoted}, USE_SSL {endpoint.scheme == 'https'})")
    return lambda uris: [who for (who,) in database.execute("SELECT who FROM read_ndjson(?)", [uris]).fetchall()]


def polars(kind: str) -> Reader:
    import polars

    options = None
    if kind == "bucket":
        options = {
            "aws_access_key_id": os.environ["RAW_SINK_ACCESS_KEY_ID"],
            "aws_secret_access_key": os.environ["RAW_SINK_SECRET_ACCESS_KEY"],
            "aws_region": region(),
            "aws_endpoint_url": os.environ["RAW_SINK_ENDPOINT_URL"],
            "aws_allow_http": "true",
        }
    return lambda uris: polars.scan_ndjson(uris, storage_options=options).collect()["who"].to_list()


def pyarrow(kind: str) -> Reader:
    import pyarrow.dataset
    import pyarrow.fs

    files = pyarrow.fs.LocalFileSystem()
    if kind == "bucket":
        endpoint = urlsplit(os.environ["RAW_SINK_ENDPOINT_URL"])
        files = pyarrow.fs.S3FileSystem(
            access_key=os.environ["RAW_SINK_ACCESS_KEY_ID"],
            secret_key=os.environ["RAW_SINK_SECRET_ACCESS_KEY"],
            region=region(),
            endpoint_override=endpoint.netloc,
            scheme=endpoint.scheme,
        )
    return lambda uris: pyarrow.dataset.dataset(uris, format="json", filesystem=files).to_table()["who"].to_pylist()


def spark(kind: str) -> Reader:
    from pyspark.sql import SparkSession

    assert kind == "directory", "S3A needs packages that Spark does not have"
    options = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    builder = SparkSession.builder.master("local[1]")
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return lambda uris: [row.who for row in session.read.schema("who string").json(uris).collect()]


def region() -> str:
    return os.environ.get("RAW_SINK_REGION", "us-east-1")
