"""The code of docs/recipes.md, and sinks to run it on: a directory, and the bucket of scripts/with-minio."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import rawsink

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/recipes.md"


def code_of(name: str) -> str:
    """Return the code below a line of the page that is only the name of a file."""
    (code,) = re.findall(rf"^`{re.escape(name)}`:\n\n```\w+\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return str(code)


@pytest.fixture(params=["filesystem", "object"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The variables of each kind of sink, set in the environment."""
    settings = {"RAW_SINK": request.param, "RAW_SINK_STATE_URL": f"sqlite:{tmp_path / 'state.db'}"}
    if request.param == "filesystem":
        settings["RAW_SINK_ROOT"] = str(tmp_path / "raw")
    else:
        names = ("ENDPOINT_URL", "BUCKET", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
        settings |= {f"RAW_SINK_{name}": os.environ[f"RAW_SINK_{name}"] for name in names}
        settings["RAW_SINK_PREFIX"] = f"recipes/{uuid.uuid4().hex[:12]}"
        settings |= {"RAW_SINK_LEFTOVER_GRACE_S": "4", "RAW_SINK_SEAL_DEADLINE_S": "2"}
        settings["RAW_SINK_SEAL_TIMEOUT_S"] = "1"
    for name in [name for name in os.environ if name.startswith("RAW_SINK")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


@pytest.fixture
def sink(settings: dict[str, str]) -> rawsink.RawSink:
    """The sink that the environment selects."""
    return rawsink.RawSink.from_env()


@pytest.fixture
def run(settings: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program of the page as a new process, in the folder of the test."""

    def run(
        name: str, *arguments: str, edit: tuple[str, str] = ("", ""), **more: str
    ) -> subprocess.CompletedProcess[str]:
        program, code = tmp_path / name, code_of(name)
        assert edit[0] in code
        program.write_text(code.replace(*edit))
        interpreter = [sys.executable] if name.endswith(".py") else ["bash"]
        return subprocess.run(
            [*interpreter, str(program), *arguments],
            cwd=tmp_path,
            env={**os.environ, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
        )

    return run


def seal(sink: rawsink.RawSink, key: rawsink.PartitionKey, run: str, rows: Iterable[object]) -> None:
    """Seal a run without a verdict."""
    with sink.write_partition(key, run) as writer:
        writer.write_rows(rows)
        writer.finalize(api_version="v26", query_hash="q")


def land(sink: rawsink.RawSink, key: rawsink.PartitionKey, run: str, rows: Iterable[object]) -> None:
    """Seal a run and give it authority."""
    seal(sink, key, run, rows)
    assert sink.validate_partition(key, run).passed


def place_of(sink: rawsink.RawSink, key: rawsink.PartitionKey, run: str, name: str) -> Path | str:
    """Return where a file of a run is stored: its path, or its key in the bucket."""
    scheme, _, root = sink.uri.partition("://")
    place = f"{root}/{key.path}/run_id={run}/{name}"
    return Path(place) if scheme == "file" else place.partition("/")[2]


def bucket() -> tuple[object, str]:
    """Return a client of the bucket, and its name."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=os.environ["RAW_SINK_ENDPOINT_URL"],
        aws_access_key_id=os.environ["RAW_SINK_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["RAW_SINK_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    return client, os.environ["RAW_SINK_BUCKET"]
