"""Forks, exits, daemon threads and interpreters."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import KEY, RUNS, files, finish, python, seal

import rawsink

Start = Callable[..., subprocess.Popen[str]]


def test_a_forked_child_uses_the_sink_and_not_the_writer(
    settings: dict[str, str], program: Start
) -> None:
    code = """
writer = sink.write_partition(key, "2024-06-02T00:00:00.000Z")
writer.write_payload_row({"n": 1})
child = os.fork()
if child == 0:
    try:
        writer.write_payload_row({"n": 2})
    except rawsink.Closed as error:
        assert "parent process" in str(error)
    else:
        os._exit(2)
    writer.abort()
    del writer
    import gc
    gc.collect()
    with sink.write_partition(key, "2024-06-03T00:00:00.000Z") as other:
        other.write_payload_row({"n": 3})
        other.finalize()
    sink.validate_partition(key, "2024-06-03T00:00:00.000Z")
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
writer.write_payload_row({"n": 2})
writer.finalize()
sink.validate_partition(key, "2024-06-02T00:00:00.000Z")
say([len(list(sink.open_partition(key, run))) for run in sink.list_partitions(key)])
say(sink.current(key))
"""
    output = finish(program(code, settings))
    assert output.splitlines() == ["[2, 1]", "2024-06-03T00:00:00.000Z"]


def test_a_child_does_not_keep_a_dead_parents_run_locked(
    directory: rawsink.RawSink, tmp_path: Path, program: Start
) -> None:
    settings = {"RAW_SINK_ROOT": str(tmp_path / "raw")}
    seal(directory, RUNS[1])
    code = """
writer = sink.write_partition(key, "2024-06-02T00:00:00.000Z")
writer.write_payload_row({"n": 1})
child = os.fork()
if child == 0:
    say("child", os.getpid())
    signal.pause()
os.wait3(os.WNOHANG)
time.sleep(0.5)
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = program(code, settings)
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    try:
        assert process.wait(60) == -signal.SIGKILL
        assert seal(directory, RUNS[0]).record_count == 3
    finally:
        os.kill(child, signal.SIGKILL)


def _land(day: int) -> int:
    sink = rawsink.RawSink.from_env()
    key = rawsink.PartitionKey("ads", "1", "q", f"2024-06-{day:02}")
    with sink.write_partition(key, RUNS[0]) as writer:
        writer.write_rows({"n": n} for n in range(day))
        return writer.finalize().record_count


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(
    method: str, sink: rawsink.RawSink
) -> None:
    seal(sink)  # The parent's runtime is running.
    with multiprocessing.get_context(method).Pool(3) as pool:
        assert pool.map(_land, range(1, 9)) == list(range(1, 9))
    assert sink.validate_all(source="ads").passed == 8


def test_the_end_of_the_interpreter_aborts_open_writers(
    settings: dict[str, str], sink: rawsink.RawSink
) -> None:
    # Handlers run in reverse order: this one after those of the package, before objects are destroyed.
    code = """
import atexit
def check():
    try:
        writer.write_payload_row({"n": 1})
    except rawsink.Closed:
        print("aborted")
atexit.register(check)
import rawsink
key = rawsink.PartitionKey("google_ads", "123", "campaign", "2024-06-01")
writer = rawsink.RawSink.from_env().write_partition(key, "2024-06-02T00:00:00.000Z")
writer.write_rows([{"text": "x" * 1000}] * 9000)
"""
    environment = {**os.environ, **settings}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "aborted\n"), ran.stderr
    assert sink.list_runs(KEY) == []


def test_daemon_threads_do_not_kill_the_process(settings: dict[str, str], program: Start) -> None:
    code = """
def land(number):
    while True:
        with sink.write_partition(key, f"run-{number}-{time.monotonic_ns()}") as writer:
            writer.write_rows({"n": n} for n in range(1000))
            writer.finalize()
for number in range(4):
    threading.Thread(target=land, args=(number,), daemon=True).start()
time.sleep(0.3)
"""
    for _ in range(5):
        finish(program(code, settings))


ASYNC = """
import asyncio
import rawsink.aio
async def main():
    landing = rawsink.aio.RawSink(sink)
    async def land(number):
        run = f"run-{os.getpid()}-{number}"
        async with await landing.write_partition(key, run) as writer:
            await writer.write_rows([{"n": n} for n in range(100)])
            await writer.finalize()
    await asyncio.gather(*(land(number) for number in range(4)))
    # Left to the end of the interpreter:
    await (await landing.write_partition(key, f"run-{os.getpid()}-left")).write_payload_row({"n": 1})
    asyncio.ensure_future(land("late"))
asyncio.run(main())
"""


def test_asyncio_programs_exit_cleanly(settings: dict[str, str]) -> None:
    exits = int(os.environ.get("RAWSINK_TEST_EXITS", "12"))
    for start in range(0, exits, 4):
        for process in [python(ASYNC, settings) for _ in range(min(4, exits - start))]:
            finish(process)


def test_a_subinterpreter_is_refused_cleanly(settings: dict[str, str], program: Start) -> None:
    code = """
try:
    import _xxsubinterpreters as interpreters
except ImportError:
    import _interpreters as interpreters
one = interpreters.create()
try:
    failed = interpreters.run_string(one, "import rawsink")
    assert failed is not None and "interpreter" in str(failed), failed
except interpreters.RunFailedError as error:
    assert "ImportError" in str(error), error
say("refused")
"""
    assert finish(program(code, settings)) == "refused\n"


def test_import_starts_no_thread_and_reads_nothing() -> None:
    code = (
        "import threading, os, rawsink\n"
        "assert len(os.listdir('/proc/self/task')) == 1, os.listdir('/proc/self/task')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_killed_writer_leaves_nothing_that_readers_see(
    directory: rawsink.RawSink, tmp_path: Path, program: Start
) -> None:
    (tmp_path / "raw").mkdir(exist_ok=True)
    code = """
writer = sink.write_partition(key, "2024-06-02T00:00:00.000Z")
writer.write_rows([{"text": "x" * 1000}] * 9000)
os.kill(os.getpid(), signal.SIGKILL)
"""
    settings = {"RAW_SINK_ROOT": str(tmp_path / "raw")}
    assert program(code, settings).wait(60) == -signal.SIGKILL
    assert "metadata.json" not in files(tmp_path)
    assert seal(directory).record_count == 3
