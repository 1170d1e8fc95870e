"""Sinks for tests: a directory, and a bucket if one is configured (scripts/with-minio)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

import rawsink

KEY = rawsink.PartitionKey("google_ads", "123", "campaign", "2024-06-01")
RUNS = [f"2024-06-0{day}T00:00:00.000Z" for day in range(2, 8)]

HAS_BUCKET = "RAW_SINK_ENDPOINT_URL" in os.environ
# `scripts/python-test` sets it, so that a missing server cannot make the tests pass.
NEEDS_BUCKET = "RAWSINK_TEST_NEEDS_BUCKET" in os.environ


def settings_of(kind: str, folder: Path, **more: str) -> dict[str, str]:
    """Return the variables of a sink."""
    settings = {"RAW_SINK": kind, "RAW_SINK_STATE_URL": f"sqlite:{folder / 'state.db'}"}
    if kind == "filesystem":
        settings["RAW_SINK_ROOT"] = str(folder / "raw")
        (folder / "raw").mkdir()
    else:
        names = ("ENDPOINT_URL", "BUCKET", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
        settings |= {f"RAW_SINK_{name}": os.environ[f"RAW_SINK_{name}"] for name in names}
        settings["RAW_SINK_PREFIX"] = f"python/{folder.name}-{uuid.uuid4().hex[:8]}"
        settings |= {"RAW_SINK_LEFTOVER_GRACE_S": "4", "RAW_SINK_SEAL_DEADLINE_S": "2"}
        settings["RAW_SINK_SEAL_TIMEOUT_S"] = "1"
    return settings | more


@pytest.fixture(params=["filesystem", "object"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The variables of each kind of sink."""
    if request.param == "object" and not HAS_BUCKET:
        if NEEDS_BUCKET:
            pytest.fail("no bucket is configured")
        pytest.skip("no bucket is configured: scripts/with-minio starts one")
    return settings_of(request.param, tmp_path)


@pytest.fixture
def bucket(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """The variables of a bucket."""
    if not HAS_BUCKET:
        if NEEDS_BUCKET:
            pytest.fail("no bucket is configured")
        pytest.skip("no bucket is configured: scripts/with-minio starts one")
    return lambda **more: settings_of("object", tmp_path, **more)


@pytest.fixture
def sink(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> rawsink.RawSink:
    """A sink, opened by the environment alone."""
    return open_sink(settings, monkeypatch)


def open_sink(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> rawsink.RawSink:
    """Open the sink of variables."""
    for name in [name for name in os.environ if name.startswith("RAW_SINK")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return rawsink.RawSink.from_env()


@pytest.fixture
def directory(tmp_path: Path) -> rawsink.RawSink:
    """A sink in a directory."""
    return rawsink.RawSink.directory(tmp_path / "raw")


def seal(sink: rawsink.RawSink, run: str = RUNS[0], rows: int = 3) -> rawsink.Sealed:
    """Seal a run."""
    with sink.write_partition(KEY, run) as writer:
        writer.write_rows({"n": number} for number in range(rows))
        return writer.finalize(api_version="v21", query_hash="q")


def land(
    sink: rawsink.RawSink, key: rawsink.PartitionKey, run: str, rows: Iterable[object]
) -> None:
    """Seal a run and give it authority."""
    with sink.write_partition(key, run) as writer:
        writer.write_rows(rows)
        writer.finalize(api_version="v21", query_hash="q")
    assert sink.validate_partition(key, run).passed


def flip(sink: rawsink.RawSink, key: rawsink.PartitionKey, run: str, name: str) -> None:
    """Flip a bit in the middle of a stored object, behind the back of the library."""
    scheme, _, root = sink.uri.partition("://")
    place = f"{root}/{key.path}/run_id={run}/{name}"
    if scheme == "file":
        path = Path(place)
        path.chmod(0o640)
        path.write_bytes(_flipped(path.read_bytes()))
        return
    curl = ["curl", "--silent", "--show-error", "--fail", "--aws-sigv4", "aws:amz:us-east-1:s3"]
    curl += ["--user", ":".join(os.environ[f"RAW_SINK_{n}"] for n in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))]
    curl.append(f"{os.environ['RAW_SINK_ENDPOINT_URL']}/{quote(place)}")
    stored = subprocess.run(curl, stdout=subprocess.PIPE, check=True).stdout
    flipped = _flipped(stored)
    curl += ["--header", f"x-amz-content-sha256: {hashlib.sha256(flipped).hexdigest()}"]
    curl += ["--header", "content-type: application/octet-stream"]
    subprocess.run([*curl, "--data-binary", "@-", "-X", "PUT"], input=flipped, check=True)


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.fixture
def bucket_sink(
    bucket: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> rawsink.RawSink:
    """A sink in a bucket."""
    return open_sink(bucket(), monkeypatch)


def files(folder: Path) -> list[str]:
    """Return the names of all files below a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def python(code: str, settings: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start a program that uses the package."""
    start = (
        "import os, sys, time, signal, threading, rawsink\n"
        # A shell starts background jobs with this signal ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sink = rawsink.RawSink.from_env()\n"
        "key = rawsink.PartitionKey('google_ads', '123', 'campaign', '2024-06-01')\n"
        "say = lambda *words: print(*words, flush=True)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", start + code, *arguments],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a program to succeed and return what it printed."""
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, f"exit {process.returncode}: {output}{errors}"
    return output


@pytest.fixture
def program() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start programs, and kill those that are left at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, settings: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
        started.append(python(code, settings, *arguments))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
