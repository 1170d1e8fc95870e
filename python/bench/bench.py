"""Measures what each call costs, beside json, orjson and other ways to land the same rows.

CPU is that of the whole process, with all its threads. Each way runs once in every round, in another order, and the median of
the rounds' ratios is printed: machines are noisy.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pythonized

import rawsink

GIB = 1 << 30


def row(number: int) -> dict[str, object]:
    """Return a nested row of about 300 bytes."""
    return {
        "campaign": {"id": str(number), "name": f"campaign {number % 97}", "status": "ENABLED"},
        "metrics": {"clicks": number % 1000, "impressions": number, "cost": number * 0.01},
        "segments": {"date": "2024-06-01", "device": "MOBILE", "hours": [1, 2, 3]},
        "note": "é" + "x" * 60,
        "empty": None,
        "flag": True,
    }


def cpu() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class Place:
    """Where ways land: a directory, or a bucket."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        if kind == "directory":
            self.sink = rawsink.RawSink.directory(folder / "raw")
        else:
            self.prefix = f"bench/{uuid.uuid4().hex[:8]}"
            self.endpoint = os.environ["RAW_SINK_ENDPOINT_URL"]
            self.name = os.environ["RAW_SINK_BUCKET"]
            self.key = os.environ["RAW_SINK_ACCESS_KEY_ID"]
            self.secret = os.environ["RAW_SINK_SECRET_ACCESS_KEY"]
            self.sink = rawsink.RawSink.bucket(
                self.name,
                prefix=self.prefix,
                endpoint_url=self.endpoint,
                access_key_id=self.key,
                secret_access_key=self.secret,
                state=folder / "state.db",
            )

    def environment(self) -> dict[str, str]:
        """Return the variables with which the program lands here."""
        state = {"RAW_SINK_STATE_URL": f"sqlite:{self.folder.absolute()}/state.db"}
        if self.kind == "directory":
            return {**os.environ, **state, "RAW_SINK": "filesystem", "RAW_SINK_ROOT": str(self.folder.absolute() / "raw")}
        return {**os.environ, **state, "RAW_SINK": "object", "RAW_SINK_PREFIX": self.prefix}

    def partition(self) -> tuple[rawsink.PartitionKey, str]:
        return rawsink.PartitionKey("ads", "1", "q", "2024-06-01"), uuid.uuid4().hex

    def write(self, write: Callable[[rawsink.PartitionWriter], object]) -> None:
        with self.sink.write_partition(*self.partition()) as writer:
            write(writer)
            writer.finalize()


