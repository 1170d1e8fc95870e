"""Airflow retries tasks, and each partition is landed once.

Most tests run the DAG in one process, with `dag.test()`. One runs a scheduler, and kills its workers.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import conftest
import pytest

import rawsink

HERE = Path(__file__).parent
RUN = "2024-06-02T04:00:00.000Z"
FIRST = ["consume -1 success 1", "land 0 success 2", "land 1 success 1", "validate 0 success 1", "validate 1 success 1"]
# A DAG run takes ten seconds.
in_a_directory = pytest.mark.parametrize("settings", ["filesystem"], indirect=True)
Dag = Callable[[str], dict[str, Any]]


def environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_PROXY": "127.0.0.1",
    }


def python(home: Path, *arguments: str) -> str:
    """Run a Python program with Airflow, and return what it printed."""
    ran = subprocess.run(
        [sys.executable, *arguments], env=environment(home), capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new database of Airflow."""
    home = tmp_path_factory.mktemp("airflow")
    python(home, "-m", "airflow", "db", "migrate")
    return home / "airflow.db"


@pytest.fixture
def run_dag(settings: dict[str, str], tmp_path: Path, database: Path) -> Dag:
    """Run the DAG of the page with a fault."""
    home = tmp_path / "airflow"
    (home / "dags").mkdir(parents=True)
    (home / "dags/land_campaigns.py").write_text(conftest.code_of("land_campaigns.py"))
    (home / "airflow.db").write_bytes(database.read_bytes())

    def run_dag(fault: str) -> dict[str, Any]:
        output = python(home, str(HERE / "airflow_run.py"), fault)
        (answer,) = [line for line in output.splitlines() if line.startswith("answer: ")]
        found: dict[str, Any] = json.loads(answer.removeprefix("answer: "))
        found["tasks"] = [" ".join(map(str, task)) for task in found["tasks"]]
        return found

    return run_dag


def key(customer: str) -> rawsink.PartitionKey:
    return rawsink.PartitionKey("google_ads", customer, "campaign", "2024-06-01")


@in_a_directory
@pytest.mark.parametrize("fault", ["the extractor fails", "before the seal"])
def test_a_try_that_failed_before_the_seal_is_written_again(sink: rawsink.RawSink, run_dag: Dag, fault: str) -> None:
    found = run_dag(fault)
    assert found["state"] == "success"
    assert found["tasks"] == FIRST
    assert sorted(found["calls"]) == ["123", "123", "456"], "it is extracted again"
    for customer in ("123", "456"):
        assert [(run.run_id, run.sealed) for run in sink.list_runs(key(customer))] == [(RUN, True)]


@in_a_directory
def test_a_try_that_died_after_the_seal_is_done(sink: rawsink.RawSink, run_dag: Dag) -> None:
    found = run_dag("after the seal")
    assert found["state"] == "success"
    assert found["tasks"] == FIRST
    assert sorted(found["calls"]) == ["123", "456"], "it is not extracted again"
    for customer in ("123", "456"):
        assert [(run.run_id, run.sealed) for run in sink.list_runs(key(customer))] == [(RUN, True)]
        assert sink.current(key(customer)) == RUN
    assert found["clicks"] == sum(row["clicks"] for customer in ("123", "456") for row in sink.open_current(key(customer)))


@in_a_directory
def test_a_verdict_is_given_again(sink: rawsink.RawSink, run_dag: Dag) -> None:
    found = run_dag("after the verdict")
    assert found["state"] == "success"
    verdicts = [entry.verdict for customer in ("123", "456") for entry in sink.state.history(key(customer))]
    assert verdicts == ["passed"] * 3


@in_a_directory
def test_a_run_of_another_program_is_not_taken_for_ones_own(sink: rawsink.RawSink, run_dag: Dag) -> None:
    found = run_dag("sealed by another program")
    assert found["state"] == "failed"
    assert "land 0 failed 1" in found["tasks"], "no other try"
    assert "consume -1 upstream_failed 0" in found["tasks"]
    assert sink.current(key("123")) is None


