"""The classes of an existing project, and a pipeline that was written against them."""

from __future__ import annotations

import datetime
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import RUNS, settings_of

import rawsink
from rawsink import compat

KEY = compat.PartitionKey("google_ads", "123", "campaign", "2024-06-01")
RUN = RUNS[0]
Bucket = Callable[..., dict[str, str]]


def environment(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RAW_SINK")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def raw_sink(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> compat.RawSink:
    environment(settings, monkeypatch)
    return compat.create_raw_sink()


@pytest.fixture
def repository(tmp_path: Path) -> compat.PartitionStateRepository:
    made = compat.PartitionStateRepository(tmp_path / "states" / "state.db")
    made.ensure_schema()
    return made


def land(sink: compat.RawSink, run: str = RUN, rows: int = 2) -> dict[str, Any]:
    writer = sink.write_partition(KEY, run)
    for number in range(rows):
        writer.write_payload_row({"n": number})
    metadata = {
        "source": KEY.source,
        "customer_id": KEY.customer_id,
        "query_name": KEY.query_name,
        "logical_date": KEY.logical_date,
        "run_id": run,
        "extracted_at": "2024-06-02T00:00:00Z",
        "schema_version": "v1",
        "record_count": rows,
        "api_version": "v16",
        "query_hash": "abc",
    }
    writer.finalize(metadata)
    return metadata


def test_partitions_are_written_and_read(raw_sink: compat.RawSink) -> None:
    metadata = land(raw_sink)
    reader = raw_sink.open_partition(KEY, RUN)
    assert isinstance(raw_sink, compat.RawSink) and isinstance(reader, compat.PartitionReader)
    assert reader.read_metadata() == metadata
    first = reader.iter_payload_rows()
    assert next(first) == {"n": 0}
    assert list(reader.iter_payload_rows()) == [{"n": 0}, {"n": 1}]
    assert next(first) == {"n": 1}
    assert raw_sink.list_partitions(KEY) == [RUN]
    with pytest.raises(FileExistsError):
        raw_sink.write_partition(KEY, RUN)
    with pytest.raises(RuntimeError):
        raw_sink.write_partition(KEY, RUN)
    with pytest.raises(FileNotFoundError):
        raw_sink.open_partition(KEY, RUNS[1])
    writer = raw_sink.write_partition(KEY, RUNS[1])
    assert isinstance(writer, compat.PartitionWriter)
    with pytest.raises(TypeError):
        writer.write_payload_row({"when": datetime.date(2024, 6, 1)})
    with pytest.raises(RuntimeError):
        writer.finalize({})
    with pytest.raises(FileNotFoundError):
        raw_sink.open_partition(KEY, RUNS[1])


@pytest.mark.parametrize("row", [[], "", [1], ["ab"], None])
def test_what_is_no_row_ends_the_writer(raw_sink: compat.RawSink, row: Any) -> None:
    writer = raw_sink.write_partition(KEY, RUN)
    with pytest.raises(ValueError):
        writer.write_payload_row(row)
    with pytest.raises(RuntimeError):
        writer.finalize({})
    assert raw_sink.list_partitions(KEY) == []


def test_a_success_cannot_be_stored_for_a_withdrawn_run(
    raw_sink: compat.RawSink, repository: compat.PartitionStateRepository
) -> None:
    land(raw_sink)
    compat.RawPartitionValidator(raw_sink, repository).validate_partition(KEY, RUN)
    rawsink.State(repository._native).withdraw(KEY, RUN, reason="wrong currency")
    with pytest.raises(rawsink.Invalid, match="withdrew"):
        repository.upsert_partition_state(
            state_of(1, status="success", current_run_id=RUN, record_count=2)
        )


def test_a_native_sink_with_a_foreign_repository_is_judged_natively(
    raw_sink: compat.RawSink,
) -> None:
    writer = rawsink.RawSink.write_partition(raw_sink._sink, KEY, RUN)  # type: ignore[attr-defined]
    writer.write_lines(b'{"x":1e400}\n')
    writer.finalize()
    states: Any = DictRepository()
    state = compat.RawPartitionValidator(raw_sink, states).validate_partition(KEY, RUN)
    assert (state.status, state.record_count) == ("success", 1)


def test_a_writer_fails_after_finalize(raw_sink: compat.RawSink) -> None:
    writer = raw_sink.write_partition(KEY, RUN)
    writer.finalize({})
    with pytest.raises(RuntimeError):
        writer.write_payload_row({})
    with pytest.raises(RuntimeError):
        writer.finalize({})


def test_a_fresh_directory_is_empty_and_created_by_the_first_write(tmp_path: Path) -> None:
    sink = compat.LocalFilesystemRawSink(root=tmp_path / "a" / "b" / "raw")
    assert sink.list_partitions(KEY) == []
    with pytest.raises(FileNotFoundError):
        sink.open_partition(KEY, RUN)
    assert list(tmp_path.iterdir()) == []
    land(sink)
    assert sink.list_partitions(KEY) == [RUN]


def test_the_default_directory_is_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment({}, monkeypatch)
    monkeypatch.chdir(tmp_path)
    land(compat.LocalFilesystemRawSink())
    assert compat.create_raw_sink().list_partitions(KEY) == [RUN]
    assert (tmp_path / "data/raw/google_ads/customer_id=123").is_dir()
    repository = compat.PartitionStateRepository()
    repository.ensure_schema()
    assert (tmp_path / "data/state_store.db").is_file()


def test_a_bucket_is_opened_by_its_config(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = bucket()
    environment({"RAW_SINK_LEFTOVER_GRACE_S": "4", "RAW_SINK_SEAL_DEADLINE_S": "2",
                 "RAW_SINK_SEAL_TIMEOUT_S": "1"}, monkeypatch)
    config = compat.S3Config(
        settings["RAW_SINK_BUCKET"],
        settings["RAW_SINK_PREFIX"],
        endpoint_url=settings["RAW_SINK_ENDPOINT_URL"],
        access_key=settings["RAW_SINK_ACCESS_KEY_ID"],
        secret_key=settings["RAW_SINK_SECRET_ACCESS_KEY"],
    )
    assert settings["RAW_SINK_SECRET_ACCESS_KEY"] not in repr(config)
    sink = compat.ObjectStorageRawSink(config)
    assert (sink.bucket, sink.prefix) == (config.bucket, config.prefix)
    land(sink)
    environment({**settings, "RAW_SINK": "Object"}, monkeypatch)
    made = compat.create_raw_sink()
    assert isinstance(made, compat.ObjectStorageRawSink)
    assert made.bucket == sink.bucket and made.list_partitions(KEY) == [RUN]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"RAW_SINK_PREFIX": None}, "RAW_SINK_PREFIX"),
        ({"RAW_SINK_ENDPOINT_URL": "http://minio:9000"}, "RAW_SINK_ALLOW_HTTP"),
        ({"RAW_SINK_BUCKET": None}, "RAW_SINK_BUCKET"),
        ({"RAW_SINK": "s3"}, "RAW_SINK"),
    ],
)
def test_an_error_names_the_variable_to_set(
    change: dict[str, str | None], named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = {
        "RAW_SINK": "object",
        "RAW_SINK_ENDPOINT_URL": "https://s3.example.com",
        "RAW_SINK_BUCKET": "gads",
        "RAW_SINK_PREFIX": "raw",
        "RAW_SINK_ACCESS_KEY_ID": "a",
        "RAW_SINK_SECRET_ACCESS_KEY": "s",
    }
    merged = {**settings, **change}
    environment({name: value for name, value in merged.items() if value is not None}, monkeypatch)
    with pytest.raises(ValueError, match=named):
        compat.create_raw_sink()


def test_a_validation_records_its_verdict(
    raw_sink: compat.RawSink, repository: compat.PartitionStateRepository
) -> None:
    validator = compat.RawPartitionValidator(raw_sink, repository)
    missing = validator.validate_partition(KEY, RUN)
    assert (missing.status, missing.attempt_count, missing.current_run_id) == ("failed", 1, None)
    land(raw_sink)
    state = validator.validate_partition(KEY, RUN)
    assert (state.status, state.current_run_id, state.record_count) == ("success", RUN, 2)
    assert state.logical_date == datetime.date(2024, 6, 1)
    assert state.updated_at.tzinfo is not None and state.attempt_count == 2
    assert repository.get_partition_state(KEY) == state
    assert repository.get_partition_state("google_ads", "123", "campaign", state.logical_date) == state


class ListReader:
    def __init__(self, rows: list[Any], metadata: dict[str, Any]) -> None:
        self.rows, self.metadata = rows, metadata

    def iter_payload_rows(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            if isinstance(row, Exception):
                raise row
            yield row

    def read_metadata(self) -> dict[str, Any]:
        return self.metadata


class ListSink:
    """A sink of other software."""

    def __init__(self, rows: list[Any], **metadata: Any) -> None:
        self.rows, self.metadata = rows, metadata

    def write_partition(self, partition_key: compat.PartitionKey, run_id: str) -> Any:
        raise NotImplementedError

    def open_partition(self, partition_key: compat.PartitionKey, run_id: str) -> ListReader:
        if run_id != RUN:
            raise FileNotFoundError(run_id)
        return ListReader(self.rows, self.metadata)

    def list_partitions(self, partition_key: compat.PartitionKey) -> list[str]:
        return [RUN]


class DictRepository:
    """A repository of other software."""

    def __init__(self) -> None:
        self.states: dict[Any, compat.PartitionState] = {}

    def get_partition_state(
        self, source: str, customer_id: str, query_name: str, logical_date: datetime.date
    ) -> compat.PartitionState | None:
        return self.states.get((source, customer_id, query_name, logical_date))

    def upsert_partition_state(self, state: compat.PartitionState) -> None:
        key = (state.source, state.customer_id, state.query_name, state.logical_date)
        self.states[key] = state


@pytest.mark.parametrize("foreign_repository", [True, False])
def test_sinks_of_other_software_are_judged_by_the_same_rules(
    foreign_repository: bool, repository: compat.PartitionStateRepository
) -> None:
    states: Any = DictRepository() if foreign_repository else repository

    def validate(sink: ListSink, run: str = RUN) -> compat.PartitionState:
        return compat.RawPartitionValidator(sink, states).validate_partition(KEY, run)

    good = validate(ListSink([{"a": 1}], record_count=1, schema_version="v3"))
    assert (good.status, good.record_count, good.schema_version) == ("success", 1, "v3")
    failures = [
        (ListSink([{"a": 1}], record_count=2), "record_count 2, the payload has 1 rows"),
        (ListSink([[1]]), "line 1 is not a JSON object"),
        (ListSink([{"a": float("nan")}]), "line 1"),
        (ListSink([{}, ValueError("bad gzip")]), "ValueError: bad gzip"),
        (ListSink([], run_id="other"), "run_id"),
    ]
    for attempts, (sink, reason) in enumerate(failures, start=2):
        state = validate(sink)
        assert state.status == "failed" and reason in (state.error_message or "")
        assert state.attempt_count == attempts
    assert validate(ListSink([]), RUNS[1]).status == "failed"
    # An error that proves nothing about the data records nothing.
    before = states.get_partition_state("google_ads", "123", "campaign", datetime.date(2024, 6, 1))
    with pytest.raises(TimeoutError):
        validate(ListSink([TimeoutError("slow")]))
    after = states.get_partition_state("google_ads", "123", "campaign", datetime.date(2024, 6, 1))
    assert before == after


def test_a_newer_run_keeps_authority(
    raw_sink: compat.RawSink, repository: compat.PartitionStateRepository
) -> None:
    validator = compat.RawPartitionValidator(raw_sink, repository)
    for run in (RUNS[1], RUNS[0]):
        land(raw_sink, run)
        assert validator.validate_partition(KEY, run).current_run_id == RUNS[1]


def state_of(day: int, **facts: Any) -> compat.PartitionState:
    return compat.PartitionState(
        "google_ads", "123", "campaign", datetime.date(2024, 6, day), **facts
    )


def test_records_are_stored_as_given(repository: compat.PartitionStateRepository) -> None:
    moment = datetime.datetime(2024, 6, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc)
    given = state_of(1, status="success", current_run_id=RUN, schema_version="v1",
                     record_count=7, updated_at=moment, attempt_count=3)
    repository.upsert_partition_state(given)
    assert repository.get_partition_state(KEY) == given
    given.status, given.attempt_count = "failed", 1
    given.error_message = "[terminal] no such customer"
    repository.upsert_partition_state(given)
    stored = repository.get_partition_state(KEY)
    assert stored is not None and stored.attempt_count == 3
    assert stored.error_message == given.error_message
    with pytest.raises(ValueError, match="time zone"):
        repository.upsert_partition_state(state_of(1, updated_at=datetime.datetime(2024, 1, 1)))
    with pytest.raises(ValueError, match="status"):
        repository.upsert_partition_state(state_of(1, status="done"))


def test_an_upserted_success_is_compared_by_its_count(
    raw_sink: compat.RawSink, repository: compat.PartitionStateRepository
) -> None:
    land(raw_sink)
    for count, readable in ((2, True), (3, False)):
        repository.upsert_partition_state(
            state_of(1, status="success", current_run_id=RUN, record_count=count)
        )
        settings = dict(os.environ)
        settings["RAW_SINK_STATE_URL"] = f"sqlite:{os.fspath(repository.db_path)}"
        names = set(rawsink._rawsink.variables())
        native = rawsink._rawsink.Sink.from_settings(
            {name: value for name, value in settings.items() if name in names}
        )
        if readable:
            assert len(list(rawsink.RawSink(native).open_current(KEY))) == 2
        else:
            with pytest.raises(rawsink.Corrupt):
                list(rawsink.RawSink(native).open_current(KEY))


def test_records_are_listed_newest_first(repository: compat.PartitionStateRepository) -> None:
    for day, status in ((1, "success"), (3, "failed"), (2, "success")):
        repository.upsert_partition_state(state_of(day, status=status, current_run_id=RUN))
    days = [state.logical_date.day for state in repository.list_partition_states()]
    assert days == [3, 2, 1]
    found = repository.list_partition_states(
        status="success", customer_id="123", since="2024-06-02", until=datetime.date(2024, 6, 30), limit=1
    )
    assert [state.logical_date.day for state in found] == [2]
    assert repository.list_partition_states(query_name="other") == []


def test_the_table_is_that_of_the_contract(
    repository: compat.PartitionStateRepository, tmp_path: Path
) -> None:
    repository.upsert_partition_state(state_of(1))
    with sqlite3.connect(tmp_path / "states" / "state.db") as database:
        (row,) = database.execute("SELECT status, logical_date FROM partition_state").fetchall()
    assert row == ("pending", "2024-06-01")


PIPELINE = Path(__file__).parent / "pipeline"


@pytest.mark.parametrize("kind", ["filesystem", "object"])
def test_a_pipeline_of_the_existing_project_runs(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if kind == "object":
        request.getfixturevalue("bucket")
    environment(settings_of(kind, tmp_path), monkeypatch)
    monkeypatch.setenv("STATE_DB", str(tmp_path / "pipeline.db"))
    monkeypatch.syspath_prepend(str(PIPELINE))
    import pipeline

    run = pipeline.extract("123", "2024-06-01", [{"clicks": 1}, {"clicks": 2}])
    assert pipeline.consume("123", "2024-06-01") == 3
    bad = pipeline.extract("123", "2024-06-02", [{"clicks": 5}], count=9)
    assert pipeline.failed() == [("123", "2024-06-02")]
    assert pipeline.consume("123", "2024-06-02") is None
    assert pipeline.retry() == 1
    again = pipeline.extract("123", "2024-06-02", [{"clicks": 5}])
    assert pipeline.consume("123", "2024-06-02") == 5
    assert len({run, bad, again}) == 3
    json.dumps(run)
