"""Airflow retries tasks, and each partition is landed once. In a process each, with a database of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


def airflow(home: Path, *arguments: str) -> str:
    """Run a Python program with Airflow, and return what it printed."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    ran = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new database of Airflow."""
    home = tmp_path_factory.mktemp("airflow")
    airflow(home, "-m", "airflow", "db", "migrate")
    return home / "airflow.db"


@pytest.fixture
def run_dag(settings: dict[str, str], tmp_path: Path, database: Path) -> Dag:
    """Run the DAG of the page with a fault."""
    home = tmp_path / "airflow"
    (home / "dags").mkdir(parents=True)
    (home / "dags/land_campaigns.py").write_text(conftest.code_of("land_campaigns.py"))
    (home / "airflow.db").write_bytes(database.read_bytes())

    def run_dag(fault: str) -> dict[str, Any]:
        output = airflow(home, str(HERE / "airflow_run.py"), fault)
        (answer,) = [line for line in output.splitlines() if line.startswith("answer: ")]
        found: dict[str, Any] = json.loads(answer.removeprefix("answer: "))
        found["tasks"] = [" ".join(map(str, task)) for task in found["tasks"]]
        return found

    return run_dag


def key(customer: str) -> rawsink.PartitionKey:
    return rawsink.PartitionKey("google_ads", customer, "campaign", "2024-06-01")


@pytest.mark.parametrize("fault", ["the extractor fails", "before the seal"])
def test_a_try_that_failed_before_the_seal_is_written_again(sink: rawsink.RawSink, run_dag: Dag, fault: str) -> None:
    found = run_dag(fault)
    assert found["state"] == "success"
    assert found["tasks"] == FIRST
    assert sorted(found["calls"]) == ["123", "123", "456"], "it is extracted again"
    for customer in ("123", "456"):
        assert [(run.run_id, run.sealed) for run in sink.list_runs(key(customer))] == [(RUN, True)]


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


@in_a_directory
def test_a_cleared_dag_run_gets_a_new_start(settings: dict[str, str], run_dag: Dag, tmp_path: Path) -> None:
    run_dag("none")
    found = airflow(tmp_path / "airflow", "-c", CLEAR).splitlines()[-1].split()
    assert found[0] == "2024-06-02T04:00:00+00:00"
    assert found[1] == "None"
    assert found[2] > "2026"


CLEAR = """
from airflow import settings
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import clear_task_instances
from airflow.utils.state import DagRunState
session = settings.Session()
(run,) = session.query(DagRun).all()
starts = [run.start_date]
clear_task_instances(run.get_task_instances(session=session), session)
session.flush()
starts.append(run.start_date)
run.set_state(DagRunState.RUNNING)
starts.append(run.start_date)
print(*[start and start.isoformat() for start in starts])
"""
