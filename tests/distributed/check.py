"""Validates on a Dask cluster while a worker is killed, and beside one machine: check.py [--partitions N]

In the bucket of the RAW_SINK_* variables, with the state in RAWSINK_TEST_POSTGRES_URL. Ends with 1 if a run has not exactly
one verdict. Prints a table of times.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask
import psycopg2
from dask.distributed import Client, LocalCluster

import rawsink
import rawsink.distributed

RUN = "2024-06-02T00:00:00.000Z"


def settings(folder: Path, prefix: str) -> Path:
    """Write the settings of a prefix with a new database, in which every run is due."""
    url = os.environ["RAWSINK_TEST_POSTGRES_URL"]
    name = f"dask_{uuid.uuid4().hex[:12]}"
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute(f"CREATE DATABASE {name}")
    connection.close()
    names = ("ENDPOINT_URL", "BUCKET", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    values = {f"RAW_SINK_{name}": os.environ[f"RAW_SINK_{name}"] for name in names}
    values |= {"RAW_SINK": "object", "RAW_SINK_PREFIX": prefix}
    head, _, query = url.partition("?")
    values["RAW_SINK_STATE_URL"] = f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    file = folder / f"{name}.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    file.chmod(0o600)
    rawsink.RawSink.from_file(file).state.init()
    return file


def land(sink: rawsink.RawSink, partitions: int) -> None:
    def one(number: int) -> None:
        key = rawsink.PartitionKey("ads", str(number // 28), "q", f"2024-06-{number % 28 + 1:02}")
        with sink.write_partition(key, RUN) as writer:
            writer.write_rows({"n": n, "text": "x" * 180} for n in range(10))
            writer.finalize(api_version="v1", query_hash="q")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(partitions)))


def verdicts(sink: rawsink.RawSink) -> Counter[int]:
    """Return how many partitions have how many verdicts."""
    return Counter(
        sum(entry.verdict in ("passed", "failed") for entry in sink.state.history(record.key))
        for record in sink.state.list()
    )


def validate(file: Path, workers: int, *, kill: bool) -> tuple[float, int]:
    """Validate on a cluster of processes with a thread each."""
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        with Client(cluster) as client:
            pids = list(client.run(os.getpid).values())
            seen = 0

            def progress(_: object) -> None:
                nonlocal seen
                seen += 1
                if kill and seen == 200:
                    os.kill(pids[0], signal.SIGKILL)

            start = time.monotonic()
            result = rawsink.distributed.validate_all(client, env_file=file, progress=progress)
            assert not result.problems, result.problems[:3]
            return time.monotonic() - start, len(result.validations)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--partitions", type=int, default=2_000)
    chosen = options.parse_args()
    dask.config.set({"distributed.comm.timeouts.connect": "60s"})
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder, prefix = Path(name), f"dask/{uuid.uuid4().hex}"
        land(rawsink.RawSink.from_file(settings(folder, prefix)), chosen.partitions)
        print("| how | partitions | seconds | judged | partitions by number of verdicts |\n|---|---|---|---|---|", flush=True)

        def show(how: str, file: Path, seconds: float, judged: int) -> None:
            nonlocal good
            found = verdicts(rawsink.RawSink.from_file(file))
            print(f"| {how} | {chosen.partitions:,} | {seconds:.1f} | {judged:,} | {dict(found)} |", flush=True)
            good &= found == Counter({1: chosen.partitions})

        file = settings(folder, prefix)
        show("4 workers, one killed", file, *validate(file, 4, kill=True))
        show("4 workers, nothing due", file, *validate(file, 4, kill=False))
        for workers in (1, 2, 4):
            file = settings(folder, prefix)
            show(f"{workers} workers", file, *validate(file, workers, kill=False))
        for jobs in (4, 16):
            file = settings(folder, prefix)
            sink, start = rawsink.RawSink.from_file(file), time.monotonic()
            judged = len(sink.validate_all(jobs=jobs).validations)
            show(f"one process, jobs={jobs}", file, time.monotonic() - start, judged)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
