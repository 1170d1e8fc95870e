"""Writing, reading, validating: the same in a directory and in a bucket."""

from __future__ import annotations

import datetime
import gc
import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from conftest import KEY, RUNS, files, seal

import rawsink


def test_rows_are_sealed_validated_and_read(sink: rawsink.RawSink) -> None:
    with sink.write_partition(KEY, RUNS[0]) as writer:
        writer.write_payload_row({"campaign": "summer", "clicks": 12})
        assert writer.write_rows([{"n": 1}, {"n": 2}]) == 2
        writer.write_lines(b'{"x":1}\n{"y"')
        writer.write_lines(':2}\n{"z":3}')
        assert writer.record_count == 5
        sealed = writer.finalize(api_version="v21", query_hash="q")
    assert (sealed.record_count, writer.record_count) == (6, 6)
    assert sink.current(KEY) is None
    validation = sink.validate_partition(KEY, RUNS[0])
    assert (validation.passed, validation.authority, validation.rows) == (True, "this_run", 6)
    assert validation.warnings == ()
    reader = sink.open_current(KEY)
    rows = [{"campaign": "summer", "clicks": 12}, {"n": 1}, {"n": 2}, {"x": 1}, {"y": 2}, {"z": 3}]
    assert list(reader) == rows
    # Reading starts again each time.
    assert [json.loads(line) for line in reader.lines()] == rows
    assert reader.read_bytes() == b"".join(reader.chunks())
    assert reader.verify().payload_sha256 == sealed.payload_sha256
    assert reader.seal is not None and reader.seal.writer == sealed.writer
    assert reader.payload_bytes == sealed.payload_bytes
    assert sink.current(KEY) == reader.run_id == RUNS[0]


def test_fields_complete_the_metadata(sink: rawsink.RawSink) -> None:
    with sink.write_partition(KEY, RUNS[0]) as writer:
        writer.write_payload_row({"n": 1})
        writer.finalize(api_version="v21", schema_version="v2")
    metadata = sink.read_metadata(KEY, RUNS[0])
    assert datetime.datetime.fromisoformat(metadata.pop("extracted_at").replace("Z", "+00:00"))
    assert metadata == {
        "source": "google_ads",
        "customer_id": "123",
        "query_name": "campaign",
        "logical_date": "2024-06-01",
        "run_id": RUNS[0],
        "schema_version": "v2",
        "record_count": 1,
        "api_version": "v21",
    }


def test_given_metadata_is_stored_as_it_is(sink: rawsink.RawSink) -> None:
    given = {"z": [1.5, None, {"a": "é"}], "a": 2**70, "record_count": 0}
    with sink.write_partition(KEY, RUNS[0]) as writer:
        writer.finalize(given)
    read = sink.open_partition(KEY, RUNS[0]).read_metadata()
    assert read == given and list(read) == list(given)
    assert list(sink.open_partition(KEY, RUNS[0])) == []


def test_a_writer_without_finalize_leaves_nothing(sink: rawsink.RawSink) -> None:
    with sink.write_partition(KEY, RUNS[0]) as writer:
        writer.write_payload_row({"n": 1})
    dropped = sink.write_partition(KEY, RUNS[0])
    dropped.write_payload_row({"n": 1})
    del dropped
    with pytest.raises(KeyError), sink.write_partition(KEY, RUNS[0]) as writer:
        raise KeyError
    assert sink.list_runs(KEY) == []
    assert seal(sink).record_count == 3


def test_a_sealed_run_is_never_written_again(sink: rawsink.RawSink) -> None:
    before = seal(sink)
    with pytest.raises(rawsink.AlreadySealed) as refused:
        sink.write_partition(KEY, RUNS[0])
    assert refused.value.run_id == RUNS[0] and refused.value.partition == KEY.path
    assert sink.open_partition(KEY, RUNS[0]).verify().payload_sha256 == before.payload_sha256


