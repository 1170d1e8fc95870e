"""An extractor for the recipes. It kills the worker once before a seal, and once after one."""

from __future__ import annotations

import datetime
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rawsink

HERE = Path(__file__).parent


def die_once(name: str) -> None:
    """End this process, unless it happened before."""
    try:
        (HERE / name).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def pages(customer_id: str, day: datetime.date) -> Iterator[list[dict[str, Any]]]:
    with (HERE / "calls").open("a") as calls:
        calls.write(f"{customer_id}\n")
    yield [{"clicks": 1}]
    if customer_id == "123":
        die_once("before the seal")
    yield [{"clicks": 2}]


def finalize(writer: rawsink.PartitionWriter, **fields: Any) -> rawsink.Sealed:
    sealed = real(writer, **fields)
    if writer.key.customer_id == "456":
        die_once("after the seal")
    return sealed


real = rawsink.PartitionWriter.finalize
rawsink.PartitionWriter.finalize = finalize
