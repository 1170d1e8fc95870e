"""A landing zone for raw API extracts.

An extractor streams rows into a partition. The partition is sealed once, by writing
``metadata.json`` last, and never changes afterwards. A validation records which run has authority;
consumers read only that run::

    import rawsink

    sink = rawsink.RawSink.from_env()
    key = rawsink.PartitionKey("google_ads", "123", "campaign", "2024-06-01")
    run_id = rawsink.new_run_id()

    with sink.write_partition(key, run_id) as writer:
        writer.write_rows(rows)
        writer.finalize(api_version="v21")

    sink.validate_partition(key, run_id)
    for row in sink.open_current(key):
        print(row)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _process as _process
from ._errors import (
    AlreadySealed,
    Closed,
    Conflict,
    Corrupt,
    Denied,
    Internal,
    Invalid,
    NotFound,
    NotSealed,
    NotSerialisable,
    RawSinkError,
    Unavailable,
    Unknown,
    Unsupported,
)
from ._rawsink import __version__, dumps, set_log_level
from ._reader import PartitionReader
from ._sink import RawSink
from ._state import State
from ._types import PartitionKey, PayloadSummary, Reject, Run, Seal, Sealed, new_run_id
from ._writer import PartitionWriter

if TYPE_CHECKING:
    from ._results import (
        Cell,
        CopyResult,
        Coverage,
        Damage,
        Hazard,
        LogEntry,
        Payload,
        Problem,
        Record,
        ScrubResult,
        ValidateAllResult,
        Validation,
    )

__all__ = [
    "AlreadySealed",
    "Cell",
    "Closed",
    "Conflict",
    "CopyResult",
    "Corrupt",
    "Coverage",
    "Damage",
    "Denied",
    "Hazard",
    "Internal",
    "Invalid",
    "LogEntry",
    "NotFound",
    "NotSealed",
    "NotSerialisable",
    "PartitionKey",
    "PartitionReader",
    "PartitionWriter",
    "Payload",
    "PayloadSummary",
    "Problem",
    "RawSink",
    "RawSinkError",
    "Record",
    "Reject",
    "Run",
    "ScrubResult",
    "Seal",
    "Sealed",
    "State",
    "Unavailable",
    "Unknown",
    "Unsupported",
    "ValidateAllResult",
    "Validation",
    "__version__",
    "dumps",
    "new_run_id",
    "set_log_level",
]


def __getattr__(name: str) -> Any:
    # Most programs never name these types.
    if name in __all__:
        from . import _results

        return getattr(_results, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