def test_a_refused_row_ends_the_writer(sink: rawsink.RawSink) -> None:
    for bad in ({"cost": float("nan")}, {"when": datetime.date(2024, 6, 1)}, {1: 2}, {"b": b"x"}):
        with sink.write_partition(KEY, RUNS[0]) as writer:
            writer.write_payload_row({"n": 1})
            with pytest.raises(rawsink.NotSerialisable) as refused:
                writer.write_payload_row(bad)
            assert refused.value.line == 2
            with pytest.raises(rawsink.Closed):
                writer.finalize()
    with sink.write_partition(KEY, RUNS[0]) as writer:
        with pytest.raises(rawsink.Invalid, match="not a JSON object"):
            writer.write_payload_row([1])  # type: ignore[arg-type, unused-ignore]
    assert sink.list_runs(KEY) == []


def test_refused_rows_may_be_kept(sink: rawsink.RawSink) -> None:
    rejects: list[rawsink.Reject] = []
    with sink.write_partition(KEY, RUNS[0], on_reject=rejects.append) as writer:
        writer.write_rows([{"n": 1}, {"n": float("inf")}, {"n": 3}])
        writer.write_lines(b"not json\n{}\n")
        assert writer.rejected_count == 2
        writer.finalize()
    assert [reject.line for reject in rejects] == [2, 4]
    assert rejects[1].text == b"not json"
    assert sink.read_metadata(KEY, RUNS[0])["rejected_count"] == 2
    with sink.write_partition(KEY, RUNS[1], on_reject=rejects.append, max_rejects=1) as writer:
        writer.write_lines(b"no\nno\n{}\n")
        with pytest.raises(rawsink.Invalid, match="2 lines were refused, more than 1"):
            writer.finalize()


def test_default_converts_values(sink: rawsink.RawSink) -> None:
    day = datetime.date(2024, 6, 1)
    with sink.write_partition(KEY, RUNS[0], default=str) as writer:
        writer.write_payload_row({"day": day})
        writer.write_rows([{"day": day}], default=datetime.date.toordinal)
        writer.finalize(day=day)
    reader = sink.open_partition(KEY, RUNS[0])
    assert list(reader) == [{"day": "2024-06-01"}, {"day": day.toordinal()}]
    assert reader.read_metadata()["day"] == "2024-06-01"


def test_what_default_raises_is_the_cause(directory: rawsink.RawSink) -> None:
    def refuse(value: object) -> object:
        raise LookupError(value)

    with directory.write_partition(KEY, RUNS[0], default=refuse) as writer:
        with pytest.raises(TypeError) as refused:
            writer.write_payload_row({"x": {1, 2}})
    assert isinstance(refused.value.__cause__, LookupError)
    assert "x" in str(refused.value)


def test_rows_of_a_source_that_fails_are_not_sealed(sink: rawsink.RawSink) -> None:
    def pages() -> Iterator[dict[str, int]]:
        yield {"n": 1}
        raise ConnectionResetError("the API closed the connection")

    writes: list[Callable[[rawsink.PartitionWriter], object]] = [
        lambda writer: writer.write_rows(pages()),
        lambda writer: writer.write_lines(json.dumps(row).encode() + b"\n" for row in pages()),
    ]
    for write in writes:
        with sink.write_partition(KEY, RUNS[0]) as writer:
            with pytest.raises(ConnectionResetError):
                write(writer)
            with pytest.raises(rawsink.Closed):
                writer.finalize()
    assert sink.list_runs(KEY) == []


@pytest.mark.parametrize(
    "wrap", [bytes, bytearray, memoryview, bytes.decode, lambda b: [b, b], lambda b: (b,)]
)
def test_lines_may_be_any_buffer(
    directory: rawsink.RawSink, wrap: Callable[[bytes], object]
) -> None:
    with directory.write_partition(KEY, RUNS[0]) as writer:
        writer.write_lines(wrap(b'{"a":1}\n'))
        sealed = writer.finalize()
    assert sealed.record_count in (1, 2)


