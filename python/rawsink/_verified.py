"""Payloads as files that were verified before the first byte is read."""

from __future__ import annotations

import collections
import errno
import io
import json
import os
import threading
from typing import TYPE_CHECKING, Any

from . import _rawsink
from ._errors import RawSinkError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_Name = tuple[str, str, str]
"""A sink, a run and the SHA-256 of its payload."""

MOST_OPEN = 64
"""Number of verified payloads that a process keeps open."""

spool_bytes = 4 << 30
"""Length of all payloads from buckets that a process keeps in temporary files."""


class Verified:
    """A descriptor of a whole, verified payload, and what the verification found."""

    def __init__(self, native: _rawsink.PartitionReader, *, infer: bool) -> None:
        try:
            self.number, self.spooled, shape, self.longest = native._verified(infer)
        except OSError as error:
            if error.errno != errno.ENOSPC or isinstance(error, RawSinkError):
                raise
            message = (
                "no space is left for the temporary file of the payload: set TMPDIR to a folder "
                "with more space, or read it by open_partition"
            )
            raise OSError(errno.ENOSPC, message, native.path) from error
        self.size = native.payload_bytes
        self.shape: Any = None if shape is None else json.loads(shape)
        """The types of all rows, if they were asked for."""

    def open(self) -> io.BufferedReader:
        """Return a file at its first byte."""
        return io.BufferedReader(_File(self), buffer_size=1 << 16)

    def __del__(self) -> None:
        # It has none if the payload is damaged.
        if hasattr(self, "number"):
            os.close(self.number)


class _File(io.RawIOBase):
    """Reads a payload. Files that share a descriptor have a position each."""

    def __init__(self, payload: Verified) -> None:
        self._payload = payload
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = os.preadv(self._payload.number, [buffer], self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._payload.size}
        if start[whence] + offset < 0:
            raise OSError(errno.EINVAL, "negative seek position")
        self._position = start[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    @property
    def size(self) -> int:
        """The length in bytes."""
        return self._payload.size


class _Kept:
    """The verified payloads that this process keeps open, the least recently used first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._verifying: dict[_Name, threading.Lock] = {}
        self._payloads: collections.OrderedDict[_Name, Verified] = collections.OrderedDict()

    def get(self, name: _Name, native: _rawsink.PartitionReader, *, infer: bool) -> Verified:
        """Return the payload, which is verified first unless it is kept."""
        with self._lock:
            verifying = self._verifying.setdefault(name, threading.Lock())
        # Threads that open the same payload verify it once.
        with verifying:
            with self._lock:
                kept = self._payloads.get(name)
                if kept is not None and (kept.shape is not None or not infer):
                    self._payloads.move_to_end(name)
                    return kept
            try:
                made = Verified(native, infer=infer)
            finally:
                with self._lock:
                    self._verifying.pop(name, None)
            with self._lock:
                self._payloads[name] = made
                self._trim()
            return made

    def _trim(self) -> None:
        spooled = sum(kept.size for kept in self._payloads.values() if kept.spooled)
        while len(self._payloads) > MOST_OPEN or spooled > spool_bytes:
            _, oldest = self._payloads.popitem(last=False)
            spooled -= oldest.size if oldest.spooled else 0


_kept = _Kept()


def _forget() -> None:
    # Another thread of the parent may have held the lock.
    global _kept
    _kept = _Kept()


os.register_at_fork(after_in_child=_forget)


def verified(place: str, native: _rawsink.PartitionReader, *, infer: bool = False) -> Verified:
    """Return a payload of the sink at ``place``, verified once per process.

    In a directory the open file itself is verified and then read again; from a bucket the payload
    is copied to a temporary file without a name, in the folder of ``TMPDIR``.

    Raises :class:`Corrupt` if the payload differs from its seal or from what was validated.
    """
    try:
        size = native.payload_bytes
        if size > spool_bytes and not place.startswith("file:"):
            message = (
                f"the payload has {size} bytes, more than temporary files may have ({spool_bytes}): "
                "raise rawsink.fs.set_spool_bytes, or read it by open_partition"
            )
            raise OSError(errno.EFBIG, message, native.path)
        digest = native._sha256()
        if digest is None:
            return Verified(native, infer=infer)
        return _kept.get((place, native.path, digest), native, infer=infer)
    finally:
        native.close()
