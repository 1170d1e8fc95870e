"""``rawsink://``: the runs that have authority, as files for tools that read through fsspec.

A file is named by the canonical path of its run::

    rawsink://google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01/run_id=.../payload.jsonl

Only the run that has authority is listed. A run that was listed and lost authority to a newer one
can still be opened, unless it failed or was withdrawn since. Each payload is verified before its
first byte is read; a damaged one raises :class:`rawsink.Corrupt`.

Characters of names that some reader takes for a pattern are percent-encoded: ``*`` is ``%2A``.

Installing the package registers the protocol, so that ``pandas.read_json("rawsink://...")`` finds
it. It needs ``pip install rawsink[fsspec]``.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import io
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from fsspec import AbstractFileSystem
from fsspec.utils import glob_translate

from . import _rawsink, _verified
from ._sink import RawSink
from ._types import PartitionKey

if TYPE_CHECKING:
    from ._results import Record

PREFIXES = ("", "customer_id=", "query_name=", "logical_date=", "run_id=")
PAYLOAD = "payload.jsonl"
JOBS = 16
"""Number of files whose facts are asked for at once."""


def path_of(key: PartitionKey, run_id: str) -> str:
    """Return the path of a run's payload in this file system."""
    names = (key.source, key.customer_id, key.query_name, key.logical_date, run_id)
    steps = [prefix + quote(name, safe="") for prefix, name in zip(PREFIXES, names, strict=True)]
    return "/".join([*steps, PAYLOAD])


def run_of(path: str) -> tuple[PartitionKey, str]:
    """Return the run whose payload a path of this file system, or a URL, names.

    Raises FileNotFoundError for any other path.
    """
    path = _stripped(path)
    names = _names(path)
    if len(names) <= len(PREFIXES):
        raise _missing(path)
    return PartitionKey(*names[:4]), names[4]


def set_spool_bytes(limit: int) -> None:
    """Set how many bytes from buckets this process keeps in temporary files; 4 GiB by default."""
    _verified.spool_bytes = limit


class RawSinkFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """The runs of a sink that have authority, read-only.

    Without arguments the environment selects the sink; ``env_file`` names a file of settings.
    """

    protocol = "rawsink"
    root_marker = ""

    def __init__(
        self,
        sink: RawSink | None = None,
        *,
        env_file: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if sink is None:
            sink = RawSink.from_env() if env_file is None else RawSink.from_file(env_file)
        self.sink = sink

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """List a directory: names and, with ``detail``, sizes."""
        path = _stripped(path)
        names = _names(path)
        if len(names) > len(PREFIXES):
            return [self.info(path) if detail else path]
        below = {"/".join(file.split("/")[: len(names) + 1]) for file in self._files(names)}
        if not below and path:
            if len(names) < len(PREFIXES):
                raise _missing(path)
            # A run that lost authority to a newer one.
            below = {self.info(f"{path}/{PAYLOAD}")["name"]}
        if not detail:
            return sorted(below)
        if len(names) < len(PREFIXES):
            return [_directory(name) for name in sorted(below)]
        return list(self._infos(sorted(below)))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return facts of a file or directory: ``size``, ``sha256``, ``mtime``."""
        path = _stripped(path)
        names = _names(path)
        if len(names) > len(PREFIXES):
            return self._info(path, names)
        if path and next(iter(self._files(names)), None) is None:
            raise _missing(path)
        return _directory(path)

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **_: Any,
    ) -> Any:
        """List all files below a path."""
        path = _stripped(path)
        names = _names(path)
        most = len(PREFIXES) + 1 if maxdepth is None else len(names) + maxdepth
        found = _found(self._files(names), len(names), most, withdirs)
        if len(names) > len(PREFIXES):
            found = {self.info(path)["name"]: True}
        return self._answer(found, detail)

    def glob(self, path: str, maxdepth: int | None = None, **options: Any) -> Any:
        """List the files and directories whose names match a pattern."""
        pattern = _stripped(path)
        # Names are those of the state; facts are asked for only of those that match.
        fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        if fixed == pattern:
            found = {pattern: len(_names(pattern)) > len(PREFIXES)} if self.exists(pattern) else {}
            return self._answer(found, options.get("detail", False))
        names = _names(fixed.rpartition("/")[0])
        matches = re.compile(glob_translate(pattern)).match
        most = len(PREFIXES) + 1 if maxdepth is None else len(names) + maxdepth
        entries = _found(self._files(names), len(names), most, withdirs=True)
        found = {name: is_file for name, is_file in entries.items() if matches(name)}
        return self._answer(found, options.get("detail", False))

    def modified(self, path: str) -> datetime.datetime:
        """Return when the run got authority, or later. A payload never changes."""
        modified: datetime.datetime = self.info(path)["mtime"]
        return modified

    created = modified

    def ukey(self, path: str) -> str:
        """Return the SHA-256 of a payload."""
        info = self.info(path)
        return str(info.get("sha256") or info["name"])

    def open_payload(self, key: PartitionKey, run_id: str) -> io.BufferedReader:
        """Open the payload of a run that has authority, or had it when it was listed."""
        native = _rawsink.PartitionReader(self.sink._native, key, run_id, validated=True)
        return _verified.verified(self.sink.uri, native).open()

    def _open(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, path: str, mode: str = "rb", **_: Any
    ) -> io.BufferedReader:
        if mode != "rb":
            raise OSError(errno.EROFS, "rawsink:// is read-only: write by RawSink", path)
        if len(_names(path)) <= len(PREFIXES):
            raise IsADirectoryError(errno.EISDIR, "not a payload", path)
        return self.open_payload(*run_of(path))

    def _files(self, names: list[str]) -> Iterator[str]:
        """Yield the files whose paths begin with some names, sorted."""
        for record in self._records(names[:4]):
            run_id = record.current_run_id
            if run_id is not None and (len(names) < len(PREFIXES) or names[4] == run_id):
                yield path_of(record.key, run_id)

    def _records(self, names: list[str]) -> Iterable[Record]:
        named: list[str | None] = [*names, *[None] * (4 - len(names))]
        source, customer_id, query_name, day = named
        return self.sink.state.list(
            status="success",
            source=source,
            customer_id=customer_id,
            query_name=query_name,
            since=day,
            until=day,
        )

    def _info(self, path: str, names: list[str]) -> dict[str, Any]:
        key, run_id = PartitionKey(*names[:4]), names[4]
        native = _rawsink.PartitionReader(self.sink._native, key, run_id, validated=True)
        with contextlib.closing(native):
            return {
                "name": path_of(key, run_id),
                "size": native.payload_bytes,
                "type": "file",
                "sha256": native._sha256(),
                "mtime": _modified(self.sink, key, run_id),
            }

    def _infos(self, paths: list[str]) -> Iterator[dict[str, Any]]:
        if len(paths) == 1:
            return iter([self.info(paths[0])])
        with ThreadPoolExecutor(JOBS) as pool:
            return iter(list(pool.map(self.info, paths)))

    def _answer(self, found: dict[str, bool], detail: bool) -> Any:
        if not detail:
            return sorted(found)
        facts = {name: _directory(name) for name, is_file in found.items() if not is_file}
        files = sorted(name for name, is_file in found.items() if is_file)
        facts |= dict(zip(files, self._infos(files), strict=True)) if files else {}
        return dict(sorted(facts.items()))


def _modified(sink: RawSink, key: PartitionKey, run_id: str) -> datetime.datetime:
    """Return when a run got authority, or later.

    It is not the time of the seal: readers that remember how far they came would miss a run that is
    validated after a younger one.
    """
    record = sink.state.get(key)
    # A run also gets authority when a newer one is withdrawn, or by other software: then no
    # verdict tells the time.
    if record is not None and record.has_authority and record.current_run_id == run_id:
        if record.updated_at is not None:
            return record.updated_at
    times = [
        entry.judged_at
        for entry in sink.state.history(key)
        if entry.run_id == run_id and entry.verdict == "passed" and entry.judged_at is not None
    ]
    return max(times, default=datetime.datetime.fromtimestamp(0, datetime.timezone.utc))


def _directory(path: str) -> dict[str, Any]:
    return {"name": path, "size": 0, "type": "directory"}


def _found(
    files: Iterable[str], start: int, most: int, withdirs: bool
) -> dict[str, bool]:
    """Return files, and the directories above them below `start`, down to a depth."""
    found: dict[str, bool] = {}
    for file in files:
        steps = file.split("/")
        if withdirs:
            for depth in range(start + 1, min(most, len(steps) - 1) + 1):
                found["/".join(steps[:depth])] = False
        if len(steps) <= most:
            found[file] = True
    return found


def _stripped(path: str) -> str:
    return str(RawSinkFileSystem._strip_protocol(path))


def _names(path: str) -> list[str]:
    """Return the names in a path.

    Raises FileNotFoundError for a path that is no path of this file system.
    """
    steps = path.strip("/").split("/") if path.strip("/") else []
    if len(steps) > len(PREFIXES) + 1 or steps[len(PREFIXES) :] not in ([], [PAYLOAD]):
        raise _missing(path)
    names = []
    for prefix, step in zip(PREFIXES, steps, strict=False):
        if not step.startswith(prefix):
            raise _missing(path)
        names.append(_decoded(step[len(prefix) :]))
    return names + steps[len(PREFIXES) :]


def _decoded(name: str) -> str:
    """Return a name of which some reader may have decoded the path already."""
    decoded = unquote(name)
    return decoded if quote(decoded, safe="") == name else name


def _missing(path: str) -> FileNotFoundError:
    message = f"no run that has authority is named {path!r}"
    return FileNotFoundError(errno.ENOENT, message, path)