def test_lines_may_be_an_open_file(directory: rawsink.RawSink) -> None:
    with directory.write_partition(KEY, RUNS[0]) as writer:
        writer.write_lines(io.BytesIO(b'{"a":1}\n{"b":2}\n'))
        assert writer.finalize().record_count == 2


def test_a_row_that_arrives_during_finalize_is_sealed_or_refused(
    directory: rawsink.RawSink,
) -> None:
    for number in range(20):
        key = rawsink.PartitionKey("ads", str(number), "q", "2024-06-01")
        accepted = [0] * 4

        def write(lane: int, writer: rawsink.PartitionWriter, accepted: list[int]) -> None:
            try:
                while True:
                    writer.write_payload_row({"lane": lane})
                    accepted[lane] += 1
            except rawsink.Closed:
                pass

        with directory.write_partition(key, RUNS[0]) as writer:
            threads = [
                threading.Thread(target=write, args=(lane, writer, accepted)) for lane in range(4)
            ]
            for thread in threads:
                thread.start()
            sealed = None
            try:
                sealed = writer.finalize()
            except rawsink.Invalid as error:
                assert "while a call appends rows" in error.message
            for thread in threads:
                thread.join()
        assert sealed is None or sealed.record_count == sum(accepted)


def test_a_generator_cannot_seal_the_writer_that_reads_it(directory: rawsink.RawSink) -> None:
    writer = directory.write_partition(KEY, RUNS[0])

    def rows() -> Iterator[dict[str, int]]:
        yield {"n": 1}
        writer.finalize()
        yield {"n": 2}

    with pytest.raises(rawsink.Invalid, match="while a call appends rows"):
        writer.write_rows(rows())
    assert directory.list_runs(KEY) == []


@pytest.mark.parametrize("lines", [[b'{"a":1}\n', 5], '{"a":"\ud800"}', 7, [["x", 1]]])
def test_lines_of_a_wrong_type_end_the_writer(directory: rawsink.RawSink, lines: object) -> None:
    with directory.write_partition(KEY, RUNS[0]) as writer:
        writer.write_payload_row({"n": 1})
        with pytest.raises((TypeError, ValueError)):
            writer.write_lines(lines)
        with pytest.raises(rawsink.Closed):
            writer.finalize()
    assert directory.list_runs(KEY) == []


def test_a_callback_that_raises_ends_the_writer(directory: rawsink.RawSink) -> None:
    def refuse(reject: rawsink.Reject) -> None:
        raise LookupError(reject.line)

    writes: list[Callable[[rawsink.PartitionWriter], object]] = [
        lambda writer: writer.write_lines(b"no\nno\n{}\n"),
        lambda writer: writer.write_payload_row({"n": float("nan")}),
    ]
    for write in writes:
        with directory.write_partition(KEY, RUNS[0], on_reject=refuse) as writer:
            with pytest.raises(LookupError):
                write(writer)
            with pytest.raises(rawsink.Closed):
                writer.finalize()
    assert directory.list_runs(KEY) == []


def test_every_call_after_a_refused_row_is_refused(directory: rawsink.RawSink) -> None:
    writer = directory.write_partition(KEY, RUNS[0])
    with pytest.raises(rawsink.NotSerialisable):
        writer.write_payload_row({"n": float("nan")})
    for call in (lambda: writer.write_payload_row({}), lambda: writer.write_rows([{}])):
        with pytest.raises(rawsink.Closed):
            call()


def test_a_row_after_an_open_line_is_refused(directory: rawsink.RawSink) -> None:
    with directory.write_partition(KEY, RUNS[0]) as writer:
        writer.write_lines(b'{"a":1}')
        with pytest.raises(rawsink.Invalid, match="is incomplete"):
            writer.write_payload_row({"b": 2})