def measure(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each way in each round."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name in random.sample(list(ways), len(ways)):
            start = cpu()
            ways[name]()
            found[name].append(cpu() - start)
    return found


def table(title: str, found: dict[str, list[float]], rows: int, size: int, base: str) -> None:
    print(f"\n{title} ({rows:,} rows, {size / rows:.0f} bytes each; ratio to {base!r})\n")
    print("| way | us a row | CPU s/GiB | ratio |\n|---|---|---|---|")
    for name, seconds in found.items():
        middle = statistics.median(seconds)
        ratio = statistics.median(s / b for s, b in zip(seconds, found[base], strict=True))
        print(f"| {name} | {middle / rows * 1e6:.2f} | {middle / size * GIB:.2f} | {ratio:.2f} |", flush=True)


def batches(rows: list[dict[str, object]], size: int = 1_000) -> Iterator[list[dict[str, object]]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def by_hand(rows: list[dict[str, object]], folder: Path) -> None:
    """What a careful project writes itself: text, digest, sync."""
    digest = hashlib.sha256()
    with open(folder / "by-hand.jsonl", "wb") as file:
        for one in rows:
            line = json.dumps(one, allow_nan=False, separators=(",", ":")).encode() + b"\n"
            digest.update(line)
            file.write(line)
        file.flush()
        os.fsync(file.fileno())


def writing(place: Place, rows: list[dict[str, object]], text: bytes) -> dict[str, Callable[[], object]]:
    def one_by_one(writer: rawsink.PartitionWriter) -> None:
        for one in rows:
            writer.write_payload_row(one)

    def orjson_batches(writer: rawsink.PartitionWriter) -> None:
        for batch in batches(rows):
            writer.write_lines(b"\n".join(map(orjson.dumps, batch)) + b"\n")

    def pythonize_batches(writer: rawsink.PartitionWriter) -> None:
        for batch in batches(rows):
            writer.write_lines(b"".join(map(pythonized.line, batch)))

    file = place.folder / "rows.jsonl"
    file.write_bytes(text)

    def program() -> None:
        key, run_id = place.partition()
        command = [shutil.which("rawsink", path=Path(sys.executable).parent), "write", key.path, file, "--run-id", run_id]
        subprocess.run(command, check=True, env=place.environment(), capture_output=True)

    return {
        "rawsink write FILE": program,
        "json.dumps, hashlib, a file": lambda: by_hand(rows, place.folder),
        "write_payload_row": lambda: place.write(one_by_one),
        "write_rows": lambda: place.write(lambda writer: writer.write_rows(rows)),
        "pythonize in batches, write_lines": lambda: place.write(pythonize_batches),
        "orjson in batches, write_lines": lambda: place.write(orjson_batches),
        "write_lines of one buffer": lambda: place.write(lambda writer: writer.write_lines(text)),
    }


def reading(place: Place, text: bytes) -> dict[str, Callable[[], object]]:
    key, run_id = place.partition()
    with place.sink.write_partition(key, run_id) as writer:
        writer.write_lines(text)
        writer.finalize()

    def reader() -> rawsink.PartitionReader:
        return place.sink.open_partition(key, run_id)

    def count(rows: Iterator[object]) -> int:
        return sum(1 for _ in rows)

    return {
        "read_bytes": lambda: reader().read_bytes(),
        "lines": lambda: count(reader().lines()),
        "rows with orjson": lambda: count(reader().rows(orjson.loads)),
        "rows": lambda: count(reader().rows()),
        "json.loads of bytes in memory": lambda: count(map(json.loads, text.splitlines())),
    }


def others(place: Place, text: bytes) -> dict[str, Callable[[], object]]:
    """Other ways to bring the same bytes into a bucket. None of them checks, seals or refuses anything."""
    import boto3
    import obstore
    import s3fs
    from obstore.store import S3Store

    login = {"aws_access_key_id": place.key, "aws_secret_access_key": place.secret}
    client = boto3.client("s3", endpoint_url=place.endpoint, region_name="us-east-1", **login)
    store = S3Store(
        place.name,
        endpoint=place.endpoint,
        access_key_id=place.key,
        secret_access_key=place.secret,
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    files = s3fs.S3FileSystem(key=place.key, secret=place.secret, endpoint_url=place.endpoint)

    def path() -> str:
        return f"{place.prefix}/{uuid.uuid4().hex}"

    def by_s3fs() -> None:
        with files.open(f"{place.name}/{path()}", "wb") as file:
            file.write(text)

    return {
        "write_lines of one buffer": lambda: place.write(lambda writer: writer.write_lines(text)),
        "boto3 upload_fileobj": lambda: client.upload_fileobj(io.BytesIO(text), place.name, path()),
        "obstore put": lambda: obstore.put(store, path(), text),
        "s3fs": by_s3fs,
    }


def dlt_way(place: Place, rows: list[dict[str, object]]) -> Callable[[], object]:
    import dlt
    from dlt.destinations import filesystem

    def land() -> None:
        credentials = {
            "aws_access_key_id": place.key,
            "aws_secret_access_key": place.secret,
            "endpoint_url": place.endpoint,
        }
        target = filesystem(f"s3://{place.name}/{path_of()}", credentials=credentials)
        pipeline = dlt.pipeline(
            f"bench_{uuid.uuid4().hex[:8]}", destination=target, pipelines_dir=str(place.folder / "dlt")
        )
        pipeline.run(
            dlt.resource(rows, name="rows", max_table_nesting=0), loader_file_format="jsonl"
        )

    def path_of() -> str:
        return f"{place.prefix}/dlt-{uuid.uuid4().hex[:8]}"

    return land


def small(place: Place, partitions: int) -> None:
    """Land many small partitions by 16 threads."""
    rows = [row(number) for number in range(7)]

    def land(number: int) -> None:
        key = rawsink.PartitionKey("small", str(number), "q", "2024-06-01")
        with place.sink.write_partition(key, uuid.uuid4().hex) as writer:
            writer.write_rows(rows)
            writer.finalize()

    start, used = time.monotonic(), cpu()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(land, range(partitions)))
    seconds, used = time.monotonic() - start, cpu() - used
    per = used / partitions * 1e3
    print(f"| {place.kind} | {partitions / seconds:,.0f} | {per:.2f} |", flush=True)


MEMORY = {
    "write_rows": "w.write_rows(row(n) for n in range(total // 300))",
    "write_payload_row": "for n in range(total // 300): w.write_payload_row(row(n))",
    "write_lines": "for _ in range(total // len(block)): w.write_lines(block)",
}


def memory(kind: str, folder: Path, mib: int) -> None:
    """Print the peak of a process that lands or reads a payload, above one that only imports."""
    start = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path; from bench import Place, row; import orjson, gc\n"
        f"p = Place({kind!r}, Path({str(folder)!r})); total = {mib} << 20\n"
        "block = b''.join(orjson.dumps(row(n)) + b'\\n' for n in range(3000))\n"
        "key, run = p.partition()\n"
        # Not `ru_maxrss`, which begins with that of the parent.
        "peak = lambda: int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1024\n"
        "with p.sink.write_partition(key, run) as w:\n    w.write_lines(block)\n    w.finalize()\n"
        "before = peak(); key, run = p.partition()\n"
    )
    wrap = "with p.sink.write_partition(key, run) as w:\n    {}\n    w.finalize()\nprint(peak() - before)"
    ways = {name: wrap.format(code) for name, code in MEMORY.items()}
    ways["lines"] = (
        wrap.format(MEMORY["write_lines"]).rsplit("\n", 1)[0]
        + "\nbefore = peak()\nfor _ in p.sink.open_partition(key, run).lines(): pass\nprint(peak() - before)"
    )
    for name, code in ways.items():
        ran = subprocess.run([sys.executable, "-c", start + code], stdout=subprocess.PIPE, text=True, check=True)
        print(f"| {kind} | {name} | {float(ran.stdout):.0f} |", flush=True)


def import_time(rounds: int) -> float:
    """Return how much longer a program runs that imports the package, in ms."""

    def run(code: str) -> float:
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True)
        return (time.monotonic() - start) * 1e3

    pairs = [run("import rawsink") - run("pass") for _ in range(rounds)]
    return statistics.median(pairs)


