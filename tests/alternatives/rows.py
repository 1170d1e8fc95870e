"""Rows of one day for the tools of check.py. As a program it prints them: rows.py TAG MODE FOLDER

MODE is `whole`, `dead` (half of the rows, then a failure), `gate` (half of the rows, then the others as soon as FOLDER has the file `go`),
or `html`, the error page of a proxy in place of rows. At half of the rows, FOLDER gets the file `TAG.half`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROWS = 4_000
# 10 KiB a row, 39 MiB a day: each tool sends parts before the half.
FILL = "x" * 10_200
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n"


def row(tag: str, number: int) -> dict[str, Any]:
    return {"writer": tag, "number": number, "text": FILL}


def records(tag: str, mode: str, folder: Path, count: int = ROWS) -> Iterator[dict[str, Any] | str]:
    if mode == "html":
        yield HTML
        return
    for number in range(count):
        if number == count // 2 and mode in ("dead", "gate"):
            (folder / f"{tag}.half").touch()
            if mode == "dead":
                raise RuntimeError("503 from the API after half of the rows")
            while not (folder / "go").exists():
                time.sleep(0.02)
        yield row(tag, number)


def lines(tag: str, mode: str, folder: Path) -> Iterator[bytes]:
    for record in records(tag, mode, folder):
        yield record.encode() if isinstance(record, str) else json.dumps(record).encode() + b"\n"


if __name__ == "__main__":
    for line in lines(sys.argv[1], sys.argv[2], Path(sys.argv[3])):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