def test_a_writer_in_a_cycle_is_collected(directory: rawsink.RawSink) -> None:
    class Job:
        def __init__(self) -> None:
            self.writer = directory.write_partition(KEY, RUNS[0], on_reject=self.reject)

        def reject(self, reject: rawsink.Reject) -> None:
            raise AssertionError

    Job()
    gc.collect()
    assert seal(directory).record_count == 3


def test_a_manifest_may_be_left_early(directory: rawsink.RawSink) -> None:
    for day in range(1, 9):
        key = rawsink.PartitionKey("ads", "1", "q", f"2024-06-0{day}")
        with directory.write_partition(key, RUNS[0]) as writer:
            writer.finalize()
    directory.validate_all()
    payloads = directory.manifest(jobs=1)
    next(payloads)
    payloads.close()  # type: ignore[attr-defined]
    assert len(list(directory.manifest())) == 8


def test_one_text_is_no_list_of_names(directory: rawsink.RawSink) -> None:
    with pytest.raises(TypeError, match="customers must be a list"):
        directory.coverage(customers="123")
    with pytest.raises(TypeError, match="require_members must be a list"):
        directory.write_partition(KEY, RUNS[0], require_members="id")
    with pytest.raises(TypeError, match="needs on_reject"):
        directory.write_partition(KEY, RUNS[0], max_rejects=1)
    with directory.write_partition(KEY, RUNS[0]) as writer, pytest.raises(TypeError):
        writer.finalize([])  # type: ignore[arg-type]


def test_a_state_may_be_named_by_its_path(tmp_path: Path) -> None:
    sink = rawsink.RawSink.directory(tmp_path / "raw", state=str(tmp_path / "odd?name.db"))
    seal(sink)
    assert sink.validate_all().passed == 1
    assert (tmp_path / "odd?name.db").is_file()
    assert rawsink.State.open(str(tmp_path / "odd?name.db")).get(KEY) is not None
    with pytest.raises(rawsink.Invalid, match="in memory"):
        rawsink.State.open(":memory:")


def test_members_can_be_required_and_blank_lines_skipped(directory: rawsink.RawSink) -> None:
    with directory.write_partition(KEY, RUNS[0], skip_blank=True, require_members=["id"]) as writer:
        writer.write_lines(b'{"id":1}\n\n')
        with pytest.raises(rawsink.Invalid, match="has no member"):
            writer.write_lines(b"{}\n")


def test_a_long_row_is_refused_by_its_call(tmp_path: Path) -> None:
    sink = rawsink.RawSink.directory(tmp_path / "raw", max_row_bytes=100)
    with sink.write_partition(KEY, RUNS[0]) as writer:
        writer.write_payload_row({"a": "b"})
        with pytest.raises(rawsink.Invalid, match="line 2") as refused:
            writer.write_payload_row({"a": "b" * 100})
    assert refused.value.hint == "check RAW_SINK_MAX_ROW_BYTES"


def test_contradictions_are_refused(sink: rawsink.RawSink) -> None:
    with sink.write_partition(KEY, RUNS[0]) as writer:
        writer.write_payload_row({"n": 1})
        with pytest.raises(rawsink.Invalid, match="record_count 7"):
            writer.finalize({"record_count": 7})
    with sink.write_partition(KEY, RUNS[0]) as writer:
        with pytest.raises(TypeError):
            writer.finalize({"n": float("nan")})
        with pytest.raises(rawsink.Closed):
            writer.finalize()
    assert sink.list_runs(KEY) == []


def test_missing_and_unsealed_runs(sink: rawsink.RawSink) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        sink.open_partition(KEY, RUNS[0])
    assert isinstance(missing.value, rawsink.NotFound) and missing.value.errno == 2
    with pytest.raises(rawsink.NotFound):
        sink.open_current(KEY)
    with pytest.raises(rawsink.NotFound):
        sink.validate_partition(KEY, RUNS[0])
    assert not sink.validate_partition(KEY, RUNS[0], record_missing=True).passed
    record = sink.state.get(KEY)
    assert record is not None and record.status == "failed"


