"""Writes one day with a Python library, as a program would: writers.py TOOL DAY TAG MODE FOLDER [OPTION]"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rows

PREFIX = os.environ["ALTERNATIVES_PREFIX"]
BUCKET = os.environ["RAW_SINK_BUCKET"]
ENDPOINT = os.environ["RAW_SINK_ENDPOINT_URL"]
KEY_ID = os.environ["RAW_SINK_ACCESS_KEY_ID"]
SECRET = os.environ["RAW_SINK_SECRET_ACCESS_KEY"]


class Stream(io.RawIOBase):
    """A file of rows that are made while it is read."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self.lines, self.rest = lines, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.rest = self.rest or next(self.lines, b"")
        taken = self.rest[: len(buffer)]
        buffer[: len(taken)], self.rest = taken, self.rest[len(taken) :]
        return len(taken)


def s3() -> Any:
    import boto3

    return boto3.client(
        "s3", endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET
    )


def store() -> Any:
    from obstore.store import S3Store

    return S3Store(
        BUCKET, prefix=PREFIX, endpoint=ENDPOINT, region="us-east-1", access_key_id=KEY_ID, secret_access_key=SECRET,
        client_options={"allow_http": True},
    )


def pipeline(name: str, folder: Path) -> Any:
    """Returns a pipeline that loads files of a hundred rows below the prefix."""
    import dlt

    settings = {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": "100",
        "LOAD__WORKERS": "1",
    }
    os.environ.update(settings)
    credentials = {
        "aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET, "endpoint_url": ENDPOINT, "region_name": "us-east-1"
    }
    destination = dlt.destinations.filesystem(bucket_url=f"s3://{BUCKET}/{PREFIX}", credentials=credentials)
    return dlt.pipeline(name, pipelines_dir=str(folder / name), destination=destination, dataset_name="ads")


def boto3_writes(day: str, stream: Iterator[bytes], option: str) -> None:
    name = f"{PREFIX}/{day}.jsonl"
    if option:
        # upload_fileobj does not take it.
        s3().put_object(Bucket=BUCKET, Key=name, Body=b"".join(stream), IfNoneMatch="*")
    else:
        s3().upload_fileobj(io.BufferedReader(Stream(stream)), BUCKET, name)


def obstore_writes(day: str, stream: Iterator[bytes], option: str) -> None:
    import obstore

    mode = {"mode": "create"} if option else {}
    obstore.put(store(), f"{day}.jsonl", stream, **mode)


def dlt_writes(day: str, tag: str, mode: str, folder: Path, option: str) -> None:
    arguments: dict[str, Any] = {"table_name": table_of(day), "loader_file_format": "jsonl"}
    if option == "replace":
        arguments["write_disposition"] = "replace"
    if option == "schema_contract":
        arguments["schema_contract"] = {"columns": "freeze", "data_type": "freeze"}
    pipeline(tag, folder).run(rows.records(tag, mode, folder), **arguments)


def read(tool: str, day: str) -> None:
    """Read every row of a day by the means of the library."""
    if tool == "boto3":
        s3().download_fileobj(BUCKET, f"{PREFIX}/{day}.jsonl", io.BytesIO())
    elif tool == "obstore":
        import obstore

        obstore.get(store(), f"{day}.jsonl").bytes()
    else:
        from dlt.common.configuration.specs import AwsCredentials
        from dlt.sources.filesystem import filesystem, read_jsonl

        credentials = AwsCredentials(
            aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, endpoint_url=ENDPOINT, region_name="us-east-1"
        )
        url = f"s3://{BUCKET}/{PREFIX}/ads/{table_of(day)}"
        files = filesystem(bucket_url=url, credentials=credentials, file_glob="*.jsonl.gz")
        assert sum(1 for _ in files | read_jsonl()) == rows.ROWS


def table_of(day: str) -> str:
    return "day_" + day.replace("-", "_")


def main() -> None:
    if sys.argv[1] == "read":
        read(*sys.argv[2:])
        return
    tool, day, tag, mode, folder, *option = sys.argv[1:]
    if tool == "dlt":
        dlt_writes(day, tag, mode, Path(folder), *option or [""])
        return
    write = {"boto3": boto3_writes, "obstore": obstore_writes}[tool]
    write(day, rows.lines(tag, mode, Path(folder)), *option or [""])


if __name__ == "__main__":
    main()
