"""Work on more than one machine, by Dask. Needs ``pip install rawsink[distributed]``.

::

    client = dask.distributed.Client("tcp://scheduler:8786")
    result = rawsink.distributed.validate_all(client, source="google_ads")

The driver lists the storage once and sends parts to the workers, the largest first. Retries and the
balance between workers are those of Dask. A part that runs again, because its worker died, judges only
what is still due by the log: no run is judged twice.

Each worker opens the sink by its own environment, or by the file that ``env_file`` names there. Nothing
secret is sent. The state must be PostgreSQL: an SQLite file is not shared by machines.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ._sink import RawSink, _events, _validation_event
from ._state import choice
from ._types import ValidateAllResult, problem_of

if TYPE_CHECKING:
    import os

    from dask.distributed import Client

    from ._types import Day, Problem, Validation

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
    env_file: str | os.PathLike[str] | None = None,
    progress: Callable[[Validation | Problem], object] | None = None,
) -> ValidateAllResult:
    """Validate every due run of a selection on the workers of a Dask cluster.

    As :meth:`RawSink.validate_all`. ``jobs`` is the number of payloads that one part reads at once;
    each part of a worker has one connection to PostgreSQL, and each thread of a worker runs one part.
    """
    from dask.distributed import as_completed

    sink = _open(env_file)
    _check_state(sink)
    result = ValidateAllResult()
    rules = (strict, strict_rows, False)
    parts = iter(_parts(sink, choice(source, customer_id, query_name, since, until), result))

    def submit(part: _Part) -> Any:
        # Without `pure=False` Dask would take the earlier result of the same part for this one.
        return client.submit(_validate, part.landed, rules, jobs, env_file, pure=False, retries=3)

    window = max(1, sum(client.nthreads().values())) * PARTS_PER_THREAD
    sent = {submit(part) for part in itertools.islice(parts, window)}
    running = as_completed(sent)
    try:
        for done in running:
            for event in done.result():
                found = _validation_event(result, json.loads(event))
                if found is not None and progress is not None:
                    progress(found)
            sent.discard(done)
            for part in itertools.islice(parts, 1):
                following = submit(part)
                sent.add(following)
                running.add(following)
    finally:
        client.cancel(list(sent))
    return result


def _parts(sink: RawSink, selection: Any, result: ValidateAllResult) -> list[_Part]:
    """List the storage and return the parts, the largest first."""
    parts: list[_Part] = []
    landed: list[str] = []
    size = 0
    for event in _events(sink._native.landed(selection), records=False):
        if event.pop("event") == "error":
            result.problems.append(problem_of(event))
            continue
        sealed = [run for run in event["runs"] if run["sealed"]]
        if not sealed:
            continue
        more = sum(run["payload_bytes"] or 0 for run in sealed)
        if landed and (len(landed) == PART_PARTITIONS or size + more > PART_BYTES):
            parts.append(_Part(landed, size))
            landed, size = [], 0
        landed.append(json.dumps({**event, "runs": sealed}))
        size += more
    if landed:
        parts.append(_Part(landed, size))
    return sorted(parts, key=lambda part: part.bytes, reverse=True)


def _validate(
    landed: list[str],
    rules: tuple[bool, bool, bool],
    jobs: int,
    env_file: str | os.PathLike[str] | None,
) -> list[str]:
    """Validate one part, on a worker, and return its events."""
    work = _open(env_file)._native.validate_landed(landed, rules, jobs)
    return [json.dumps(event) for event in _events(work)]


_sinks: dict[str, RawSink] = {}


def _open(env_file: str | os.PathLike[str] | None) -> RawSink:
    """Return the sink of this process, with its connections."""
    name = str(env_file)
    if name not in _sinks:
        _sinks[name] = RawSink.from_env() if env_file is None else RawSink.from_file(env_file)
    return _sinks[name]


def _check_state(sink: RawSink) -> None:
    url = sink.settings["RAW_SINK_STATE_URL"]
    if not url.startswith(("postgres:", "postgresql:")):
        raise ValueError(
            f"the state is {url}: machines cannot share it; set RAW_SINK_STATE_URL to a PostgreSQL, "
            "here and on each worker"
        )
