"""Runs the DAG of the page once, with a fault: airflow_run.py FAULT. Prints what happened as JSON.

Airflow itself schedules, runs and retries the tasks, in this process.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import rawsink

DUE = datetime.datetime(2024, 6, 2, 4, tzinfo=datetime.timezone.utc)
RUN = "2024-06-02T04:00:00.000Z"
calls: list[str] = []


def pages(customer_id: str, day: datetime.date) -> Iterator[list[dict[str, Any]]]:
    """Return the rows of an API, as an extractor does."""
    assert day == datetime.date(2024, 6, 1)
    calls.append(customer_id)
    yield [{"clicks": 1}]
    if fault == "the extractor fails" and calls.count("123") == 1 and customer_id == "123":
        raise ConnectionError("the connection is gone")
    # Rows differ between tries: only one try may be landed.
    yield [{"clicks": 10 * len(calls)}] if fault != "a row is not JSON" else [{"clicks": float("nan")}]


def once(error: Exception, real: Callable[..., Any], customer_of: Callable[..., str], *, before: bool) -> Callable[..., Any]:
    """Return a function that fails at its first call for a customer, before or after it did its work."""
    failed = False

    def function(*arguments: Any, **options: Any) -> Any:
        nonlocal failed
        fails = not failed and customer_of(*arguments) == "123"
        failed = failed or fails
        if fails and before:
            raise error
        result = real(*arguments, **options)
        if fails:
            raise error
        return result

    return function


def inject() -> None:
    writer, sink = rawsink.PartitionWriter, rawsink.RawSink
    died = RuntimeError("the worker died")
    if fault in ("before the seal", "after the seal"):
        before = fault == "before the seal"
        writer.finalize = once(died, writer.finalize, lambda writer: writer.key.customer_id, before=before)
    if fault == "after the verdict":
        real = sink.validate_partition
        sink.validate_partition = once(died, real, lambda sink, key, run: key.customer_id, before=False)
    if fault == "sealed by another program":
        key = rawsink.PartitionKey("google_ads", "123", "campaign", "2024-06-01")
        with sink.from_env().write_partition(key, RUN) as other:
            other.write_rows([{"clicks": 1000}])
            other.finalize(api_version="v26")
    if fault == "another try is active":
        block()


def block() -> None:
    """Keep a writer of the run open until the first try has met it."""
    sink, real = rawsink.RawSink.from_env(), rawsink.RawSink.write_partition
    other = sink.write_partition(rawsink.PartitionKey("google_ads", "123", "campaign", "2024-06-01"), RUN)

    def write(*arguments: Any, **options: Any) -> Any:
        try:
            return real(*arguments, **options)
        except rawsink.Conflict:
            other.abort()
            raise

    rawsink.RawSink.write_partition = write


def main() -> None:
    module = types.ModuleType("my_api")
    module.pages = pages
    sys.modules["my_api"] = module
    sys.path.insert(0, os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    from land_campaigns import land_campaigns_dag as dag

    for name in dag.task_ids:
        dag.get_task(name).retry_delay = datetime.timedelta(0)
    inject()
    ended = dag.test(run_after=DUE, logical_date=DUE)
    tasks = sorted((task.task_id, task.map_index, task.state, task.try_number) for task in ended.get_task_instances())
    (result,) = [task for task in ended.get_task_instances() if task.task_id == "consume"]
    answer = {"state": ended.state, "tasks": tasks, "clicks": result.xcom_pull(task_ids="consume"), "calls": calls}
    print("answer:", json.dumps(answer))


if __name__ == "__main__":
    fault = sys.argv[1]
    main()
