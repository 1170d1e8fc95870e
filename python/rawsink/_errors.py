"""The exceptions of the package: one for each kind of error.

Every exception has a base class of Python that existing code catches, and the attributes of
:class:`RawSinkError`.
"""

from __future__ import annotations

import errno
from typing import Any

from . import _rawsink


class RawSinkError(Exception):
    """An error of this package. Its class says what the caller should do.

    After every class but :class:`Unknown` and :class:`Corrupt` the writer's seal does not exist and
    will not appear.
    """

    kind: str = "Internal"
    """The kind of the error, as in ``rawsink --json``."""

    retryable: bool = False
    """Whether the same call, with the same run id, may succeed later."""

    partition: str | None = None
    """The canonical path of the logical partition."""

    run_id: str | None = None
    """The run."""

    path: str | None = None
    """The path of the file or object."""

    hint: str | None = None
    """The next step."""

    line: int | None = None
    """The line of the refused row, from 1."""

    _message: str = ""

    @property
    def message(self) -> str:
        """What failed and why, without the place and the hint."""
        return self._message

    def __str__(self) -> str:
        if not self._message:
            return super().__str__()
        place = self.partition
        if place and self.run_id:
            place = f"{place}/run_id={self.run_id}"
        text = f"{place}: {self._message}" if place else self._message
        if self.path:
            text = f"{text} ({self.path})"
        return f"{text}; {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {name: getattr(self, name) for name in _FACTS}
        if not self._message:
            # A program that raised it itself.
            return type(self), self.args, self.__dict__
        return _restore, (type(self), self._message, facts)


_FACTS = ("retryable", "partition", "run_id", "path", "hint", "line")


class Invalid(RawSinkError, ValueError):
    """Correct the key, the row, the metadata or the setting."""

    kind = "Invalid"


class NotSerialisable(Invalid, TypeError):
    """Convert the row, or pass ``default=``: it has no JSON text."""


class NotFound(RawSinkError, FileNotFoundError):
    """Name another run: this one does not exist, or no run has authority."""

    kind = "NotFound"


class NotSealed(RawSinkError, FileNotFoundError):
    """Wait, or write the run again: it has a payload and no seal."""

    kind = "NotSealed"


class AlreadySealed(RawSinkError, FileExistsError, RuntimeError):
    """Use a new run id: this run is sealed and never changes."""

    kind = "AlreadySealed"


class Conflict(RawSinkError, RuntimeError):
    """Try again, or inspect the run: another writer of it is or was active."""

    kind = "Conflict"


class Closed(RawSinkError, RuntimeError):
    """Open another writer or reader: this one has ended."""

    kind = "Closed"


class Denied(RawSinkError, PermissionError):
    """Correct credentials, permissions or policy."""

    kind = "Denied"


class Unsupported(RawSinkError, NotImplementedError):
    """Change the endpoint, the file system or the mode."""

    kind = "Unsupported"


class Corrupt(RawSinkError, ValueError):
    """Stop and inspect the run: its bytes are not the sealed or validated ones."""

    kind = "Corrupt"


class Unavailable(RawSinkError, OSError):
    """Try later with the same run id."""

    kind = "Unavailable"


class Unknown(RawSinkError, OSError):
    """Check, or write the same run again: the seal may exist or still appear."""

    kind = "Unknown"


class Internal(RawSinkError, RuntimeError):
    """Report a bug."""

    kind = "Internal"


KINDS: dict[str, type[RawSinkError]] = {
    error.kind: error
    for error in (
        Invalid,
        NotFound,
        NotSealed,
        AlreadySealed,
        Conflict,
        Closed,
        Denied,
        Unsupported,
        Corrupt,
        Unavailable,
        Unknown,
        Internal,
    )
}

for _error in (RawSinkError, NotSerialisable, *KINDS.values()):
    _error.__module__ = "rawsink"

_ERRNO: dict[str, int] = {
    "NotFound": errno.ENOENT,
    "NotSealed": errno.ENOENT,
    "AlreadySealed": errno.EEXIST,
    "Denied": errno.EACCES,
    "Unavailable": errno.EAGAIN,
    "Unknown": errno.EIO,
}

_HINTS: dict[str, str] = {
    "NotFound": "list_runs() shows the runs",
    "NotSealed": "write the same run again, or wait for its writer",
    "AlreadySealed": "write the data under a new run id",
    "Conflict": "list_runs() shows whether the other writer has sealed it",
    "Denied": "RawSink.settings shows which paths, key and bucket are used",
    "Unsupported": 'run "rawsink doctor" to see what the store supports',
    "Corrupt": 'do not use it; run "rawsink scrub" and "rawsink copy --repair"',
    "Unavailable": "try again later with the same run id",
    "Unknown": "list_runs() shows whether it is sealed; writing the same run again is safe",
    "Internal": "report this bug at https://github.com/rawsink/rawsink/issues",
}


def _restore(
    cls: type[RawSinkError], message: str, facts: dict[str, Any]
) -> RawSinkError:
    number = _ERRNO.get(cls.kind)
    # With three arguments an OSError sets its errno; the others take any.
    path = facts.get("path") or facts.get("partition")
    args = (message,) if number is None else (number, message, path)
    error = cls(*args)
    error._message = message
    for name, value in facts.items():
        setattr(error, name, value)
    return error


def corrupt(message: str) -> RawSinkError:
    """Create the exception of malformed records."""
    return _restore(Corrupt, message, {})


def of_event(facts: dict[str, Any]) -> RawSinkError:
    """Create the exception of an event of some work."""
    partition = facts["partition"]
    if partition is not None:
        partition = _rawsink.check_key(*partition)
    return create(
        kind=facts["kind"],
        message=facts["message"],
        retryable=facts["retryable"],
        path=facts["path"],
        variable=None,
        partition=partition,
        run_id=facts["run_id"],
        withdrawn=False,
    )


def create(
    *,
    kind: str,
    message: str,
    retryable: bool,
    path: str | None,
    variable: str | None,
    partition: str | None,
    run_id: str | None,
    withdrawn: bool,
    line: int | None = None,
    not_serialisable: bool = False,
) -> RawSinkError:
    """Create the exception of an error of the native part."""
    cls = NotSerialisable if not_serialisable else KINDS.get(kind, Internal)
    hint = _HINTS.get(kind)
    if variable is not None:
        hint = f"check {variable}"
    elif withdrawn:
        hint = "state.restore() ends the withdrawal"
    facts = {
        "retryable": retryable,
        "partition": partition,
        "run_id": run_id,
        "path": path,
        "hint": hint,
        "line": line,
    }
    return _restore(cls, message, facts)
