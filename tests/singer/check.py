"""Lands two Singer taps, alone and with Meltano, and compares each row with what the tap printed: check.py [CHECK...]

In a directory and in the bucket of the RAW_SINK_* variables. Ends with 1 at the first difference.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from messages import printed
from taps import ROWS, TAPS, Api

TARGET = "crm/customer_id=7/query_name={stream}/logical_date=2024-06-01"
RUN = "2024-06-02T00:00:00.000Z"
MIB = 1024 * 1024
# Peak memory of a command.
BUDGET = 64 * MIB
# The streams of the measurement, and the bytes of all their records.
STREAMS = 200
BYTES = 200 * MIB


class Sink:
    """An empty sink, and the program that uses it."""

    def __init__(self, rawsink: Path, kind: str, folder: Path) -> None:
        self.rawsink, self.kind, self.folder = rawsink, kind, folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAW_SINK")}
        if kind == "bucket":
            names = ("ENDPOINT_URL", "BUCKET", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
            kept |= {f"RAW_SINK_{name}": os.environ[f"RAW_SINK_{name}"] for name in names}
            kept |= {"RAW_SINK": "object", "RAW_SINK_PREFIX": f"singer-{uuid.uuid4().hex[:12]}"}
        else:
            (folder / "raw").mkdir()
            kept["RAW_SINK_ROOT"] = str(folder / "raw")
        self.env = kept | {"RAW_SINK_STATE_URL": f"sqlite:{folder}/state.db"}
        # As in a crontab.
        self.env["PATH"] = f"{rawsink.parent}:{kept['PATH']}"

    def run(
        self, *arguments: str, code: int = 0, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            arguments, env=env or self.env, cwd=cwd or self.folder, stdin=subprocess.DEVNULL, capture_output=True
        )
        if done.returncode != code:
            print(done.stdout.decode(), done.stderr.decode(), file=sys.stderr)
            raise SystemExit(f"{self.kind}: exit code {done.returncode}, not {code}: {shlex.join(arguments)}")
        return done

    def program(self, *arguments: str, code: int = 0) -> bytes:
        return self.run(str(self.rawsink), *arguments, code=code).stdout

    def runs(self) -> list[str]:
        return self.program("list", "--runs").decode().splitlines()


def require(holds: bool, claim: str) -> None:
    if not holds:
        raise SystemExit(f"not so: {claim}")


def check_rows(sink: Sink, output: Path, state: bytes, name: str) -> None:
    """Compare every stream with the output of the tap, as consumers read it."""
    expected = printed(output)
    require(len(expected.digests) == 2, f"{name} prints two streams: {expected}")
    sink.program("validate", "--all")
    for stream, digest in expected.digests.items():
        path = TARGET.replace("{stream}", stream)
        rows = sink.program("read", path, "--current")
        require(hashlib.sha256(rows).hexdigest() == digest, f"{name}, {stream}: the rows are those of the tap")
        require(rows.count(b"\n") == expected.rows[stream] == ROWS, f"{name}, {stream}: no row is missing")
        kept = json.loads(sink.program("show", path, "--latest", "--json"))["metadata"]["singer"]
        require(kept["schema"] == expected.schemas[stream], f"{name}, {stream}: the metadata has the schema")
        require(kept["state"] == json.loads(expected.state or "null"), f"{name}: the metadata has the state")
    if expected.state is not None:
        require(state.decode() == expected.state + "\n", f"{name}: the state is printed as it was")


def check_taps(sink_of, venvs: Path) -> None:
    for name, command in TAPS.items():
        for kind in ("directory", "bucket"):
            sink = sink_of(kind)
            output = sink.folder / "output"
            tap = command(venvs, sink.folder, fails=False)
            saving = ["bash", "-o", "pipefail", "-c", f"{shlex.join(tap)} | tee {shlex.quote(str(output))}"]
            args = ("singer", TARGET, "--run-id", RUN, "--set", "api_version=v1", "--set", "query_hash=q", "--")
            check_rows(sink, output, sink.program(*args, *saving), name)
            # The bytes of the first output are sealed again, and found to be the same.
            before = sink.runs()
            again = sink.run(str(sink.rawsink), *args, "cat", str(output))
            require(again.stderr.count(b": already sealed, 300 rows") == 2, f"{name}: {again.stderr.decode()}")
            require(sink.runs() == before and len(before) == 2, f"{name}: a second command seals nothing")
            print(f"{name}, {kind}: 2 streams, {ROWS} rows each, byte for byte")


def check_deaths(sink_of, venvs: Path) -> None:
    for name, command in TAPS.items():
        for kind in ("directory", "bucket"):
            sink = sink_of(kind)
            tap = command(venvs, sink.folder, fails=True)
            output = sink.folder / "output"
            saving = ["bash", "-o", "pipefail", "-c", f"{shlex.join(tap)} | tee {shlex.quote(str(output))}"]
            done = sink.run(str(sink.rawsink), "singer", TARGET, "--", *saving, code=1)
            require(max(printed(output).rows.values()) == ROWS, f"{name} dies after a whole stream")
            require(b"nothing was sealed" in done.stderr, done.stderr.decode())
            require(done.stdout == b"" and sink.runs() == [], f"{name}, {kind}: a dead tap seals nothing")
            print(f"{name}, {kind}: dies after a stream, nothing was sealed")


def peak_of(process: subprocess.Popen[bytes]) -> int:
    """Return the peak memory of a process at its end. The `ru_maxrss` of a child includes that of this process."""
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        lines = [line.split() for line in status.splitlines()]
        peak = max([peak, *(int(line[1]) * 1024 for line in lines if line and line[0] == "VmHWM:")])
        time.sleep(0.01)
    process.wait()
    return peak


def check_memory(sink_of, venvs: Path) -> None:
    """Land many interleaved streams with more bytes than the budget."""
    for kind in ("directory", "bucket"):
        sink = sink_of(kind)
        row = {"filler": "x" * 2000}
        lines = [json.dumps({"type": "RECORD", "stream": f"s{n}", "record": row}) for n in range(STREAMS)]
        script = sink.folder / "tap.py"
        script.write_text(
            "import sys\n"
            f"for n in range({STREAMS}): print('{{\"type\":\"SCHEMA\",\"stream\":\"s%d\",\"schema\":{{}}}}' % n)\n"
            f"for _ in range({BYTES // sum(map(len, lines))}): sys.stdout.write(open('round').read())\n"
        )
        (sink.folder / "round").write_text("\n".join(lines) + "\n")
        arguments = [str(sink.rawsink), "singer", TARGET, "--run-id", RUN, "--", sys.executable, str(script)]
        process = subprocess.Popen(arguments, env=sink.env, cwd=sink.folder, stderr=subprocess.DEVNULL)
        peak = peak_of(process)
        require(process.returncode == 0 and len(sink.runs()) == STREAMS, f"{kind}: every stream is sealed")
        print(f"{kind}: peak {peak / MIB:.0f} MiB for {STREAMS} interleaved streams with {BYTES // MIB} MiB")
        require(peak < BUDGET, f"{kind}: the peak is below {BUDGET // MIB} MiB")


def check_meltano(sink_of, venvs: Path) -> None:
    """Run the example with a tap, twice, and with a tap that fails."""
    example = Path(__file__).parents[2] / "examples/meltano"
    meltano = str(venvs / "meltano/bin/meltano")
    for kind in ("directory", "bucket"):
        sink = sink_of(kind)
        project = sink.folder / "project"
        shutil.copytree(example, project)
        # Meltano gives the variables of this file to the loader.
        settings = {name: sink.env[name] for name in sink.env if name.startswith("RAW_SINK")}
        (project / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        outside = {name: value for name, value in sink.env.items() if name not in settings}
        outside |= {"RAWSINK_PARTITION": TARGET, "RAWSINK_RUN_ID": RUN}
        output = sink.folder / "output"
        tap = str(venvs / "rest-api/bin/tap-rest-api-msdk")

        def extract(config: dict[str, object]) -> None:
            wrapper = project / "tap"
            discover = f'case "$*" in *--discover*) exec {tap} "$@";; esac'
            wrapper.write_text(f'#!/bin/bash\nset -o pipefail\n{discover}\n{tap} "$@" | tee {output}\n')
            wrapper.chmod(0o755)
            plugin = {
                "name": "tap-rest", "namespace": "tap_rest", "executable": "./tap",
                "capabilities": ["catalog", "discover", "state"], "config": config,
                "settings": [{"name": "api_url"}, {"name": "streams", "kind": "array"}],
            }
            (project / "extract.meltano.yml").write_text(json.dumps({"plugins": {"extractors": [plugin]}}))

        file = project / "meltano.yml"
        file.write_text(file.read_text() + "\ninclude_paths: [./*.meltano.yml]\n")
        extract(Api().config("orders", "users"))
        sink.run(meltano, "run", "tap-rest", "target-rawsink", cwd=project, env=outside)
        expected = printed(output).state
        states = sink.run(meltano, "state", "list", cwd=project).stdout.decode()
        require("dev:tap-rest-to-target-rawsink" in states, f"Meltano has the state: {states}")
        kept = sink.run(meltano, "state", "get", "dev:tap-rest-to-target-rawsink", cwd=project).stdout
        require(json.loads(kept)["singer_state"] == json.loads(expected or "null"), f"it is the last one: {kept.decode()}")
        check_rows(sink, output, f"{expected}\n".encode(), "Meltano")

        # Meltano reports the failure, and the loader cannot know it: runs are sealed, and an operator must withdraw them.
        late, later = "2024-06-03T00:00:00.000Z", "2024-06-04T00:00:00.000Z"
        outside["RAWSINK_RUN_ID"] = late
        extract(Api(vanishes_at=3).config("orders", "vanishing"))
        sink.run(meltano, "run", "--full-refresh", "tap-rest", "target-rawsink", code=1, cwd=project, env=outside)
        sealed = [run for run in sink.runs() if late in run]
        require(len(sealed) == 2, f"a loader of Meltano seals what it got: {sealed}")
        for run in sealed:
            sink.program("state", "withdraw", run.split("\t")[0], "--reason", "the tap failed")
        validated = sink.program("validate", "--all").decode()
        require(late not in validated, f"a run that is withdrawn is not validated: {validated}")
        # With the exit code of the tap nothing is sealed.
        output.unlink()
        extract(Api(vanishes_at=3).config("orders", "vanishing"))
        invoke = (meltano, "--log-level", "warning", "invoke", "tap-rest")
        arguments = ("singer", TARGET, "--run-id", later, "--", *invoke)
        sink.run(str(sink.rawsink), *arguments, code=1, cwd=project)
        require(printed(output).rows["orders"] == ROWS, "the tap dies after a whole stream")
        require(not [run for run in sink.runs() if later in run], "a tap that Meltano invokes and that dies seals nothing")
        extract(Api().config("orders", "users"))
        sink.run(str(sink.rawsink), *arguments, cwd=project)
        check_rows(sink, output, f"{printed(output).state}\n".encode(), "meltano invoke")
        print(f"Meltano, {kind}: rows and state; a failed tap seals {len(sealed)} runs in a pipe, none as a command")


CHECKS = {"taps": check_taps, "deaths": check_deaths, "memory": check_memory, "meltano": check_meltano}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rawsink", type=Path, required=True)
    arguments.add_argument("--venvs", type=Path, required=True)
    arguments.add_argument("checks", nargs="*", choices=[*CHECKS, []], metavar="CHECK")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:

        def sink_of(kind: str) -> Sink:
            return Sink(given.rawsink, kind, Path(tempfile.mkdtemp(dir=folder)))

        for name in given.checks or CHECKS:
            CHECKS[name](sink_of, given.venvs)


if __name__ == "__main__":
    main()