def test_a_changed_byte_is_corrupt(directory: rawsink.RawSink, tmp_path: Path) -> None:
    seal(directory)
    directory.validate_partition(KEY, RUNS[0])
    (payload,) = (tmp_path / "raw").rglob("payload.jsonl")
    os.chmod(payload, 0o640)
    payload.write_bytes(payload.read_bytes().replace(b"1", b"7"))
    reader = directory.open_current(KEY)
    for read in (reader.read_bytes, reader.verify, lambda: list(reader), lambda: list(reader.chunks())):
        with pytest.raises(rawsink.Corrupt):
            read()
    result = directory.scrub()
    (damage,) = result.damaged
    assert (damage.kind, damage.has_authority, damage.key) == ("payload_differs", True, KEY)
    assert not result.ok


def test_runs_are_superseded_withdrawn_and_restored(sink: rawsink.RawSink) -> None:
    for run in RUNS[:2]:
        seal(sink, run)
    seen: list[object] = []
    result = sink.validate_all(progress=seen.append)
    assert (result.passed, result.failed, result.compared, result.ok) == (2, 0, 1, True)
    assert len(seen) == 2 and sink.current(KEY) == RUNS[1]
    # A reader of the run that had authority continues.
    reader = sink.open_current(KEY)
    record = sink.state.withdraw(KEY, RUNS[1], reason="wrong currency")
    assert record is not None and record.current_run_id == RUNS[0] and record.has_authority
    assert reader.run_id == RUNS[1] and len(list(reader)) == 3
    with pytest.raises(rawsink.Invalid) as withdrawn:
        sink.validate_partition(KEY, RUNS[1])
    assert withdrawn.value.hint == "state.restore() ends the withdrawal"
    sink.state.restore(KEY, RUNS[1])
    assert sink.validate_partition(KEY, RUNS[1]).authority == "this_run"
    events = [entry.verdict for entry in sink.state.history(KEY)]
    assert events == ["passed", "passed", "withdrawn", "restored", "passed"]
    assert [record.key for record in sink.state.list(status="success")] == [KEY]
    with pytest.raises(rawsink.NotFound):
        sink.state.withdraw(KEY, RUNS[5], reason="never existed")


def test_failed_records_can_be_retried(sink: rawsink.RawSink) -> None:
    sink.validate_partition(KEY, RUNS[0], record_missing=True)
    assert sink.state.retry(source="other") == 0
    assert sink.state.retry() == 1
    record = sink.state.get(KEY)
    assert record is not None and (record.status, record.attempt_count) == ("pending", 1)


def test_coverage_scrub_and_manifest(sink: rawsink.RawSink) -> None:
    seal(sink)
    assert sink.coverage().tally["sealed"] == 1
    sink.validate_all()
    coverage = sink.coverage(since="2024-06-01", until=datetime.date(2024, 6, 2))
    assert coverage.tally["validated"] == 1 and coverage.tally["missing"] == 1
    (missing,) = coverage.where("missing")
    assert missing.key.date == datetime.date(2024, 6, 2)
    seen: list[tuple[int, int]] = []
    result = sink.scrub(progress=lambda runs, bytes_: seen.append((runs, bytes_)))
    assert result.ok and result.intact == 1 and result.bytes_read > 0 and seen[-1][0] == 1
    (payload,) = sink.manifest()
    assert (payload.key, payload.rows) == (KEY, 3)
    assert payload.uri.startswith(sink.uri)
    with pytest.raises(rawsink.Invalid, match="unknown reader"):
        list(sink.manifest(reader="excel"))


