"""Ctrl-C and cancel: what waits ends at once, and nothing is sealed."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable

import pytest
from conftest import KEY, RUNS, open_sink

import rawsink

Start = Callable[..., subprocess.Popen[str]]
Bucket = Callable[..., dict[str, str]]

# Dies with an open upload, so that the next writer of the run waits for the grace.
DIE = """
writer = sink.write_partition(key, sys.argv[1])
writer.write_rows([{"text": "x" * 1000}] * 7000)
os.kill(os.getpid(), signal.SIGKILL)
"""

WAIT = """
writer = sink.write_partition(key, sys.argv[1])
writer.write_payload_row({"n": 1})
say("waiting")
try:
    writer.finalize()
except KeyboardInterrupt:
    say("interrupted", time.monotonic())
    writer.abort()
say([run.sealed for run in sink.list_runs(key)])
"""


@pytest.fixture
def waiting(bucket: Bucket, program: Start) -> dict[str, str]:
    """The variables of a bucket with a run whose next writer waits for a minute."""
    settings = bucket(RAW_SINK_LEFTOVER_GRACE_S="60", RAW_SINK_PART_BYTES="5MiB")
    dying = program(DIE, settings, RUNS[0])
    assert dying.wait(60) == -signal.SIGKILL
    return settings


def test_ctrl_c_ends_the_grace(waiting: dict[str, str], program: Start) -> None:
    process = program(WAIT, waiting, RUNS[0])
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    time.sleep(2)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    word, when = process.stdout.readline().split()
    took = float(when) - start
    assert word == "interrupted"
    # A loaded machine is slow; the grace is a minute.
    assert took < 20, took
    print(f"Ctrl-C took {took:.3f} s")
    assert "True" not in process.stdout.readline()
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_another_thread_cancels_the_grace(
    waiting: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = open_sink(waiting, monkeypatch)
    writer = sink.write_partition(KEY, RUNS[0])
    writer.write_payload_row({"n": 1})
    raised: list[BaseException] = []

    def finalize() -> None:
        try:
            writer.finalize()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=finalize)
    thread.start()
    time.sleep(1)
    assert thread.is_alive()
    writer.cancel()
    thread.join(30)
    assert not thread.is_alive()
    (error,) = raised
    assert isinstance(error, rawsink.Closed) and error.message == "cancelled"
    assert not any(run.sealed for run in sink.list_runs(KEY))


class SlowSeal(threading.Thread):
    """Passes connections on to a server, and delays the request that creates the seal."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.target = port
        self.seen = threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.start()

    def run(self) -> None:
        while True:
            client, _ = self.listening.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                if data.startswith(b"PUT ") and b"metadata.json" in data.split(b"\r\n", 1)[0]:
                    self.seen.set()
                    time.sleep(2)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_the_seal_is_not_interrupted(bucket: Bucket, program: Start) -> None:
    settings = bucket(RAW_SINK_SEAL_DEADLINE_S="20", RAW_SINK_SEAL_TIMEOUT_S="10",
                      RAW_SINK_LEFTOVER_GRACE_S="60")
    server = SlowSeal(int(settings["RAW_SINK_ENDPOINT_URL"].rsplit(":", 1)[1]))
    settings["RAW_SINK_ENDPOINT_URL"] = f"http://127.0.0.1:{server.port}"
    process = program(WAIT.replace("writer.finalize()", "writer.finalize(); say('returned')"), settings, RUNS[0])
    assert server.seen.wait(60)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    words = output.split()
    # The exception arrives, and the run is sealed.
    assert words[:2] == ["waiting", "interrupted"] and words[-1] == "[True]", output + errors


def test_a_handler_may_use_the_writer_that_waits(
    waiting: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = open_sink(waiting, monkeypatch)
    writer = sink.write_partition(KEY, RUNS[0])
    writer.write_payload_row({"n": 1})
    before = signal.signal(signal.SIGALRM, lambda number, frame: writer.abort())
    signal.alarm(1)
    try:
        with pytest.raises(rawsink.Closed):
            writer.finalize()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert not any(run.sealed for run in sink.list_runs(KEY))


def test_a_cancelled_writer_stays_closed(directory: rawsink.RawSink) -> None:
    writer = directory.write_partition(KEY, RUNS[0])
    writer.write_payload_row({"n": 1})
    writer.cancel()
    for call in (writer.finalize, lambda: writer.write_lines(b"{}\n")):
        with pytest.raises(rawsink.Closed):
            call()
    assert directory.list_runs(KEY) == []


def test_ctrl_c_ends_a_validation_and_keeps_its_verdicts(
    settings: dict[str, str], program: Start
) -> None:
    code = """
for day in range(1, 29):
    one = rawsink.PartitionKey("ads", "1", "q", f"2024-06-{day:02}")
    with sink.write_partition(one, "2024-07-01T00:00:00.000Z") as writer:
        writer.write_rows({"n": n} for n in range(100))
        writer.finalize()
def stop(found):
    os.kill(os.getpid(), signal.SIGINT)
try:
    sink.validate_all(progress=stop)
except KeyboardInterrupt:
    say("interrupted")
records = sink.state.list(status="success")
assert 0 < len(records)
result = sink.validate_all()
say(len(records) + result.passed, result.ok)
"""
    process = program(code, settings)
    output, errors = process.communicate(timeout=120)
    assert output.splitlines() == ["interrupted", "28 True"], output + errors
