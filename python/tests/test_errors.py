"""Exceptions: one class for each kind, with the bases that existing code catches."""

from __future__ import annotations

import copy
import logging
import pickle
from pathlib import Path

import pytest
from conftest import KEY, RUNS

import rawsink
from rawsink import _errors

BASES: dict[str, tuple[type[BaseException], ...]] = {
    "Invalid": (ValueError,),
    "NotFound": (FileNotFoundError,),
    "NotSealed": (FileNotFoundError,),
    "AlreadySealed": (RuntimeError, FileExistsError),
    "Conflict": (RuntimeError,),
    "Closed": (RuntimeError,),
    "Denied": (PermissionError,),
    "Unsupported": (NotImplementedError,),
    "Corrupt": (ValueError,),
    "Unavailable": (OSError,),
    "Unknown": (OSError,),
    "Internal": (RuntimeError,),
}


@pytest.mark.parametrize("kind", BASES)
def test_every_kind_has_its_class_and_survives_pickling(kind: str) -> None:
    error = _errors.create(
        kind=kind,
        message="no",
        retryable=kind == "Unavailable",
        path="x/payload.jsonl",
        variable=None,
        partition=KEY.path,
        run_id=RUNS[0],
        withdrawn=False,
        line=3,
    )
    assert type(error).__name__ == kind == error.kind
    assert isinstance(error, BASES[kind]) and isinstance(error, rawsink.RawSinkError)
    assert str(error).startswith(f"{KEY.path}/run_id={RUNS[0]}: no (x/payload.jsonl)")
    for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(copied) is type(error) and str(copied) == str(error)
        assert copied.__dict__ == error.__dict__
    if isinstance(error, OSError):
        assert error.errno is not None


def test_an_error_of_a_program_keeps_its_text() -> None:
    for error in (rawsink.NotFound("no such run"), rawsink.Invalid("no"), rawsink.Corrupt()):
        copied = pickle.loads(pickle.dumps(error))
        assert (type(copied), str(copied)) == (type(error), str(error))
    assert str(rawsink.NotFound("no such run")) == "no such run"


def test_a_row_without_json_text_is_a_type_error_and_a_value_error() -> None:
    assert issubclass(rawsink.NotSerialisable, (TypeError,))
    assert issubclass(rawsink.NotSerialisable, (ValueError,))
    assert issubclass(rawsink.NotSerialisable, rawsink.Invalid)


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 300, "a\nb"])
def test_illegal_names_are_refused_at_once(name: str) -> None:
    with pytest.raises(rawsink.Invalid):
        rawsink.PartitionKey("ads", name, "q", "2024-06-01")


@pytest.mark.parametrize("day", ["2024-6-1", "2024-02-30", "today", ""])
def test_illegal_days_are_refused(day: str) -> None:
    with pytest.raises(ValueError):
        rawsink.PartitionKey("ads", "1", "q", day)


def test_a_key_is_a_value() -> None:
    import datetime

    key = rawsink.PartitionKey("ads", "1", "q", datetime.date(2024, 6, 1))
    same = rawsink.PartitionKey("ads", "1", "q", "2024-06-01")
    assert key == same and hash(key) == hash(same) and len({key, same}) == 1
    assert pickle.loads(pickle.dumps(key)) == key
    assert rawsink.PartitionKey.parse(f"{key.path}/run_id=r1") == key
    assert key.date == datetime.date(2024, 6, 1)
    with pytest.raises(AttributeError):
        key.source = "x"  # type: ignore[misc]
    with pytest.raises(TypeError, match="not a time"):
        rawsink.PartitionKey("ads", "1", "q", datetime.datetime(2024, 6, 1))
    with pytest.raises(ValueError, match="does not name a partition"):
        rawsink.PartitionKey.parse("ads/customer_id=1")


def test_events_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rawsink")
    rawsink._rawsink.Sink.from_settings({"RAW_SINK_RTOO": "x"})
    assert any("RAW_SINK_RTOO" in record.message for record in caplog.records)


def test_a_root_that_does_not_exist_is_no_empty_sink(tmp_path: Path) -> None:
    sink = rawsink.RawSink.directory(tmp_path / "raw")
    with pytest.raises(rawsink.Unavailable, match="the root does not exist"):
        sink.list_partitions(KEY)
    with pytest.raises(rawsink.Unavailable):
        rawsink.RawSink.directory(tmp_path / "missing" / "raw").write_partition(KEY, RUNS[0])
