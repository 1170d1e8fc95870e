"""What happens at a fork and at the end of the interpreter."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from typing import Protocol

from . import _rawsink


class _Writer(Protocol):
    def abort(self) -> None: ...


_writers: weakref.WeakSet[_Writer] = weakref.WeakSet()


def watch(writer: _Writer) -> None:
    """Abort a writer at the end of the interpreter, unless it has ended."""
    _writers.add(writer)


@atexit.register
def _abort_writers() -> None:
    for writer in list(_writers):
        writer.abort()
    if threading.active_count() > 1:
        _rawsink.interpreter_ends()


def _close_inherited_locks() -> None:
    # A copy that stays open would lock the run after the death of the parent.
    _writers.clear()
    for descriptor in _rawsink.inherited_locks():
        # Another thread of the parent may have closed it at that moment.
        with contextlib.suppress(OSError):
            os.close(descriptor)


os.register_at_fork(after_in_child=_close_inherited_locks)
