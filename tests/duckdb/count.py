"""Counts the rows of a manifest's payloads with DuckDB: count.py MANIFEST

Prints one JSON object: rows by URI. Payloads in a bucket are read with the RAW_SINK_* variables of the sink.
"""

import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import duckdb_extension_httpfs


def main() -> None:
    manifest = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    uris = [payload["uri"] for payload in manifest]
    database = duckdb.connect()
    if any(uri.startswith("s3://") for uri in uris):
        open_bucket(database)
    rows = dict.fromkeys(uris, 0)
    counted = "SELECT filename, count(*) FROM read_ndjson_objects(?, filename = true) GROUP BY filename"
    found = {canonical(name): count for name, count in database.execute(counted, [uris]).fetchall()}
    for uri in uris:
        rows[uri] = found.pop(canonical(uri), 0)
    assert not found, f"rows of nobody: {found}"
    print(json.dumps(rows))


def canonical(name: str) -> str:
    return name.removeprefix("file://")


def open_bucket(database: duckdb.DuckDBPyConnection) -> None:
    folder = Path(duckdb_extension_httpfs.__file__).parent
    (extension,) = folder.rglob("httpfs.duckdb_extension")
    database.execute(f"LOAD '{extension}'")
    endpoint = urlsplit(os.environ["RAW_SINK_ENDPOINT_URL"])
    style = "vhost" if os.environ.get("RAW_SINK_ADDRESSING") == "virtual" else "path"
    secret = {
        "KEY_ID": os.environ["RAW_SINK_ACCESS_KEY_ID"],
        "SECRET": os.environ["RAW_SINK_SECRET_ACCESS_KEY"],
        "REGION": os.environ.get("RAW_SINK_REGION", "us-east-1"),
        "ENDPOINT": endpoint.netloc,
        "URL_STYLE": style,
    }
    if token := os.environ.get("RAW_SINK_SESSION_TOKEN"):
        secret["SESSION_TOKEN"] = token
    quoted = ", ".join(f"{name} '{value.replace(chr(39), chr(39) * 2)}'" for name, value in secret.items())
    database.execute(f"CREATE SECRET (TYPE s3, {quoted}, USE_SSL {endpoint.scheme == 'https'})")


main()
