"""`rawsink://`: the runs that have authority, as verified files."""

from __future__ import annotations

import errno
import json
import os
import pickle
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from conftest import KEY, RUNS, flip, land

import rawsink
from rawsink import _verified
from rawsink.fs import RawSinkFileSystem, path_of, run_of

HOSTILE = ["a*b", "a?b", "a[1]", "{a,b}", "100%", "%41", "a b", "é"]


@pytest.fixture
def files(sink: rawsink.RawSink) -> RawSinkFileSystem:
    return RawSinkFileSystem(sink, skip_instance_cache=True)


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    _verified._forget()
    yield
    _verified._forget()


def test_a_run_that_has_authority_is_a_file(
    sink: rawsink.RawSink, files: RawSinkFileSystem
) -> None:
    land(sink, KEY, RUNS[0], [{"n": 1}, {"n": 2}])
    day = "google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01"
    assert files.ls("", detail=False) == ["google_ads"]
    assert files.ls("rawsink://google_ads", detail=False) == ["google_ads/customer_id=123"]
    (run,) = files.ls(day, detail=False)
    assert run == f"{day}/run_id={RUNS[0].replace(':', '%3A')}"
    (file,) = files.ls(run)
    assert file["name"] == path_of(KEY, RUNS[0]) == f"{run}/payload.jsonl"
    assert file["size"] == 16
    assert files.find("google_ads") == [file["name"]]
    assert files.find("google_ads", maxdepth=2, withdirs=True) == [
        "google_ads/customer_id=123",
        "google_ads/customer_id=123/query_name=campaign",
    ]
    assert files.cat(file["name"]) == b'{"n":1}\n{"n":2}\n'
    with files.open(file["name"]) as opened:
        opened.seek(-8, os.SEEK_END)
        assert opened.read(3) == b'{"n'
        assert opened.tell() == 11


def test_a_glob_opens_only_what_matches(sink: rawsink.RawSink, files: RawSinkFileSystem) -> None:
    keys = [rawsink.PartitionKey("ads", str(n), "q", f"2024-06-0{n}") for n in (1, 2, 3)]
    for key in keys:
        land(sink, key, RUNS[0], [{"n": 1}])
    # The facts of this one cannot be read, and nobody asks for them.
    flip(sink, keys[2], RUNS[0], "metadata.json")
    found = files.glob("rawsink://ads/customer_id=*/query_name=q/logical_date=2024-06-0[12]/*/*.jsonl")
    assert found == [path_of(key, RUNS[0]) for key in keys[:2]]
    assert files.glob("ads/**/payload.jsonl") == [path_of(key, RUNS[0]) for key in keys]
    assert files.glob("ads/customer_id=*") == [f"ads/customer_id={n}" for n in (1, 2, 3)]
    assert files.glob("ads/customer_id=9*") == []
    with pytest.raises(rawsink.Corrupt):
        files.glob("ads/**/payload.jsonl", detail=True)


def test_hostile_names_are_encoded(sink: rawsink.RawSink, files: RawSinkFileSystem) -> None:
    keys = [rawsink.PartitionKey("ads", name, "q", "2024-06-01") for name in HOSTILE]
    for key in keys:
        land(sink, key, RUNS[0], [{"who": key.customer_id}])
    found = files.glob("ads/*/*/*/*/payload.jsonl")
    assert sorted(found) == sorted(path_of(key, RUNS[0]) for key in keys)
    for key in keys:
        path = path_of(key, RUNS[0])
        assert not set("*?[]{}: ") & set(path)
        assert json.loads(files.cat(path)) == {"who": key.customer_id}
        assert run_of(path) == run_of(f"rawsink://{path}") == (key, RUNS[0])
    with pytest.raises(FileNotFoundError):
        run_of("ads/customer_id=1")


def test_only_authority_is_listed_and_what_lost_it_stays_readable(
    sink: rawsink.RawSink, files: RawSinkFileSystem
) -> None:
    land(sink, KEY, RUNS[0], [{"n": 1}])
    (old,) = files.find("")
    with sink.write_partition(KEY, RUNS[1]) as writer:
        writer.write_payload_row({"n": 2})
        writer.finalize(api_version="v1")
    assert files.find("") == [old], "a run that nobody validated"
    with pytest.raises(FileNotFoundError):
        files.open(path_of(KEY, RUNS[1]))
    sink.validate_partition(KEY, RUNS[1])
    assert files.find("") == [path_of(KEY, RUNS[1])]
    assert files.cat(old) == b'{"n":1}\n'
    sink.state.withdraw(KEY, RUNS[0], reason="wrong account")
    with pytest.raises(FileNotFoundError, match="withdrew"):
        files.open(old)