def test_runs_are_listed(sink: rawsink.RawSink) -> None:
    for run in (RUNS[1], RUNS[0]):
        seal(sink, run)
    assert sink.list_partitions(KEY) == RUNS[:2]
    assert [(run.run_id, run.sealed) for run in sink.list_runs(KEY)] == [
        (run, True) for run in RUNS[:2]
    ]


def test_threads_share_a_sink_and_a_writer(sink: rawsink.RawSink) -> None:
    days = [f"2024-06-{day:02}" for day in range(1, 9)]

    def land(day: str) -> None:
        key = rawsink.PartitionKey("ads", "1", "q", day)
        with sink.write_partition(key, RUNS[0]) as writer:
            writer.write_rows({"day": day, "n": n} for n in range(100))
            writer.finalize()

    run_threads([partial(land, day) for day in days])
    assert sink.validate_all(source="ads", jobs=8).passed == len(days)
    with sink.write_partition(KEY, RUNS[0]) as shared:
        run_threads([lambda: write_all(shared)] * 8)
        assert shared.finalize().record_count == 8 * 500


def write_all(writer: rawsink.PartitionWriter) -> None:
    for number in range(250):
        writer.write_payload_row({"n": number, "text": "x" * 300})
    writer.write_rows([{"n": number} for number in range(250)])


def run_threads(work: list[Callable[[], None]]) -> None:
    faults: list[BaseException] = []

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_a_large_payload_crosses_parts(sink: rawsink.RawSink) -> None:
    row = {"text": "x" * 1000}
    with sink.write_partition(KEY, RUNS[0]) as writer:
        for _ in range(40):
            writer.write_rows([row] * 500)
        sealed = writer.finalize()
    assert sealed.record_count == 20_000 and sealed.payload_bytes > 20_000_000
    reader = sink.open_partition(KEY, RUNS[0])
    assert sum(1 for _ in reader.lines()) == 20_000
    assert len(reader.read_bytes()) == sealed.payload_bytes


def test_settings_are_those_of_the_variables(tmp_path: Path) -> None:
    file = tmp_path / "rawsink.env"
    file.write_text(f"RAW_SINK_ROOT={tmp_path}/raw\nRAW_SINK_STATE_URL=sqlite:{tmp_path}/s.db\n")
    sink = rawsink.RawSink.from_file(file)
    assert sink.settings["RAW_SINK_ROOT"] == f"{tmp_path}/raw"
    assert sink.uri == f"file://{tmp_path}/raw"
    with pytest.raises(TypeError, match="unknown setting 'colour'"):
        rawsink.RawSink.directory(tmp_path / "raw", colour="red")
    with pytest.raises(rawsink.Invalid, match="RAW_SINK_PREFIX"):
        rawsink.RawSink.bucket(
            "b",
            prefix="../x",
            endpoint_url="https://s3.example.com",
            access_key_id="a",
            secret_access_key="s",
            state=tmp_path / "s.db",
        )


def test_directory_has_its_state_beside_it(directory: rawsink.RawSink, tmp_path: Path) -> None:
    seal(directory)
    directory.validate_all()
    assert files(tmp_path) == ["metadata.json", "payload.jsonl", "state_store.db"]


def test_to_arrow_keeps_late_columns_and_text(directory: rawsink.RawSink) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    with directory.write_partition(KEY, RUNS[0]) as writer:
        writer.write_rows({"id": "007", "n": n} for n in range(2_000))
        writer.write_payload_row({"id": "1", "n": 2**80, "late": {"a": [1]}})
        writer.finalize()
    table = directory.open_partition(KEY, RUNS[0]).to_arrow()
    assert table.column_names == ["id", "n", "late"] and table.num_rows == 2_001
    assert table["id"][0].as_py() == "007"
    assert table["n"][2_000].as_py() == str(2**80)
    assert table["late"][2_000].as_py() == {"a": [1]}
    schema = pyarrow.schema([("id", pyarrow.string())])
    assert directory.open_partition(KEY, RUNS[0]).to_arrow(schema).schema == schema
