"""Two taps of different lineages, and the sources that they read."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3

ROWS = 300


class Api:
    """A server with one array of objects for each path. `vanishing` is 404 from a request on.

    The tap requests each path for its schema, and again for its rows.
    """

    def __init__(self, vanishes_at: int = 2) -> None:
        calls: Counter[str] = Counter()

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                name = self.path.split("?")[0].strip("/")
                calls[name] += 1
                if name == "vanishing" and calls[name] >= vanishes_at:
                    self.send_error(404)
                    return
                rows = [
                    {"id": n, "name": f"{name} é \u2028 {n}", "price": 1.10 * n, "big": 12345678901234567890 + n, "tags": ["a", None]}
                    for n in range(ROWS)
                ]
                body = json.dumps(rows).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def config(self, *streams: str) -> dict[str, object]:
        return {
            "api_url": f"http://127.0.0.1:{self.server.server_port}",
            "streams": [
                {"name": name, "path": f"/{name}", "records_path": "$.[*]", "primary_keys": ["id"], "num_inference_records": 5}
                for name in streams
            ],
        }


def rest_api(venvs: Path, folder: Path, *, fails: bool) -> list[str]:
    """Return the command of a tap of Meltano's SDK. It reads a server, which may fail at the last stream."""
    streams = ["orders", "users", *(["vanishing"] if fails else [])]
    config = folder / "rest.json"
    config.write_text(json.dumps(Api().config(*streams)))
    return [str(venvs / "rest-api/bin/tap-rest-api-msdk"), "--config", str(config)]


def s3_csv(venvs: Path, folder: Path, *, fails: bool) -> list[str]:
    """Return the command of a tap of PipelineWise. It reads files in the bucket; the second may be broken."""
    endpoint, bucket = os.environ["RAW_SINK_ENDPOINT_URL"], os.environ["RAW_SINK_BUCKET"]
    key, secret = os.environ["RAW_SINK_ACCESS_KEY_ID"], os.environ["RAW_SINK_SECRET_ACCESS_KEY"]
    prefix = f"csv-{uuid.uuid4().hex[:12]}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1"
    )

    def upload(name: str, row: bytes) -> None:
        rows = b"".join(row % n for n in range(ROWS))
        client.put_object(Bucket=bucket, Key=f"{prefix}/{name}.csv", Body=b"id,name,note\n" + rows)

    for name in ("customers", "invoices"):
        upload(name, b'%d,"B\xc3\xa4cker, \xe2\x82\xac","a ""quoted"" note"\n')
    tables = [
        {"table_name": name, "search_pattern": f"{name}.csv", "search_prefix": prefix, "key_properties": ["id"], "delimiter": ","}
        for name in ("customers", "invoices")
    ]
    config, catalog = folder / "csv.json", folder / "catalog.json"
    settings = {"start_date": "2000-01-01T00:00:00Z", "bucket": bucket, "aws_endpoint_url": endpoint, "tables": tables}
    config.write_text(json.dumps(settings | {"aws_access_key_id": key, "aws_secret_access_key": secret}))
    command = [str(venvs / "s3-csv/bin/tap-s3-csv"), "--config", str(config)]
    found = json.loads(subprocess.run([*command, "--discover"], check=True, capture_output=True).stdout)
    for stream in found["streams"]:
        stream["metadata"][0]["metadata"]["selected"] = True
    catalog.write_text(json.dumps(found))
    if fails:
        # Not UTF-8, which the tap finds after the first file.
        upload("invoices", b"%d,\xff,\n")
    return [*command, "--properties", str(catalog)]


TAPS = {"tap-rest-api-msdk": rest_api, "tap-s3-csv": s3_csv}