def test_the_time_of_a_file_is_that_of_its_authority(
    sink: rawsink.RawSink, files: RawSinkFileSystem, settings: dict[str, str]
) -> None:
    land(sink, KEY, RUNS[0], [{"n": 1}])
    (old,) = files.find("")
    first = files.modified(old)
    validated = sink.state.history(KEY)[0].judged_at
    assert validated is not None and first >= validated
    land(sink, KEY, RUNS[1], [{"n": 2}])
    assert files.modified(path_of(KEY, RUNS[1])) > first
    assert files.modified(old) == validated, "it lost its authority"
    sink.state.withdraw(KEY, RUNS[1], reason="wrong account")
    given_back = files.modified(old)
    assert given_back > first
    # Another program recorded the success, and knows no log.
    database = sqlite3.connect(settings["RAW_SINK_STATE_URL"].removeprefix("sqlite:"))
    with database:
        database.execute("DELETE FROM run_verdict")
    database.close()
    assert files.modified(old) == given_back


def test_a_flipped_bit_is_an_error(sink: rawsink.RawSink, files: RawSinkFileSystem) -> None:
    land(sink, KEY, RUNS[0], [{"n": n} for n in range(1000)])
    flip(sink, KEY, RUNS[0], "payload.jsonl")
    with pytest.raises(rawsink.Corrupt):
        files.open(path_of(KEY, RUNS[0]))
    with pytest.raises(rawsink.Corrupt):
        files.cat(path_of(KEY, RUNS[0]))


def test_a_payload_is_verified_once(
    sink: rawsink.RawSink, files: RawSinkFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(sink, KEY, RUNS[0], [{"n": 1}])
    made: list[object] = []
    real = _verified.Verified.__init__

    def counted(self: _verified.Verified, native: object, *, infer: bool) -> None:
        made.append(native)
        real(self, native, infer=infer)  # type: ignore[arg-type]

    monkeypatch.setattr(_verified.Verified, "__init__", counted)
    path = path_of(KEY, RUNS[0])
    readers = [threading.Thread(target=files.cat, args=[path]) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(made) == 1
    # Nothing is kept any more, so it is verified again.
    monkeypatch.setattr(_verified, "MOST_OPEN", 0)
    _verified._kept._trim()
    files.cat(path)
    assert len(made) == 2


def test_a_payload_too_long_for_temporary_files(
    bucket_sink: rawsink.RawSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(bucket_sink, KEY, RUNS[0], [{"n": 1}])
    monkeypatch.setattr(_verified, "spool_bytes", 3)
    files = RawSinkFileSystem(bucket_sink, skip_instance_cache=True)
    with pytest.raises(OSError, match="set_spool_bytes") as raised:
        files.open(path_of(KEY, RUNS[0]))
    assert raised.value.errno == errno.EFBIG


def test_it_is_read_only(files: RawSinkFileSystem) -> None:
    with pytest.raises(OSError) as raised:
        files.open(path_of(KEY, RUNS[0]), "wb")
    assert raised.value.errno == errno.EROFS
    for path in ("nothing", "ads/payload.jsonl", "ads/customer=1", "a/b/c/d/e/f/g"):
        with pytest.raises(FileNotFoundError):
            files.info(path)
    assert not files.exists("ads")
    assert files.exists("")


def test_fsspec_finds_it_by_the_environment(
    sink: rawsink.RawSink, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    land(sink, KEY, RUNS[0], [{"n": 1}])
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    fsspec.register_implementation("rawsink", RawSinkFileSystem, clobber=True)
    RawSinkFileSystem.clear_instance_cache()
    with fsspec.open(f"rawsink://{path_of(KEY, RUNS[0])}", "rt") as file:
        assert file.read() == '{"n":1}\n'


def test_a_directory_is_pickled_and_keys_are_not(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    sink = rawsink.RawSink.directory(tmp_path / "raw")
    land(sink, KEY, RUNS[0], [{"n": 1}])
    files = pickle.loads(pickle.dumps(RawSinkFileSystem(sink, skip_instance_cache=True)))
    assert files.cat(path_of(KEY, RUNS[0])) == b'{"n":1}\n'
    keys = rawsink.RawSink.bucket(
        "bucket",
        prefix="raw",
        endpoint_url="http://127.0.0.1:9",
        access_key_id="id",
        secret_access_key="secret",
        state=tmp_path / "s.db",
        allow_http=True,
    )
    with pytest.raises(TypeError, match="from_env"):
        pickle.dumps(keys)


def test_a_full_folder_of_temporary_files_names_the_variable() -> None:
    class Full:
        path = "google_ads/..."

        def _verified(self, infer: bool) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="set TMPDIR to a folder with more space") as raised:
        _verified.Verified(Full(), infer=False)  # type: ignore[arg-type]
    assert raised.value.errno == errno.ENOSPC
