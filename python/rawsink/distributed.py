"""Work on more than one machine, by Dask. Needs ``pip install rawsink[distributed]``.

::

    client = dask.distributed.Client("tcp://scheduler:8786")
    result = rawsink.distributed.validate_all(client, source="google_ads")

The driver lists the storage once and sends parts to the workers, the largest first. Retries and the
balance between workers are those of Dask. A part that runs again, because its worker died, judges only
what is still due by the log: no run is judged twice. A verdict whose worker died before its answer
arrived is in the state and not in the result.

Each worker opens the sink by its own environment, or by the file that ``env_file`` names there. Nothing
secret is sent. The state must be PostgreSQL: an SQLite file is not shared by machines.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _rawsink
from ._results import CopyResult, Problem, ScrubResult, ValidateAllResult, problem_of
from ._sink import RawSink, _events
from ._state import choice

if TYPE_CHECKING:
    import os

    from dask.distributed import Client

    from ._results import Validation
    from ._types import Day

    File = str | os.PathLike[str]

PART_PARTITIONS = 250
"""Most logical partitions in one part."""

PART_BYTES = 256 << 20
"""Length of the payloads of one part, unless a partition alone is longer."""

PARTS_PER_THREAD = 2
"""Number of parts that are sent for each thread of a worker, so that none waits."""


class _Part(NamedTuple):
    landed: list[str]
    bytes: int


def validate_all(
    client: Client,
    *,
    source: str | None = None,
    customer_id: str | None = None,
    query_name: str | None = None,
    since: Day | None = None,
    until: Day | None = None,
    strict: bool = False,
    strict_rows: bool = False,
    jobs: int = 4,
    env_file: File | None = None,
    progress: Callable[[Validation | Problem], object] | None = None,
) -> ValidateAllResult:
    """Validate every due run of a selection on the workers of a Dask cluster.

    As :meth:`RawSink.validate_all`. ``jobs`` is the number of payloads that one part reads at once.
    Each thread of a worker runs one part, and has one connection to PostgreSQL.
    """
    sink = _open(env_file)
    _check_state(sink)
    result = ValidateAllResult()
    selected = choice(source, customer_id, query_name, since, until)
    parts = _parts(_landed(sink, selected, result.problems), sealed=True)
    rules = (strict, strict_rows, False)
    for event in _work(client, parts, _validate, rules, jobs, env_file):
        found = result.add(event)
        if found is not None and progress is not None:
            progress(found)
    return result


def scrub(
    client: Client,
    *,
    source: str | None = None,
    customer_id: str | None = None,
    query_name: str | None = None,
    since: Day | None = None,
    until: Day | None = None,
    current: bool = False,
    record: bool = False,
    jobs: int = 4,
    env_file: File | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> ScrubResult:
    """Read sealed runs on the workers of a Dask cluster, and return those that are damaged or lost.

    As :meth:`RawSink.scrub`: ``current`` reads the runs that have authority, also those that do not
    exist any more, and takes their partitions from the state. A part that runs again is read again.
    """
    sink = _open(env_file)
    _check_state(sink)
    result, runs = ScrubResult(), 0
    selected = choice(source, customer_id, query_name, since, until)
    partitions = (_current if current else _landed)(sink, selected, result.problems)
    for event in _work(client, _parts(partitions), _scrub, record, jobs, env_file):
        if event["event"] == "bytes":
            result.bytes_read += event["bytes"]
        elif result.add(event):
            runs += 1
            if progress is not None:
                progress(runs, result.bytes_read)
    return result


def copy(
    client: Client,
    to_env_file: File,
    *,
    source: str | None = None,
    customer_id: str | None = None,
    query_name: str | None = None,
    since: Day | None = None,
    until: Day | None = None,
    jobs: int = 4,
    env_file: File | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> CopyResult:
    """Copy sealed runs byte for byte to another sink, on the workers of a Dask cluster.

    ``to_env_file`` is a file with the settings of the destination, on each worker. A run that the
    destination holds already is skipped, so an interrupted copy is repeated. ``progress`` gets the
    numbers of runs and bytes so far.
    """
    result = CopyResult()
    selected = choice(source, customer_id, query_name, since, until)
    parts = _parts(_landed(_open(env_file), selected, result.problems), sealed=True)
    for event in _work(client, parts, _copy, to_env_file, jobs, env_file):
        if event["event"] == "bytes":
            result.bytes_copied += event["bytes"]
            continue
        if event["event"] == "error":
            result.problems.append(problem_of(event))
        elif event["outcome"] == "copied":
            result.copied += 1
        else:
            result.already_there += 1
        if progress is not None:
            progress(result.copied + result.already_there + len(result.problems), result.bytes_copied)
    return result


def _work(
    client: Client, parts: Iterable[_Part], task: Callable[..., list[str]], *arguments: object
) -> Iterator[dict[str, Any]]:
    """Yield the events of a task on each part, in any order. Few parts are sent at once."""
    from dask.distributed import as_completed

    waiting = iter(parts)

    def submit(part: _Part) -> Any:
        # Without `pure=False` Dask would take the earlier result of the same part for this one.
        return client.submit(task, part.landed, *arguments, pure=False, retries=3)

    window = max(1, sum(client.nthreads().values())) * PARTS_PER_THREAD
    sent = {submit(part) for part in itertools.islice(waiting, window)}
    running = as_completed(sent)
    try:
        for done in running:
            yield from map(json.loads, done.result())
            sent.discard(done)
            for part in itertools.islice(waiting, 1):
                following = submit(part)
                sent.add(following)
                running.add(following)
    finally:
        client.cancel(list(sent))


def _landed(
    sink: RawSink, selection: Any, problems: list[Problem]
) -> Iterator[dict[str, Any]]:
    """Yield the partitions of a listing."""
    for event in _events(sink._native.landed(selection), records=False):
        if event.pop("event") == "error":
            problems.append(problem_of(event))
        else:
            yield event


def _current(
    sink: RawSink, selection: Any, problems: list[Problem]
) -> Iterator[dict[str, Any]]:
    """Yield the partitions of which a run has authority, without their runs."""
    records, faults = sink.state._native.list(selection, "success")
    problems.extend(Problem("Corrupt", fault) for fault in faults)
    for record in records:
        yield {"partition": json.loads(record)["partition"], "runs": []}


def _parts(landed: Iterable[dict[str, Any]], *, sealed: bool = False) -> list[_Part]:
    """Divide partitions, perhaps only those with a sealed run, into parts: the largest first."""
    parts: list[_Part] = []
    part: list[str] = []
    size = 0
    for partition in landed:
        runs = [run for run in partition["runs"] if run["sealed"]]
        if sealed and not runs:
            continue
        more = sum(run["payload_bytes"] or 0 for run in runs)
        if part and (len(part) == PART_PARTITIONS or size + more > PART_BYTES):
            parts.append(_Part(part, size))
            part, size = [], 0
        part.append(json.dumps({**partition, "runs": runs}))
        size += more
    if part:
        parts.append(_Part(part, size))
    return sorted(parts, key=lambda part: part.bytes, reverse=True)


def _validate(
    landed: list[str], rules: tuple[bool, bool, bool], jobs: int, env_file: File | None
) -> list[str]:
    """Validate one part, on a worker, and return its events."""
    work = _open(env_file)._native.validate_landed(landed, rules, jobs)
    return [json.dumps(event) for event in _events(work)]


def _scrub(landed: list[str], record: bool, jobs: int, env_file: File | None) -> list[str]:
    """Read one part, on a worker, and return its events and the number of bytes."""
    work = _open(env_file)._native.scrub_landed(landed, record, jobs)
    events = [json.dumps(event) for event in _events(work)]
    return [json.dumps({"event": "bytes", "bytes": work.bytes_read}), *events]


def _copy(
    landed: list[str], to_env_file: File, jobs: int, env_file: File | None
) -> list[str]:
    """Copy one part, on a worker, and return its events and the number of bytes."""
    work = _open(env_file)._native.copy_landed(_destination(str(to_env_file)), landed, jobs)
    events = [json.dumps(event) for event in _events(work, records=False)]
    return [json.dumps({"event": "bytes", "bytes": work.bytes_read}), *events]


_sinks: dict[str, RawSink] = {}


def _open(env_file: File | None) -> RawSink:
    """Return the sink of this process, with its connections."""
    name = str(env_file)
    if name not in _sinks:
        _sinks[name] = RawSink.from_env() if env_file is None else RawSink.from_file(env_file)
    return _sinks[name]


@functools.cache
def _destination(env_file: str) -> _rawsink.Sink:
    """Return the sink that this process copies to. The first copy creates its root."""
    return _rawsink.Sink.destination_from_file(env_file)


def _check_state(sink: RawSink) -> None:
    url = sink.settings["RAW_SINK_STATE_URL"]
    if not url.startswith(("postgres:", "postgresql:")):
        raise ValueError(
            f"the state is {url}: machines cannot share it; set RAW_SINK_STATE_URL to a PostgreSQL, "
            "here and on each worker"
        )
