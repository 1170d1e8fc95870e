"""Measures the operator's commands over many small partitions: wall time, CPU time and peak memory of each.

`make scale` runs it on a directory with SQLite; SCALE=--postgres with PostgreSQL; `scripts/with-minio scripts/scale` on a
bucket with PostgreSQL.
Every partition has one sealed run of about 2 KiB. The seals are those of other software (without `_seal`), so
that this script can write a million of them in minutes.
"""

import argparse
import hashlib
import hmac
import http.client
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import urllib.parse
from datetime import date, datetime, timedelta, timezone

ROWS = 8
QUERIES = 10
DAYS = 100

COMMANDS = [
    ("validate --all, everything due", ["validate", "--all"]),
    ("validate --all, nothing due", ["validate", "--all"]),
    ("coverage", ["coverage", "--json"]),
    ("coverage --plan", ["coverage", "--plan"]),
    ("manifest", ["manifest", "--format", "uri"]),
    ("scrub", ["scrub"]),
    ("clean", ["clean"]),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--partitions", type=int, default=100_000, help="number of partitions [100,000]")
    parser.add_argument("--program", default="target/release/rawsink", help="the program to measure")
    parser.add_argument("--jobs", default="2", help="--jobs of every command that has it [2]")
    parser.add_argument("--bucket", action="store_true", help="use the bucket of RAW_SINK_*")
    parser.add_argument("--postgres", action="store_true", help="keep the state in the database of RAWSINK_TEST_POSTGRES_URL")
    parser.add_argument("--only", help="measure only the commands whose names contain this")
    return parser.parse_args()


def partitions(count):
    """Yields the runs of `count` partitions: customers x 10 queries x 100 days."""
    first = date(2024, 1, 1)
    for number in range(count):
        day = first + timedelta(days=number % DAYS)
        query = number // DAYS % QUERIES
        customer = number // DAYS // QUERIES
        yield f"ads/customer_id={customer:05}/query_name=query_{query}/logical_date={day}/run_id=2024-07-01T00:00:00.000Z"


def content(run):
    rows = [json.dumps({"run": run, "row": row, "pad": "x" * 96}) for row in range(ROWS)]
    return {"payload.jsonl": "".join(row + "\n" for row in rows).encode(), "metadata.json": json.dumps({"record_count": ROWS}).encode()}


def fill_directory(root, count):
    for run in partitions(count):
        directory = os.path.join(root, run)
        os.makedirs(directory)
        for name, text in content(run).items():
            with open(os.path.join(directory, name), "wb") as file:
                file.write(text)


class Bucket:
    """PUT requests with a signature of version 4."""

    def __init__(self):
        self.url = urllib.parse.urlsplit(os.environ["RAW_SINK_ENDPOINT_URL"])
        self.name, self.key, self.secret = (os.environ[f"RAW_SINK_{name}"] for name in ("BUCKET", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        self.local = threading.local()

    def put(self, path, body):
        now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        uri = urllib.parse.quote(f"/{self.name}/{path}", safe="/-_.~")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": self.url.netloc, "x-amz-content-sha256": digest, "x-amz-date": now}
        names = ";".join(sorted(headers))
        canonical = "\n".join(["PUT", uri, "", *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names, digest])
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, Signature={signature}"
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection(self.url.netloc)
        self.local.connection.request("PUT", uri, body, headers)
        answer = self.local.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"scale: PUT {path}: {answer.status} {text[:300]}")


def fill_bucket(prefix, count):
    bucket, runs, lock = Bucket(), partitions(count), threading.Lock()

    def work():
        while True:
            with lock:
                run = next(runs, None)
            if run is None:
                return
            for name, text in content(run).items():
                bucket.put(f"{prefix}/{run}/{name}", text)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(program, words, environment):
    """Runs a command and returns exit code, wall and CPU seconds, and peak memory in MiB."""
    start = time.monotonic()
    errors = tempfile.TemporaryFile()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(errors.fileno(), 2)
        os.execve(program, [program, *words], environment)
    _, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - start
    errors.seek(0)
    last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
    return os.waitstatus_to_exitcode(status), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, "".join(last)


def main():
    args = arguments()
    program = os.path.abspath(args.program)
    work = tempfile.mkdtemp(dir="target", prefix="scale-")
    environment = {**os.environ, "RAW_SINK_STATE_URL": f"sqlite:{work}/state.db", "RAW_SINK_ROOT": f"{work}/raw"}
    place = f"{'bucket' if args.bucket else 'directory'} and {'PostgreSQL' if args.postgres else 'SQLite'}"
    if args.postgres:
        environment["RAW_SINK_STATE_URL"] = os.environ["RAWSINK_TEST_POSTGRES_URL"]
    try:
        start = time.monotonic()
        if args.bucket:
            prefix = os.path.basename(work)
            environment |= {"RAW_SINK": "object", "RAW_SINK_PREFIX": prefix}
            fill_bucket(prefix, args.partitions)
        else:
            fill_directory(f"{work}/raw", args.partitions)
        print(f"{args.partitions:,} partitions of 2 KiB, {place}; written in {time.monotonic() - start:.0f} s\n")
        print("| command | exit | wall s | per second | CPU s | CPU ms each | peak MiB |")
        print("|---|--:|--:|--:|--:|--:|--:|", flush=True)
        for name, words in COMMANDS:
            if args.only and args.only not in name:
                continue
            if words[0] in ("validate", "scrub"):
                words = [*words, "--jobs", args.jobs]
            code, wall, cpu, memory, last = measure(program, words, environment)
            each, rate = 1000 * cpu / args.partitions, args.partitions / wall
            print(f"| {name} | {code} | {wall:.1f} | {rate:,.0f} | {cpu:.1f} | {each:.3f} | {memory:.0f} |", flush=True)
            print(f"  {name}: {last}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
