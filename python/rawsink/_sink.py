"""Writes and reads partitions in a directory or a bucket."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from . import _rawsink
from ._reader import PartitionReader
from ._errors import Closed, of_event
from ._state import State, choice, is_url
from ._types import Day, PartitionKey, Reject, Run, key_of
from ._writer import PartitionWriter

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._results import (
        Coverage,
        Payload,
        Problem,
        ScrubResult,
        ValidateAllResult,
        Validation,
    )

Setting = str | int | float | bool | os.PathLike[str]
"""A value of a setting."""


def _variable(value: Setting) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


class RawSink:
    """Writes and reads partitions in a directory or a bucket, and their state.

    Open one by :meth:`from_env`, :meth:`from_file`, :meth:`directory` or :meth:`bucket`. Threads
    may share it, and a forked child may use it: it opens its own connections. Pickled, it is how to
    open it again: by the environment of the other process, the file or the directory. One that was
    opened with keys or a password is not pickled.
    """

    def __init__(
        self, native: _rawsink.Sink, reopen: Callable[[], RawSink] | None = None
    ) -> None:
        self._native = native
        self._reopen = reopen
        self._state: State | None = None

    @classmethod
    def from_env(cls) -> Self:
        """Open the sink that the environment selects: ``RAW_SINK``, ``RAW_SINK_ROOT``, ..."""
        return cls(_rawsink.Sink.from_env(), cls.from_env)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Open the sink of a file of ``NAME=VALUE`` lines. The environment is not read."""
        path = os.path.abspath(path)
        return cls(_rawsink.Sink.from_file(path), functools.partial(cls.from_file, path))

    @classmethod
    def directory(
        cls,
        root: str | os.PathLike[str],
        *,
        state: str | os.PathLike[str] | None = None,
        **settings: Setting,
    ) -> Self:
        """Open a directory. It is created if it does not exist; its parent must exist.

        ``state`` is the URL of the state, or the path of an SQLite file; by default
        ``state_store.db`` beside the root. Any other setting of a directory has the name of its
        variable without ``RAW_SINK_``, in lower case.
        """
        if state is None:
            state = os.path.join(os.path.dirname(os.path.abspath(root)), "state_store.db")
        made = cls._of("filesystem", root=root, state=state, **settings)
        if not is_url(state):
            root, state = os.path.abspath(root), os.path.abspath(state)
            made._reopen = functools.partial(cls.directory, root, state=state, **settings)
        return made

    @classmethod
    def bucket(
        cls,
        bucket: str,
        *,
        prefix: str,
        endpoint_url: str,
        access_key_id: str,
        secret_access_key: str,
        state: str | os.PathLike[str],
        **settings: Setting,
    ) -> Self:
        """Open a bucket. ``state`` is the URL of the state, or the path of an SQLite file.

        Any other setting of a bucket has the name of its variable without ``RAW_SINK_``, in lower
        case: ``session_token``, ``region``, ``ca_file``, ``allow_http``, ``leftover_grace_s``, ...
        """
        return cls._of(
            "object",
            bucket=bucket,
            prefix=prefix,
            endpoint_url=endpoint_url,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            state=state,
            **settings,
        )

    @classmethod
    def _of(cls, kind: str, *, state: str | os.PathLike[str], **settings: Setting) -> Self:
        variables = {"RAW_SINK": kind}
        path = None if is_url(state) else os.fspath(state)
        if path is None:
            variables["RAW_SINK_STATE_URL"] = os.fspath(state)
        known = set(_rawsink.variables())
        for name, value in settings.items():
            variable = f"RAW_SINK_{name.upper()}"
            if variable not in known:
                raise TypeError(f"unknown setting {name!r}")
            variables[variable] = _variable(value)
        return cls(_rawsink.Sink.from_settings(variables, path))

    def __reduce__(self) -> tuple[Callable[[], RawSink], tuple[()]]:
        if self._reopen is None:
            raise TypeError(
                "a sink that was opened with keys or a password is not pickled: open it in the "
                "other process, by from_env or from_file"
            )
        return self._reopen, ()

    @property
    def settings(self) -> dict[str, str]:
        """The settings in use by the names of their variables, without secrets."""
        return {setting["name"]: setting["value"] for setting in json.loads(self._native.settings)}

    @property
    def uri(self) -> str:
        """The URI of the root: ``file:///srv/raw`` or ``s3://bucket/prefix``."""
        return self._native.uri

    @property
    def state(self) -> State:
        """The state: which run has authority."""
        if self._state is None:
            self._state = State(self._native.state())
        return self._state

    def write_partition(
        self,
        key: PartitionKey,
        run_id: str,
        *,
        default: Callable[[Any], Any] | None = None,
        on_reject: Callable[[Reject], object] | None = None,
        max_rejects: int | None = None,
        skip_blank: bool = False,
        require_members: Iterable[str] = (),
    ) -> PartitionWriter:
        """Start writing a partition. Nothing is visible before it is sealed.

        An unsealed run may be written again, even after a crash.

        ``default`` converts values that are not JSON, such as dates. ``on_reject`` gets each row
        that is refused, instead of an error; their number is sealed as ``rejected_count``, and with
        more than ``max_rejects`` nothing is sealed. ``require_members`` refuses rows without these
        members.

        Raises :class:`AlreadySealed` if the run is sealed, and :class:`Conflict` if another writer
        of the run is active.
        """
        if max_rejects is not None and on_reject is None:
            raise TypeError("max_rejects needs on_reject, which gets the refused rows")
        return PartitionWriter._open(
            self._native,
            key,
            run_id,
            default=default,
            on_reject=on_reject,
            max_rejects=max_rejects,
            skip_blank=skip_blank,
            require_members=_names(require_members, "require_members"),
        )

    def open_partition(self, key: PartitionKey, run_id: str) -> PartitionReader:
        """Open a sealed run.

        Raises :class:`NotFound`, :class:`NotSealed` or :class:`Corrupt`.
        """
        return self._reader(key, run_id)

    def open_current(self, key: PartitionKey) -> PartitionReader:
        """Open the run that has authority, if it is still the one that was validated.

        Raises :class:`NotFound` if no run has authority, and :class:`Corrupt` if it is not.
        """
        return self._reader(key, None)

    def _reader(self, key: PartitionKey, run_id: str | None) -> PartitionReader:
        native = _rawsink.PartitionReader(self._native, key, run_id)
        return PartitionReader(native, key, self.uri)

    def current(self, key: PartitionKey) -> str | None:
        """Return the run that has authority; ``None`` if none has."""
        return self._native.current(key)

    def list_partitions(self, key: PartitionKey) -> list[str]:
        """Return the ids of all runs of a partition, sealed or not, sorted."""
        return self._native.list_partitions(key)

    def list_runs(self, key: PartitionKey) -> list[Run]:
        """Return all runs of a partition, sorted by id."""
        return [Run(**run) for run in json.loads(self._native.list_runs(key))]

    def read_metadata(self, key: PartitionKey, run_id: str) -> dict[str, Any]:
        """Return the metadata of a sealed run, without reading its payload."""
        metadata: dict[str, Any] = json.loads(self._native.metadata(key, run_id))
        return metadata

    def validate_partition(
        self,
        key: PartitionKey,
        run_id: str,
        *,
        strict: bool = False,
        strict_rows: bool = False,
        record_missing: bool = False,
    ) -> Validation:
        """Validate a run and record the verdict.

        ``strict`` fails a run whose metadata lacks a recommended field, ``strict_rows`` one with
        rows that common readers cannot read, ``record_missing`` one that does not exist.
        """
        from ._results import validation_of

        rules = (strict, strict_rows, record_missing)
        return validation_of(json.loads(self._native.validate(key, run_id, rules, None)))

    def validate_all(
        self,
        *,
        source: str | None = None,
        customer_id: str | None = None,
        query_name: str | None = None,
        since: Day | None = None,
        until: Day | None = None,
        strict: bool = False,
        strict_rows: bool = False,
        jobs: int = 4,
        shard: str | None = None,
        progress: Callable[[Validation | Problem], object] | None = None,
    ) -> ValidateAllResult:
        """Validate every due run of a selection, and record the verdicts.

        A run that cannot be validated is a problem of the result and does not stop the others; the
        next call tries it again. ``progress`` gets each verdict and problem. Ctrl-C records what
        was reached and raises ``KeyboardInterrupt``.
        """
        from ._results import ValidateAllResult

        selected = choice(source, customer_id, query_name, since, until)
        work = self._native.validate_all(selected, (strict, strict_rows, False), jobs, shard)
        result = ValidateAllResult()
        for event in _events(work):
            found = result.add(event)
            if found is not None and progress is not None:
                progress(found)
        return result

    def scrub(
        self,
        *,
        source: str | None = None,
        customer_id: str | None = None,
        query_name: str | None = None,
        since: Day | None = None,
        until: Day | None = None,
        current: bool = False,
        sample: tuple[str, int] | None = None,
        record: bool = False,
        after: tuple[PartitionKey, str] | None = None,
        jobs: int = 4,
        shard: str | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> ScrubResult:
        """Read sealed runs, and return those that are damaged or lost.

        ``current`` reads the runs that have authority, also those that do not exist any more.
        ``sample`` is a share and a seed, such as ``("5%", 7)``. ``record`` records a failed verdict
        for each damaged run. ``progress`` gets the numbers of runs and bytes so far.
        """
        from ._results import ScrubResult

        selected = choice(source, customer_id, query_name, since, until)
        work = self._native.scrub(selected, current, sample, record, after, jobs, shard)
        result, runs = ScrubResult(), 0
        for event in _events(work):
            if result.add(event):
                runs += 1
                if progress is not None:
                    progress(runs, work.bytes_read)
        result.bytes_read = work.bytes_read
        return result

    def coverage(
        self,
        *,
        source: str | None = None,
        customer_id: str | None = None,
        query_name: str | None = None,
        since: Day | None = None,
        until: Day | None = None,
        customers: Iterable[str] = (),
        queries: Iterable[str] = (),
    ) -> Coverage:
        """Compare storage and state: every customer with every query of its source on every day.

        ``customers`` and ``queries`` name those that are expected, instead of those found.
        """
        from ._results import coverage_of

        selected = choice(source, customer_id, query_name, since, until)
        names = _names(customers, "customers"), _names(queries, "queries")
        return coverage_of(self._native.coverage(selected, *names))

    def manifest(
        self,
        *,
        source: str | None = None,
        customer_id: str | None = None,
        query_name: str | None = None,
        since: Day | None = None,
        until: Day | None = None,
        reader: str | None = None,
        jobs: int = 16,
        on_problem: Callable[[Problem], object] | None = None,
    ) -> Iterator[Payload]:
        """Yield the payloads of all runs that have authority, sorted by key.

        ``reader`` writes each URI so that this reader opens exactly that payload: ``duckdb``,
        ``polars``, ``pyarrow`` or ``spark``. A run that is not the one that was validated raises
        an error, unless ``on_problem`` takes it.
        """
        from ._results import Payload, problem_of

        selected = choice(source, customer_id, query_name, since, until)
        work = self._native.manifest(selected, reader, jobs)
        for event in _events(work, records=False):
            if event.pop("event") == "error":
                if on_problem is None:
                    raise of_event(event["error"])
                on_problem(problem_of(event))
                continue
            names = [event.pop(name) for name in ("source", "customer_id", "query_name")]
            yield Payload(key=key_of([*names, event.pop("logical_date")]), **event)

    def __repr__(self) -> str:
        return f"<RawSink {self._native.place}>"


def _events(work: _rawsink.Events, *, records: bool = True) -> Iterator[dict[str, Any]]:
    """Yield the events of some work. If the caller ends early, reached verdicts are recorded."""
    try:
        while (text := work.next()) is not None:
            event: dict[str, Any] = json.loads(text)
            yield event
    except BaseException:
        work.stop()
        # A forked child has inherited work that is its parent's.
        with contextlib.suppress(Closed):
            while records and work.next() is not None:
                pass
        raise
    finally:
        work.close()


def _names(names: Iterable[str], what: str) -> list[str]:
    """Return names, which must not be one text."""
    if isinstance(names, str):
        raise TypeError(f"{what} must be a list of names, not one text")
    return list(names)
