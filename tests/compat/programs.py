"""The two programs, and a landing zone that both use."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass

from compare import Different, difference, expect, lines

# No command takes this long; one that does hangs.
PATIENCE_S = 180


@dataclass(frozen=True)
class Program:
    """One of the two programs; `name` is "old" or "new"."""

    name: str
    path: str


@dataclass
class Answer:
    """What a command answered."""

    code: int
    stdout: bytes
    stderr: bytes

    def json(self):
        return lines(self.stdout)


class Landing:
    """A place for partitions and a state, by the variables that name them."""

    def __init__(self, place, state, **variables):
        self.place, self.state = place, state
        self.variables = {**place.variables, **state.variables, **variables}
        self.processes = []

    def with_variables(self, **variables):
        """Returns the same landing with other settings."""
        return Landing(self.place, self.state, **variables)

    def command(self, program, args):
        outside = {name: value for name, value in os.environ.items() if not name.startswith("RAW_SINK")}
        return {"args": [program.path, *args], "env": {**outside, **self.variables}, "cwd": self.place.work}

    def run(self, program, *args, rows=b"", exits=0):
        """Runs a command to its end; Different where it ends with another exit code."""
        try:
            done = subprocess.run(
                **self.command(program, args), input=rows, capture_output=True, timeout=PATIENCE_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise Different(f"{program.name}: {args} has not ended after {PATIENCE_S} s") from None
        answer = Answer(done.returncode, done.stdout, done.stderr)
        if exits is not None and answer.code != exits:
            what = f"{program.name}: {' '.join(args)}: exit code {answer.code} instead of {exits}"
            raise Different(f"{what}: {answer.stderr.decode()}")
        return answer

    def start(self, program, *args):
        """Starts a command with its standard input open."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.processes.append(subprocess.Popen(**self.command(program, args), **pipes))
        return Running(self.processes[-1], f"{program.name}: {' '.join(args)}")

    def stop(self):
        """Kills what a failed check left running."""
        for process in self.processes:
            process.kill()
            process.wait()


class Running:
    """A program while it runs."""

    def __init__(self, process, name):
        self.process, self.name = process, name

    def feed(self, rows):
        self.process.stdin.write(rows)
        self.process.stdin.flush()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def end(self, exits=0):
        """Closes standard input and waits for the end."""
        stdout, stderr = self.process.communicate(timeout=PATIENCE_S)
        answer = Answer(self.process.returncode, stdout, stderr)
        if exits is not None:
            expect(answer.code, exits, f"{self.name}: exit code ({stderr.decode()})")
        return answer


@dataclass
class Pair:
    """The two programs in the roles of a scenario: the first writes, the second comes after it."""

    first: Program
    second: Program

    def __post_init__(self):
        self.old, self.new = sorted((self.first, self.second), key=lambda program: program.name, reverse=True)

    def same(self, landing, *args, exits=0, varying=(), in_order=True):
        """Runs a command that changes nothing with both programs; returns the JSON that the old one printed."""
        old, new = (landing.run(program, *args, exits=exits) for program in (self.old, self.new))
        expect(new.code, old.code, f"{' '.join(args)}: exit code of the new program")
        expected, found = old.json(), new.json()
        if not in_order:
            expected, found = sorted(expected, key=repr), sorted(found, key=repr)
        if text := difference(expected, found, varying):
            raise Different(f"{' '.join(args)}: the new program differs from the old one: {text}")
        return expected

    def same_bytes(self, landing, expected, *args):
        """The same for a command that prints rows."""
        for program in (self.old, self.new):
            expect(landing.run(program, *args).stdout, expected, f"{program.name}: {' '.join(args)}")


def until(what, holds):
    """Waits until a condition holds."""
    start = time.monotonic()
    while not holds():
        if time.monotonic() - start > PATIENCE_S:
            raise Different(f"not after {PATIENCE_S} s: {what}")
        time.sleep(0.02)