@in_a_directory
def test_a_row_that_is_not_json_needs_no_other_try(sink: rawsink.RawSink, run_dag: Dag) -> None:
    found = run_dag("a row is not JSON")
    assert found["state"] == "failed"
    assert "land 0 failed 1" in found["tasks"]
    assert sink.list_runs(key("123")) == []


@in_a_directory
def test_a_try_waits_for_one_that_is_still_active(sink: rawsink.RawSink, run_dag: Dag) -> None:
    found = run_dag("another try is active")
    assert found["state"] == "success"
    assert found["tasks"] == FIRST


class Airflow:
    """A scheduler with its workers and servers, all on loopback."""

    def __init__(self, home: Path, database: Path) -> None:
        self.home = home
        for folder in ("dags", "lib"):
            (home / folder).mkdir(parents=True)
        (home / "airflow.db").write_bytes(database.read_bytes())
        code = conftest.code_of("land_campaigns.py")
        # Only the DAG run of the test, and tries without a pause.
        for text, other in (("minutes=5", "seconds=1"), ('schedule="0 4 * * *"', "schedule=None")):
            assert text in code
            code = code.replace(text, other)
        (home / "dags/land_campaigns.py").write_text(code)
        (home / "lib/my_api.py").write_bytes((HERE / "killing_api.py").read_bytes())
        port = subprocess.run([HERE.parents[1] / "scripts/free-ports"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        self.environment = environment(home) | {
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": port,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{home / 'lib'}",
        }
        self.servers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Airflow:
        for name in ("api-server", "scheduler", "dag-processor"):
            with (self.home / f"{name}.log").open("wb") as log:
                command = [sys.executable, "-m", "airflow", name]
                self.servers.append(
                    subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)
                )
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.terminate()
        for server in self.servers:
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()

    def __call__(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "airflow", *arguments]
        return subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, text=True, timeout=300).stdout

    def wait(self, what: Callable[[], bool]) -> None:
        end = time.monotonic() + 240
        while not what():
            logs = "".join(path.read_text()[-2000:] for path in self.home.glob("*.log"))
            assert time.monotonic() < end, logs
            time.sleep(1)

    def state(self, run: str) -> str:
        """Return the state of a DAG run."""
        # Warnings stand before the answer.
        *_, answer = self("dags", "list-runs", "land_campaigns", "--output", "json").splitlines()
        return next(str(found["state"]) for found in json.loads(answer) if found["run_id"] == run)

    def calls(self) -> list[str]:
        return (self.home / "lib/calls").read_text().split()


def test_killed_workers_and_a_cleared_dag_run(
    settings: dict[str, str], sink: rawsink.RawSink, tmp_path: Path, database: Path
) -> None:
    def runs(customer: str) -> list[str]:
        (day,) = {record.key.logical_date for record in sink.state.list()}
        found = sink.list_runs(rawsink.PartitionKey("google_ads", customer, "campaign", day))
        assert all(run.sealed for run in found)
        return [run.run_id for run in found]

    with Airflow(tmp_path / "airflow", database) as airflow:
        airflow.wait(lambda: "land_campaigns" in airflow("dags", "list"))
        airflow("dags", "unpause", "land_campaigns", "--yes")
        airflow("dags", "trigger", "land_campaigns", "--run-id", "manual")
        airflow.wait(lambda: airflow.state("manual") in ("success", "failed"))
        assert airflow.state("manual") == "success"
        killed = [(airflow.home / "lib" / name).exists() for name in ("before the seal", "after the seal")]
        assert killed == [True, True]
        assert sorted(airflow.calls()) == ["123", "123", "456"], "the sealed one is not extracted again"
        first = runs("123")
        assert len(first) == 1 and runs("456") == first

        airflow("tasks", "clear", "land_campaigns", "--yes")
        airflow.wait(lambda: len(airflow.calls()) == 5 and airflow.state("manual") == "success")
        assert runs("123") == runs("456")
        assert runs("123")[0] == first[0] and len(runs("123")) == 2
        assert {record.current_run_id for record in sink.state.list(status="success")} == {runs("123")[1]}
