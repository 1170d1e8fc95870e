"""Compares what each tool reads through the package with what was landed: check.py [--page FILE] [TOOL...]

In a directory and in the bucket of the RAW_SINK_* variables. Then Spark reads many runs while one of its executors is
killed. Ends with 1 if a tool returns other rows, if a damaged payload is no error in one, or if the page changes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rawsink
import rawsink.fs
from rawsink import _verified

import tools

RUN = "2024-06-02T00:00:00.000Z"
ODD = ["a*b", "a?b", "a[1]b", "{a,b}", "100%", "%41", "a b", "é", "a#b"]
# The rows of each customer, by the property that they test.
CASES: dict[str, dict[str, list[dict[str, Any]]]] = {
    "late columns": {"1": [{"id": "a"}], "2": [{"id": "b"}, {"id": "c", "late": "x"}]},
    "text": {"007": [{"id": "001"}, {"id": "2024-06-01"}], "1e5": [{"id": "1_000"}]},
    "dates": {"1": [{"id": "2024-06-01"}]},
    "empty payload": {"1": [{"id": "a"}], "2": []},
    "odd names": {name: [{"id": name}] for name in ODD},
    "flipped bit": {"1": [{"id": "a"}] * 9, "2": [{"id": "b"}]},
}
# What tools that take files do by themselves.
KNOWN = {
    ("DuckDB, files", "dates"): "other: a date of text",
    ("Polars, files", "empty payload"): "error",
    ("PyArrow, dataset", "empty payload"): "error",
}


def source_of(case: str) -> str:
    return case.replace(" ", "_")


def open_sink(kind: str, folder: Path) -> rawsink.RawSink:
    """Open a sink by a file of settings, as executors do."""
    settings = {"RAW_SINK_STATE_URL": f"sqlite:{folder}/{kind}.db"}
    if kind == "directory":
        (folder / "raw").mkdir()
        settings |= {"RAW_SINK": "filesystem", "RAW_SINK_ROOT": str(folder / "raw")}
    else:
        names = ("ENDPOINT_URL", "BUCKET", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
        settings |= {f"RAW_SINK_{name}": os.environ[f"RAW_SINK_{name}"] for name in names}
        settings |= {"RAW_SINK": "object", "RAW_SINK_PREFIX": f"tools/{uuid.uuid4().hex}"}
    file = folder / f"{kind}.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    file.chmod(0o600)
    os.environ["TOOLS_ENV_FILE"] = str(file)
    os.environ |= settings
    return rawsink.RawSink.from_file(file)


def land(sink: rawsink.RawSink, key: rawsink.PartitionKey, rows: list[dict[str, Any]]) -> None:
    with sink.write_partition(key, RUN) as writer:
        writer.write_rows(rows)
        writer.finalize(api_version="v1", query_hash="q")
    assert sink.validate_partition(key, RUN).passed


def flip(sink: rawsink.RawSink, key: rawsink.PartitionKey) -> None:
    """Flip a bit of a payload so that it stays JSON: no reader notices by itself."""
    scheme, _, root = sink.uri.partition("://")
    place = f"{root}/{key.path}/run_id={RUN}/payload.jsonl"
    if scheme == "file":
        path = Path(place)
        path.chmod(0o640)
        path.write_bytes(path.read_bytes().replace(b'"a"', b'"q"', 1))
        return
    user = os.environ["RAW_SINK_ACCESS_KEY_ID"] + ":" + os.environ["RAW_SINK_SECRET_ACCESS_KEY"]
    url = f"{os.environ['RAW_SINK_ENDPOINT_URL']}/{place}"
    curl = ["curl", "-sSf", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", user, url.replace("=", "%3D").replace(":00", "%3A00")]
    data = subprocess.run(curl, stdout=subprocess.PIPE, check=True).stdout.replace(b'"a"', b'"q"', 1)
    curl += ["-H", f"x-amz-content-sha256: {hashlib.sha256(data).hexdigest()}", "-H", "content-type: application/json"]
    subprocess.run([*curl, "--data-binary", "@-", "-X", "PUT"], input=data, check=True)


def try_tool(name: str, sink: rawsink.RawSink, case: str) -> str:
    rows = CASES[case]
    expected = tools.plain([{"customer_id": who, **row} for who in rows for row in rows[who]])
    _verified._forget()
    try:
        found = tools.plain(tools.TOOLS[name][1](sink, source_of(case)))
    except Exception as error:
        named = "SHA-256" in str(error)
        return "error" if case != "flipped bit" or named else f"another error: {error}"
    if found == expected:
        return "yes"
    dates = any(str(value).startswith("date ") for row in found for value in row)
    return "other: a date of text" if dates else f"WRONG: {found}"


def compare(kind: str, folder: Path, chosen: list[str]) -> dict[tuple[str, str], str]:
    sink = open_sink(kind, folder)
    rawsink.fs.RawSinkFileSystem.clear_instance_cache()
    for case, customers in CASES.items():
        for who, rows in customers.items():
            land(sink, rawsink.PartitionKey(source_of(case), who, "q", "2024-06-01"), rows)
    flip(sink, rawsink.PartitionKey("flipped_bit", "1", "q", "2024-06-01"))
    results = {}
    for name in chosen:
        for case in CASES:
            results[name, case] = try_tool(name, sink, case)
            print(f"{kind}: {name}: {case}: {results[name, case]}", flush=True)
    return results


def digest(rows: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()


def kill_an_executor(kind: str, folder: Path) -> bool:
    """Read many runs with Spark while one executor is killed. Return whether all rows came, each once."""
    sink = rawsink.RawSink.from_file(folder / f"{kind}.env")
    keys = [rawsink.PartitionKey("many", str(n), "q", "2024-06-01") for n in range(40)]
    for key in keys:
        land(sink, key, [{"id": f"{key.customer_id}-{n}", "text": "x" * 200} for n in range(2_000)])
    by_program = [
        line.decode() for key in keys for line in sink.open_current(key).lines()
    ]
    found = subprocess.run(["pgrep", "-f", "CoarseGrainedExecutorBackend"], stdout=subprocess.PIPE, text=True)
    executors = [int(number) for number in found.stdout.split() if is_below(int(number), os.getpid())]
    assert len(executors) == 2, executors
    killed: list[float] = []

    def kill() -> None:
        time.sleep(1.5)
        os.kill(executors[0], signal.SIGKILL)
        killed.append(time.monotonic())

    frame = tools.spark().read.format("rawsink").option("env_file", str(folder / f"{kind}.env"))
    frame = frame.schema("id string, text string, customer_id string").load("many")
    killer = threading.Thread(target=kill)
    killer.start()
    rows = [json.dumps({"id": row.id, "text": row.text}, separators=(",", ":")) for row in frame.collect()]
    ended = time.monotonic()
    killer.join()
    same = digest(rows) == digest(by_program)
    while_reading = killed[0] < ended
    print(f"{kind}: Spark: {len(rows):,} rows with one of two executors killed "
          f"{'while reading' if while_reading else 'TOO LATE'}: {'the same rows' if same else 'OTHER ROWS'}")
    return same and while_reading


def is_below(process: int, ancestor: int) -> bool:
    while process > 1:
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        if process == ancestor:
            return True
    return False


def page(results: dict[str, dict[tuple[str, str], str]], chosen: list[str]) -> str:
    kinds = list(results)
    lines = [
        "# Tools that read through the Python package",
        "",
        "Each tool gets every row of the runs that have authority, and an error in place of a damaged payload. `make tools-test` reads the",
        "same rows with each tool, in a directory and in a bucket, and writes this page.",
        "",
        "| property | the rows |",
        "|---|---|",
        "| late columns | have a member that appears only in the last row of the last file |",
        "| text | are of customer `007`, and hold text such as `001` and `2024-06-01` |",
        "| dates | hold text that looks like a date, and nothing else |",
        "| empty payload | are those of one run beside a run without rows |",
        f"| odd names | are of customers named {', '.join(f'`{name}`' for name in ODD)} |",
        "| flipped bit | are JSON, but not those that were sealed |",
        "",
        "**yes**: exactly these rows. **error**: the tool raises an error, for a flipped bit that of the package.",
        "",
        f"| tool | call | {' | '.join(CASES)} |",
        "|---|---|" + "---|" * len(CASES),
    ]
    for name in chosen:
        cells = []
        for case in CASES:
            found = [results[kind][name, case] for kind in kinds]
            cells.append(found[0] if len(set(found)) == 1 else "; ".join(f"{k}: {f}" for k, f in zip(kinds, found, strict=True)))
        lines.append(f"| {name} | {tools.TOOLS[name][0]} | {' | '.join(cells)} |")
    names = ("duckdb", "polars", "pyarrow", "pandas", "dask", "pyspark", "fsspec")
    lines += ["", "Tested with " + ", ".join(f"{name} {version(name)}" for name in names) + ".", ""]
    lines += [
        "PyArrow and Polars take a file of zero bytes for a broken one: leave out files whose `size` is 0. DuckDB makes a date of text that looks",
        "like one unless the query names the columns. The scans of the package do neither.",
        "",
        "Spark reads each run in one task, on two executors of a cluster. When one of them is killed while it reads, the rows are those that",
        "`rawsink read --current` prints, each once.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--page", type=Path)
    options.add_argument("tools", nargs="*", default=list(tools.TOOLS))
    chosen = options.parse_args()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = {kind: compare(kind, folder, chosen.tools) for kind in ("directory", "bucket")}
        for kind, found in results.items():
            for (tool, case), result in found.items():
                wanted = "error" if case == "flipped bit" else KNOWN.get((tool, case), "yes")
                if result != wanted:
                    print(f"{kind}: {tool}: {case}: {result}, expected {wanted}", file=sys.stderr)
                    good = False
        if "Spark" in chosen.tools:
            good &= all([kill_an_executor(kind, folder) for kind in results])
            tools.spark().stop()
    if chosen.page is not None:
        chosen.page.write_text(page(results, chosen.tools))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