# A writer dies with an open upload; the next one of the run waits for the grace, inside `finalize`.
# With one part in flight, the third one shows that the first has arrived.
DIE = """
w = sink.write_partition(key, run)
w.write_rows([{"text": "x" * 1000}] * 17000)
os.kill(os.getpid(), 9)
"""
WAIT = """
# A job in the background of a shell ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
w = sink.write_partition(key, run)
w.write_payload_row({"n": 1})
print("waiting", flush=True)
try:
    w.finalize()
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
"""


def interrupt_time(place: Place) -> float:
    """Return the seconds from SIGINT to the `KeyboardInterrupt` of a program that waits for the grace."""
    start = (
        "import os, signal, time, rawsink\n"
        f"sink = rawsink.RawSink.bucket({place.name!r}, prefix={place.prefix!r}, endpoint_url={place.endpoint!r}, "
        f"access_key_id={place.key!r}, secret_access_key={place.secret!r}, "
        f"state={str(place.folder / 'state.db')!r}, part_bytes='5MiB', uploads_in_flight=1)\n"
        f"key, run = rawsink.PartitionKey('ads', '1', 'q', '2024-06-02'), {uuid.uuid4().hex!r}\n"
    )
    subprocess.run([sys.executable, "-c", start + DIE], check=False)
    with subprocess.Popen([sys.executable, "-c", start + WAIT], stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        waiting.stdout.readline()
        # It must have begun to wait.
        time.sleep(3)
        sent = time.monotonic()
        waiting.send_signal(signal.SIGINT)
        return float(waiting.stdout.readline()) - sent


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=200_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--partitions", type=int, default=2_000)
    options.add_argument("--memory-mib", type=int, default=1024)
    chosen = options.parse_args()
    rows = [row(number) for number in range(chosen.rows)]
    text = b"".join(orjson.dumps(one) + b"\n" for one in rows)
    folder = Path(tempfile.mkdtemp(dir="."))
    try:
        print(f"import: {import_time(chosen.rounds * 3):.0f} ms")
        places = [Place(kind, folder) for kind in ("directory", "bucket")]
        times = [interrupt_time(places[1]) for _ in range(chosen.rounds)]
        print(f"Ctrl-C in the grace: {min(times):.3f} to {max(times):.3f} s")
        for place in places:
            found = measure(writing(place, rows, text), chosen.rounds)
            table(f"Writing to a {place.kind}", found, len(rows), len(text), "write_lines of one buffer")
            shutil.rmtree(folder / "raw" / "ads", ignore_errors=True)
        for place in places:
            found = measure(reading(place, text), chosen.rounds)
            table(f"Reading from a {place.kind}", found, len(rows), len(text), "lines")
        found = measure(others(places[1], text), chosen.rounds)
        table("The same bytes by other tools", found, len(rows), len(text), "write_lines of one buffer")
        ways = {"write_rows": writing(places[1], rows, text)["write_rows"], "dlt": dlt_way(places[1], rows)}
        table("The same dicts by dlt", measure(ways, 1), len(rows), len(text), "write_rows")
        print("\nSmall partitions by 16 threads\n\n| where | a second | CPU ms each |\n|---|---|---|")
        for place in places:
            small(place, chosen.partitions)
        if chosen.memory_mib:
            print(f"\nPeak memory of {chosen.memory_mib} MiB\n\n| where | call | MiB |\n|---|---|---|")
            for kind in ("directory", "bucket"):
                memory(kind, folder, chosen.memory_mib)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
