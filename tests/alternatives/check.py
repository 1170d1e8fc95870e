"""Tries the guarantees of rawsink with other tools, in the bucket of RAW_SINK_*: check.py --program RAWSINK --tools FOLDER [--page FILE]

Every cell is what was found in the bucket afterwards. Ends with 1 if one differs from EXPECTED. FOLDER has rclone and s5cmd.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any

import page

HERE = Path(__file__).resolve().parent
RUN = "2024-06-04T00:00:00.000Z"
TOOLS = ["rawsink", "dlt", "boto3", "obstore", "rclone", "s5cmd"]
LIBRARIES = ("dlt", "boto3", "obstore")
ROWS = {
    "overwrite": "A second write keeps the first rows",
    "race": "Of two writers at once, one succeeds and one fails",
    "dead": "A producer that fails halfway leaves no rows",
    "killed": "A writer killed by `kill -9` leaves no rows",
    "html": "An HTML error page is not stored as rows",
    "digest": "Reading notices a changed byte",
    "mark": "A reader can tell a complete day",
    "coverage": "The missing days are listed",
}
# Tried in this order; the first that keeps the guarantee is the cell. "" is the usual call.
OPTIONS: dict[tuple[str, str], list[str]] = {
    ("overwrite", "boto3"): ["", "put_object(IfNoneMatch='*')"],
    ("race", "boto3"): ["", "put_object(IfNoneMatch='*')"],
    ("overwrite", "obstore"): ["", 'mode="create"'],
    ("race", "obstore"): ["", 'mode="create"'],
    ("overwrite", "rclone"): ["", "--immutable"],
    ("race", "rclone"): ["", "--immutable"],
    ("overwrite", "s5cmd"): ["", "--no-clobber"],
    ("race", "s5cmd"): ["", "--no-clobber"],
    ("overwrite", "dlt"): ["", "replace"],
    ("race", "dlt"): ["", "replace"],
    ("html", "dlt"): ["", "schema_contract"],
    ("dead", "rawsink"): ["", "-- COMMAND"],
    ("digest", "rclone"): ["", "rclone checksum"],
}
# In the order of TOOLS.
EXPECTED = {
    "overwrite": ["yes", "no", "with `put_object(IfNoneMatch='*')`", 'with `mode="create"`', "no", "with `--no-clobber`"],
    "race": ["yes", "no", "with `put_object(IfNoneMatch='*')`", 'with `mode="create"`', "no", "no"],
    "dead": ["with `-- COMMAND`", "yes", "yes", "yes", "no", "no"],
    "killed": ["yes", "no", "yes", "yes", "yes", "yes"],
    "html": ["yes", "with `schema_contract`", "no", "no", "no", "no"],
    "digest": ["yes", "yes", "no", "no", "with `rclone checksum`", "no"],
    "mark": ["yes", "`_dlt_loads`", "the object exists", "the object exists", "no", "no"],
    "coverage": ["yes", "no", "no", "no", "no", "no"],
}


class Tool:
    """A tool with a prefix in the bucket, and what it wrote there."""

    def __init__(self, name: str, options: argparse.Namespace, root: Path) -> None:
        self.name, self.program, self.folder = name, str(options.program.resolve()), root / name
        self.folder.mkdir()
        self.prefix = f"alternatives/{uuid.uuid4().hex}"
        self.bucket = os.environ["RAW_SINK_BUCKET"]
        key, secret, url = (os.environ[f"RAW_SINK_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ENDPOINT_URL"))
        self.env = os.environ | {
            "PATH": f"{options.tools.resolve()}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "ALTERNATIVES_PREFIX": self.prefix,
            "RAW_SINK": "object",
            "RAW_SINK_PREFIX": self.prefix,
            "RAW_SINK_STATE_URL": f"sqlite:{self.folder}/state.db",
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_MINIO_TYPE": "s3",
            "RCLONE_CONFIG_MINIO_PROVIDER": "Minio",
            "RCLONE_CONFIG_MINIO_ENDPOINT": url,
            "RCLONE_CONFIG_MINIO_ACCESS_KEY_ID": key,
            "RCLONE_CONFIG_MINIO_SECRET_ACCESS_KEY": secret,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
            "S3_ENDPOINT_URL": url,
        }

    def partition(self, day: str) -> str:
        return f"ads/1/campaign/{day}"

    def address(self, day: str) -> str:
        remote = "minio:" if self.name == "rclone" else "s3://"
        return f"{remote}{self.bucket}/{self.prefix}/{day}.jsonl"

    def start(self, day: str, tag: str, mode: str, folder: Path, option: str = "") -> list[subprocess.Popen[bytes]]:
        """Start the writer of a day, and before it the producer of a pipe. Return the writer last."""
        python = [sys.executable, str(HERE / "writers.py")]
        producer = [sys.executable, str(HERE / "rows.py"), tag, mode, str(folder)]
        log = (folder / f"{tag}.log").open("wb")
        if self.name in LIBRARIES:
            command = [*python, self.name, day, tag, mode, str(folder), option]
            return [subprocess.Popen(command, env=self.env, stdout=log, stderr=log)]
        if self.name == "rawsink" and (option or mode != "dead"):
            command = [self.program, "write", self.partition(day), "--run-id", RUN, "--", *producer]
            return [subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)]
        commands = {
            "rawsink": [self.program, "write", self.partition(day), "--run-id", RUN],
            "rclone": ["rclone", "rcat", *option.split(), self.address(day)],
            # Its parts are of 50 MiB otherwise, more than a day.
            "s5cmd": ["s5cmd", "pipe", "--part-size", "5", *option.split(), self.address(day)],
        }
        first = subprocess.Popen(producer, env=self.env, stdout=subprocess.PIPE, stderr=log)
        second = subprocess.Popen(commands[self.name], env=self.env, stdin=first.stdout, stdout=log, stderr=log)
        assert first.stdout is not None
        first.stdout.close()
        return [first, second]

    def write(self, day: str, tag: str, mode: str = "whole", option: str = "") -> int:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        return [process.wait(300) for process in self.start(day, tag, mode, self.state_of(folder), option)][-1]

    def state_of(self, folder: Path) -> Path:
        # A pipeline of dlt keeps its schema in its folder.
        return self.folder if self.name == "dlt" else folder

    def objects(self, day: str) -> dict[str, bytes]:
        """Return what a reader of the bucket finds below the name of a day, without marks."""
        found = {}
        for name in self.names():
            if (day in name or day.replace("-", "_") in name) and not name.endswith("/metadata.json"):
                found[name] = s3().get_object(Bucket=self.bucket, Key=name)["Body"].read()
        return found

    def names(self) -> list[str]:
        pages = s3().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def writers_of(self, day: str) -> dict[str, int]:
        """Return how many rows of which writer a day has."""
        count: collections.Counter[str] = collections.Counter()
        for name, data in self.objects(day).items():
            for line in (gzip.decompress(data) if name.endswith(".gz") else data).splitlines():
                count[json.loads(line)["writer"]] += 1
        return dict(count)

    def read(self, day: str) -> int:
        commands = {
            "rawsink": [self.program, "read", self.partition(day), "--latest"],
            "rclone": ["rclone", "cat", self.address(day)],
            "s5cmd": ["s5cmd", "cat", self.address(day)],
        }
        command = commands.get(self.name, [sys.executable, str(HERE / "writers.py"), "read", self.name, day])
        return subprocess.run(command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300).returncode

    def listed(self) -> str:
        """Return what the tool says about its days."""
        if self.name in LIBRARIES:
            return "\n".join(self.names())
        commands = {
            "rawsink": [self.program, "coverage", "ads", "--until", "2024-06-03"],
            "rclone": ["rclone", "lsl", f"minio:{self.bucket}/{self.prefix}"],
            "s5cmd": ["s5cmd", "ls", f"s3://{self.bucket}/{self.prefix}/"],
        }
        return subprocess.run(commands[self.name], env=self.env, stdout=subprocess.PIPE, text=True).stdout


def s3() -> Any:
    import writers

    return writers.s3()


def wait_for(condition: Any, processes: list[subprocess.Popen[bytes]] | None = None) -> None:
    end = time.monotonic() + 120
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("a writer did not come to its half")
        if processes and processes[-1].poll() is not None:
            return
        time.sleep(0.005)


def overwrite(tool: Tool, day: str, option: str) -> bool:
    assert tool.write(day, "first", option=option) == 0
    code = tool.write(day, "second", option=option)
    found = tool.writers_of(day)
    print(f"  the second write ended with {code}; rows: {found}")
    return found == {"first": 4_000}


def race(tool: Tool, day: str, option: str) -> bool:
    folder = Path(tempfile.mkdtemp(dir=tool.folder))
    running = {tag: tool.start(day, tag, "gate", folder, option) for tag in ("one", "two")}
    for tag, processes in running.items():
        wait_for((folder / f"{tag}.half").exists, processes)
    (folder / "go").touch()
    codes = {tag: [process.wait(300) for process in processes][-1] for tag, processes in running.items()}
    found = tool.writers_of(day)
    print(f"  the writers ended with {codes}; rows: {found}")
    successful = [tag for tag, code in codes.items() if code == 0]
    return len(successful) == 1 and found == {successful[0]: 4_000}


def dead(tool: Tool, day: str, option: str) -> bool:
    code = tool.write(day, "dead", "dead", option)
    found = tool.writers_of(day)
    print(f"  the writer ended with {code}; rows: {found}")
    return not found


def killed(tool: Tool, day: str, option: str) -> bool:
    folder = Path(tempfile.mkdtemp(dir=tool.folder))
    # dlt sends nothing before it has all rows: it is killed when the first of its files is in the bucket.
    processes = tool.start(day, "killed", "whole" if tool.name == "dlt" else "gate", folder, option)
    wait_for((lambda: tool.objects(day)) if tool.name == "dlt" else (folder / "killed.half").exists, processes)
    assert processes[-1].poll() is None, "the writer was not killed in time"
    processes[-1].kill()
    (folder / "go").touch()
    for process in processes:
        process.wait(300)
    found = tool.writers_of(day)
    print(f"  rows: {found}")
    assert sum(found.values()) < 4_000, "the writer was killed too late"
    return not found


def html(tool: Tool, day: str, option: str) -> bool:
    # A contract freezes the columns that dlt knows from earlier rows.
    if tool.name == "dlt":
        assert tool.write(day, "html") == 0
    code = tool.write(day, "html", "html", option)
    stored = [data for name, data in tool.objects(day).items() if b"502 Bad" in (gzip.decompress(data) if name.endswith(".gz") else data)]
    print(f"  the writer ended with {code}; {'stored' if stored else 'not stored'}")
    return not stored


def digest(tool: Tool, day: str, option: str) -> bool:
    assert tool.write(day, "digest") == 0
    assert tool.read(day) == 0
    sums = tool.folder / "sums"
    place = f"minio:{tool.bucket}/{tool.prefix}"
    if option:
        command = ["rclone", "hashsum", "SHA256", "--download", place, "--output-file", str(sums)]
        subprocess.run(command, env=tool.env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    name, data = next(iter(tool.objects(day).items()))
    metadata = s3().head_object(Bucket=tool.bucket, Key=name)["Metadata"]
    middle = len(data) // 2
    changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    s3().put_object(Bucket=tool.bucket, Key=name, Body=changed, Metadata=metadata)
    code = tool.read(day)
    if option:
        command = ["rclone", "checksum", "SHA256", str(sums), place, "--download"]
        code = subprocess.run(command, env=tool.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
    print(f"  reading ended with {code}")
    return code != 0


def coverage(tool: Tool, day: str, option: str) -> bool:
    for present in ("2024-06-01", "2024-06-03"):
        assert tool.write(present, "coverage") == 0
    listed = tool.listed()
    assert "2024-06-03" in listed or "2024_06_03" in listed, listed
    return "2024-06-02" in listed or "2024_06_02" in listed


def mark(tool: Tool) -> str:
    """Return the mark that a complete day has, and that the days of the failed and killed writers lack."""
    names = tool.names()
    dead_day, killed_day = day_of("dead", 0), day_of("killed", 0)
    if tool.name == "rawsink":
        # The day of the pipe is sealed: a pipe that ends looks complete.
        assert any(name.endswith("/metadata.json") for name in names)
        assert not any(killed_day in name and name.endswith("/metadata.json") for name in names)
        return "yes"
    if tool.name == "dlt":
        marked = {name.rpartition("__")[2].removesuffix(".jsonl") for name in names if "/_dlt_loads/" in name}
        loads = {load_of(name) for name in names if killed_day.replace("-", "_") in name}
        whole = {load_of(name) for name in names if day_of("digest", 0).replace("-", "_") in name}
        print(f"  _dlt_loads has the load of the whole day: {whole <= marked}, of the killed one: {bool(loads & marked)}")
        return "`_dlt_loads`" if whole and whole <= marked and loads and not loads & marked else "no"
    nothing = not tool.objects(dead_day) and not tool.objects(killed_day)
    return "the object exists" if nothing else "no"


def load_of(name: str) -> str:
    return ".".join(name.rpartition("/")[2].split(".")[:2])


def day_of(row: str, attempt: int) -> str:
    return f"2024-{list(ROWS).index(row) + 1:02}-{attempt + 10}"


def cell(tool: Tool, row: str) -> str:
    for attempt, option in enumerate(OPTIONS.get((row, tool.name), [""])):
        print(f"{tool.name}: {row} {option}", flush=True)
        if globals()[row](tool, day_of(row, attempt), option):
            return f"with `{option}`" if option else "yes"
    return "no"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    os.environ["ALTERNATIVES_PREFIX"] = ""
    cells: dict[tuple[str, str], str] = {}
    with tempfile.TemporaryDirectory() as name:
        for tool in [Tool(name_of_tool, options, Path(name)) for name_of_tool in TOOLS]:
            for row in ROWS:
                cells[row, tool.name] = mark(tool) if row == "mark" else cell(tool, row)
                print(f"{tool.name}: {ROWS[row]}: {cells[row, tool.name]}", flush=True)
    good = True
    for row, expected in EXPECTED.items():
        for tool_name, wanted in zip(TOOLS, expected, strict=True):
            if cells[row, tool_name] != wanted:
                print(f"{tool_name}: {ROWS[row]}: {cells[row, tool_name]}, expected {wanted}", file=sys.stderr)
                good = False
    if options.page is not None:
        options.page.write_text(page.text(TOOLS, ROWS, cells, options.tools))
        if page.table(TOOLS, ROWS, cells) not in (HERE.parents[1] / "README.md").read_text():
            print("README.md has another table than docs/alternatives.md", file=sys.stderr)
            good = False
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
