"""Writes docs/alternatives.md from the cells that check.py found."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

CALLS = {
    "rawsink": "`rawsink write PARTITION -- COMMAND`",
    "dlt": "`pipeline.run(rows)` with the filesystem destination, `jsonl`, 100 rows a file",
    "boto3": "`upload_fileobj(stream)`",
    "obstore": "`put(store, name, stream)`",
    "rclone": "`COMMAND \\| rclone rcat`",
    "s5cmd": "`COMMAND \\| s5cmd pipe --part-size 5`",
}
BETTER_AT = {
    "rawsink": "raw rows of an API, kept once and unchanged, a day at a time",
    "dlt": "loading rows into databases and warehouses: it finds types, follows changes of a schema and loads incrementally",
    "boto3": "everything that S3 can do, from tags to lifecycle rules",
    "obstore": "fast reading and writing of objects from Python, on S3, Google Cloud and Azure with one API",
    "rclone": "copying and synchronising files between many kinds of storage",
    "s5cmd": "copying, listing and deleting very many objects fast",
}
TRIED = {
    "overwrite": "A day of 4,000 rows (39 MiB) is written, then the same day with other rows. **yes**: the bucket has exactly the first rows.",
    "race": (
        "Two writers of one day each send half of their rows, then both the rest. **yes**: one exits with 0 and the bucket has "
        "exactly its rows; the other exits with an error."
    ),
    "dead": "The producer prints half of the rows and fails (exit code 1, or an exception in Python). **yes**: no rows in the bucket.",
    "killed": (
        "`kill -9` of the writer after half of the rows; of dlt, which sends only after it has all rows, when its first file "
        "is in the bucket. **yes**: no rows in the bucket."
    ),
    "html": "The producer prints the error page of a proxy and exits with 0. **yes**: it is not in the bucket.",
    "digest": "One bit in the middle of an object is flipped in the bucket. **yes**: reading with the tool fails.",
    "mark": "The bucket is searched for a mark that the complete day has and the days of the failed and killed writers lack.",
    "coverage": "June 1 and 3 are written. **yes**: the tool names June 2 when it lists its days.",
}
NOTES = [
    "A shell pipe does not tell `rawsink` either that its producer failed: `COMMAND | rawsink write PARTITION` seals half of the rows, unless "
    "`--expect-records` or `--min-records` says how many to expect. The same holds for rclone and s5cmd, which know only pipes; write a file "
    "first, and copy it if the producer succeeded.",
    "`rawsink` compares writes of one run id. A write under a new run id is a new run of the day beside the first, and the validator decides which "
    "run consumers read. A second writer of the same run waits for the first one before it decides (90 s by default).",
    "With `append`, its default, dlt adds the second rows to the first. With `replace` it deletes the first rows; two such writers at once can leave "
    "rows of both. Each load is recorded in `_dlt_loads` after its last file, so a reader that compares every file with this table sees "
    "only complete loads. dlt finds a flipped bit because it compresses its files: gzip has a checksum.",
    "`upload_fileobj` of this boto3 does not take `IfNoneMatch`; `put_object` does, with the day in memory.",
    "With boto3 and obstore an object exists only if its upload was completed. That is a mark for a day of one object, without the "
    "number of rows.",
    "`rclone checksum` compares with a file of digests that you made when you wrote the day, and keep elsewhere. `rcat --immutable` overwrites like `rcat`.",
    "`s5cmd pipe --no-clobber` exits with 0 when it skips an existing object. Two writers at once both exit with 0, and the rows of one are lost.",
    "An upload in parts that was killed may stay open in the bucket. Readers do not see it, but it costs storage until it is aborted. `rawsink clean`, `rclone cleanup` "
    "and lifecycle rules delete such uploads.",
]


def table(tools: list[str], rows: dict[str, str], cells: dict[tuple[str, str], str]) -> str:
    lines = [f"| | {' | '.join(tools)} |", "|---|" + "---|" * len(tools)]
    lines += [f"| {name} | {' | '.join(cells[row, tool] for tool in tools)} |" for row, name in rows.items()]
    return "\n".join(lines)


def versions(programs: Path) -> str:
    modules = []
    for name in ("rclone", "s5cmd"):
        built = subprocess.run(["go", "version", "-m", str(programs / name)], stdout=subprocess.PIPE, text=True, check=True)
        modules.append(f"{name} {next(line.split()[2] for line in built.stdout.splitlines() if line.split()[0] == 'mod')[1:]}")
    return ", ".join([*(f"{name} {version(name)}" for name in ("dlt", "s3fs", "boto3", "obstore")), *modules])


def text(tools: list[str], rows: dict[str, str], cells: dict[tuple[str, str], str], programs: Path) -> str:
    lines = [
        "# Alternatives, measured",
        "",
        "Which guarantees of `rawsink` do the tools keep that people use instead? `make alternatives-test` tries each of them against a MinIO, looks into",
        "the bucket afterwards, and writes this page.",
        "",
        table(tools, rows, cells),
        "",
        "**yes**: with the usual call. **with `OPTION`**: with this option or call. **no**: neither with the usual call nor with an option that we know.",
        "",
        "## What each is for",
        "",
        "These are good tools. Most cells that say no are outside their job.",
        "",
        "| tool | usual call | better at |",
        "|---|---|---|",
        *(f"| {tool} | {CALLS[tool]} | {BETTER_AT[tool]} |" for tool in tools),
        "",
        "## How each row was tried",
        "",
        "| row | test |",
        "|---|---|",
        *(f"| {name} | {TRIED[row]} |" for row, name in rows.items()),
        "",
        "## Notes",
        "",
        *(f"- {note}" for note in NOTES),
        "",
        f"Tested with {versions(programs)}.",
        "",
    ]
    return "\n".join(lines)
