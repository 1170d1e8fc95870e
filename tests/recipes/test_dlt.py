"""dlt loads the runs that have authority, and nothing else."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import conftest
import duckdb
import pytest
from conftest import land, seal

import rawsink

RUNS = [f"2024-06-0{day}T00:00:00.000Z" for day in range(2, 8)]
Load = Callable[..., list[dict[str, Any]]]


def key(customer: str, day: str = "2024-06-01", query: str = "campaign") -> rawsink.PartitionKey:
    return rawsink.PartitionKey("google_ads", customer, query, day)


@pytest.fixture
def load(run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> Load:
    """Load, and return all rows of the warehouse without dlt's own columns.

    Without a lag, so that a load shows what its cursor skips.
    """

    def load(*, fails: str | None = None, lag: int = 0) -> list[dict[str, Any]]:
        more = {"DLT_DATA_DIR": str(tmp_path), "RUNTIME__DLTHUB_TELEMETRY": "false"}
        ran = run("load_campaigns.py", edit=("lag=300", f"lag={lag}"), **more)
        if fails is None:
            assert ran.returncode == 0, ran.stderr
        else:
            assert ran.returncode == 1 and fails in ran.stderr, ran.stderr
        with duckdb.connect(str(tmp_path / "campaigns.duckdb"), read_only=True) as warehouse:
            table = warehouse.sql("FROM raw.campaign ORDER BY customer_id, logical_date, id")
            found = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
        return [
            {name: value for name, value in row.items() if value is not None and not name.startswith("_dlt")}
            for row in found
        ]

    return load


def names(partition: rawsink.PartitionKey, run: str) -> dict[str, str]:
    return {
        "source": partition.source,
        "customer_id": partition.customer_id,
        "query_name": partition.query_name,
        "logical_date": partition.logical_date,
        "run_id": run,
    }


def test_text_and_late_columns_are_kept(sink: rawsink.RawSink, load: Load) -> None:
    text = {"id": "001", "day": "2024-06-01", "time": "2024-06-01T00:00:00Z"}
    land(sink, key("007"), RUNS[0], [text, {"id": "002", "late": "x"}])
    land(sink, key("1"), RUNS[0], [{"id": "003"}])
    land(sink, key("1", query="keyword"), RUNS[0], [{"id": "another query"}])
    assert load() == [
        names(key("007"), RUNS[0]) | text,
        names(key("007"), RUNS[0]) | {"id": "002", "late": "x"},
        names(key("1"), RUNS[0]) | {"id": "003"},
    ]


def test_a_newer_run_replaces_the_rows_of_its_partition(sink: rawsink.RawSink, load: Load) -> None:
    land(sink, key("1"), RUNS[0], [{"id": "old 1"}, {"id": "old 2"}])
    land(sink, key("2"), RUNS[0], [{"id": "other"}])
    assert [row["id"] for row in load()] == ["old 1", "old 2", "other"]
    seal(sink, key("1"), RUNS[1], [{"id": "new"}])
    assert [row["id"] for row in load()] == ["old 1", "old 2", "other"], "nobody validated it"
    sink.validate_partition(key("1"), RUNS[1])
    assert [row["id"] for row in load()] == ["new", "other"]
    land(sink, key("2"), RUNS[1], [])
    assert [row["id"] for row in load()] == ["new"], "its newest run has no rows"


def test_a_run_that_was_superseded_before_the_load_is_not_read(sink: rawsink.RawSink, load: Load) -> None:
    land(sink, key("1"), RUNS[0], [{"id": "old"}])
    land(sink, key("1"), RUNS[1], [{"id": "new"}])
    assert load() == [names(key("1"), RUNS[1]) | {"id": "new"}]


def test_a_withdrawn_run_is_deleted(sink: rawsink.RawSink, load: Load) -> None:
    land(sink, key("1"), RUNS[0], [{"id": "old"}])
    land(sink, key("1"), RUNS[1], [{"id": "new"}])
    land(sink, key("2"), RUNS[0], [{"id": "other"}])
    assert [row["id"] for row in load()] == ["new", "other"]
    sink.state.withdraw(key("1"), RUNS[1], reason="wrong account")
    sink.state.withdraw(key("2"), RUNS[0], reason="wrong account")
    # The run that has authority again was validated before the last load.
    assert load() == [names(key("1"), RUNS[0]) | {"id": "old"}]


def test_a_run_that_is_validated_late_is_loaded(sink: rawsink.RawSink, load: Load) -> None:
    seal(sink, key("1"), RUNS[0], [{"id": "sealed first"}])
    land(sink, key("2"), RUNS[0], [{"id": "sealed second"}])
    assert [row["id"] for row in load()] == ["sealed second"]
    sink.validate_partition(key("1"), RUNS[0])
    assert [row["id"] for row in load()] == ["sealed first", "sealed second"]


def test_a_verdict_that_becomes_visible_late_is_within_the_lag(
    sink: rawsink.RawSink, load: Load, settings: dict[str, str]
) -> None:
    land(sink, key("1"), RUNS[0], [{"id": "first"}])
    land(sink, key("2"), RUNS[0], [{"id": "late"}])
    record = sink.state.get(key("1"))
    assert record is not None and record.updated_at is not None
    judged = (record.updated_at - datetime.timedelta(seconds=299)).isoformat()
    with contextlib.closing(sqlite3.connect(settings["RAW_SINK_STATE_URL"].removeprefix("sqlite:"))) as state:

        def set_late(status: str) -> None:
            with state:
                state.execute("UPDATE partition_state SET status = ?, updated_at = ? WHERE customer_id = '2'", [status, judged])

        set_late("pending")
        assert [row["id"] for row in load(lag=300)] == ["first"]
        set_late("success")
    assert [row["id"] for row in load()] == ["first"], "the cursor has passed it"
    assert [row["id"] for row in load(lag=300)] == ["first", "late"]


def test_a_run_is_loaded_once(sink: rawsink.RawSink, load: Load, tmp_path: Path) -> None:
    land(sink, key("1"), RUNS[0], [{"id": "a"}, {"id": "a"}])
    rows = load()
    assert load() == load(lag=300) == rows
    with duckdb.connect(str(tmp_path / "campaigns.duckdb"), read_only=True) as warehouse:
        loads = warehouse.sql("FROM raw._dlt_loads").fetchall()
    assert len(loads) == 2, "the second one of three had nothing to load"


def test_a_flipped_bit_ends_the_load(sink: rawsink.RawSink, load: Load) -> None:
    land(sink, key("1"), RUNS[0], [{"id": "a"}])
    load()
    land(sink, key("2"), RUNS[0], [{"id": "b"}])
    land(sink, key("3"), RUNS[0], [{"id": "c"}])
    flip(sink, key("3"))
    assert [row["id"] for row in load(fails="SHA-256")] == ["a"], "nothing of this load"
    sink.state.withdraw(key("3"), RUNS[0], reason="damaged")
    assert [row["id"] for row in load()] == ["a", "b"]


def flip(sink: rawsink.RawSink, partition: rawsink.PartitionKey) -> None:
    """Flip a bit so that the row stays JSON: no reader notices by itself."""
    place = conftest.place_of(sink, partition, RUNS[0], "payload.jsonl")
    if isinstance(place, Path):
        place.chmod(0o640)
        place.write_bytes(place.read_bytes().replace(b'"c"', b'"b"'))
        return
    client, bucket = conftest.bucket()
    stored = client.get_object(Bucket=bucket, Key=place)["Body"].read()
    client.put_object(Bucket=bucket, Key=place, Body=stored.replace(b'"c"', b'"b"'))
