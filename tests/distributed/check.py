"""Validates, scrubs and copies on a Dask cluster while a worker is killed, and beside one machine: check.py [--partitions N ...]

In the bucket of the RAW_SINK_* variables, with the state in RAWSINK_TEST_POSTGRES_URL. Ends with 1 if a run has not exactly
one verdict, or damage is not found or copied. Prints a table of times.
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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import boto3
import dask
import psycopg2
from dask.distributed import Client, LocalCluster

import rawsink
from rawsink import distributed

RUN = "2024-06-02T00:00:00.000Z"

T = TypeVar("T")


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


def on_cluster(
    workers: int, kill_at: int, work: Callable[[Client, Callable[..., None]], T]
) -> tuple[float, T]:
    """Do some work on a cluster of processes with a thread each. One is killed when so many results have arrived; 0: none."""
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        with Client(cluster) as client:
            pids = list(client.run(os.getpid).values())
            seen = 0

            def progress(*_: object) -> None:
                nonlocal seen
                seen += 1
                if seen == kill_at:
                    os.kill(pids[0], signal.SIGKILL)

            start = time.monotonic()
            result = work(client, progress)
            assert seen >= kill_at, f"no worker was killed: {seen} results"
            return time.monotonic() - start, result


def validate(file: Path, workers: int, *, kill: bool) -> tuple[float, int]:
    seconds, result = on_cluster(
        workers,
        200 if kill else 0,
        lambda client, progress: distributed.validate_all(client, env_file=file, progress=progress),
    )
    assert not result.problems, result.problems[:3]
    return seconds, len(result.validations)


def scrub_and_copy(file: Path, copy: Path, partitions: int) -> Iterator[tuple[str, float, int, bool]]:
    """Damage two runs of a validated store, and find them: what was done, seconds, number of runs, whether it is right."""
    sink = rawsink.RawSink.from_file(file)
    flipped, lost = (rawsink.PartitionKey("ads", "0", "q", f"2024-06-0{day}") for day in (1, 2))
    with sink.open_partition(flipped, RUN) as reader:
        rows = bytearray(reader.read_bytes())
    rows[-3] ^= 1
    settings = sink.settings
    s3 = boto3.client(
        "s3",
        endpoint_url=settings["RAW_SINK_ENDPOINT_URL"],
        aws_access_key_id=os.environ["RAW_SINK_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["RAW_SINK_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    bucket, prefix = settings["RAW_SINK_BUCKET"], settings["RAW_SINK_PREFIX"].strip("/")
    s3.put_object(Bucket=bucket, Key=f"{prefix}/{flipped.path}/run_id={RUN}/payload.jsonl", Body=bytes(rows))
    for name in ("metadata.json", "payload.jsonl"):
        s3.delete_object(Bucket=bucket, Key=f"{prefix}/{lost.path}/run_id={RUN}/{name}")

    def found(result: rawsink.ScrubResult) -> list[tuple[str, str]]:
        return sorted((damage.key.logical_date, damage.kind) for damage in result.damaged)

    for current in (False, True):
        seconds, result = on_cluster(
            4,
            200,
            lambda client, progress, current=current: distributed.scrub(
                client, env_file=file, current=current, progress=progress
            ),
        )
        expected = [(flipped.logical_date, "payload_differs")]
        expected += [(lost.logical_date, "lost")] if current else []
        is_right = found(result) == expected and not result.problems and result.intact == partitions - 2
        yield f"scrub{', current' if current else ''}", seconds, result.intact, is_right
    for again in (False, True):
        seconds, result = on_cluster(
            4,
            200,
            lambda client, progress: distributed.copy(client, copy, env_file=file, progress=progress),
        )
        problems = [(problem.kind, problem.key) for problem in result.problems]
        is_right = problems == [("Corrupt", flipped)] and result.copied + result.already_there == partitions - 2
        is_right &= result.copied == 0 if again else result.copied > 0
        yield f"copy{' again' if again else ''}", seconds, result.copied, is_right


def compare(partitions: int) -> bool:
    """Land partitions, validate them in each way with a database each, and print a row of the table for each."""
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder, prefix = Path(name), f"dask/{uuid.uuid4().hex}"
        land(rawsink.RawSink.from_file(settings(folder, prefix)), partitions)

        def show(how: str, file: Path, seconds: float, judged: int) -> None:
            nonlocal good
            found = verdicts(rawsink.RawSink.from_file(file))
            print(f"| {how} | {partitions:,} | {seconds:.1f} | {judged:,} | {dict(found)} |", flush=True)
            good &= found == Counter({1: partitions})

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
        for how, seconds, runs, is_right in scrub_and_copy(file, settings(folder, f"{prefix}-copy"), partitions):
            print(f"| {how}, 4 workers, one killed | {partitions:,} | {seconds:.1f} | {runs:,} | {'right' if is_right else '**wrong**'} |", flush=True)
            good &= is_right
    return good


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--partitions", type=int, nargs="+", default=[2_000])
    chosen = options.parse_args()
    dask.config.set({"distributed.comm.timeouts.connect": "60s"})
    print("| how | partitions | seconds | runs | partitions by number of verdicts |\n|---|---|---|---|---|", flush=True)
    good = [compare(partitions) for partitions in chosen.partitions]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
