"""dlt: lets its ``filesystem`` source read ``rawsink://``. Needs ``pip install rawsink[dlt]``."""

from __future__ import annotations

from dlt.common.storages.fsspec_filesystem import MTIME_DISPATCH
from dlt.common.time import ensure_pendulum_datetime

from .fs import RawSinkFileSystem


def register() -> None:
    """Let dlt's ``filesystem`` source read ``rawsink://``.

    dlt has a table that says, for each protocol, which fact of a file is its modification date.
    The source raises ``KeyError`` for a protocol that is not in it.
    """
    protocol = str(RawSinkFileSystem.protocol)
    MTIME_DISPATCH[protocol] = lambda file: ensure_pendulum_datetime(file["mtime"])
