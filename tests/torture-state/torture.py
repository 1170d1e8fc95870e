"""Runs validators and repairs that are killed at random beside writers, operators and damage, on one state; then
checks record and verdict log of every partition, and every file of every run, without the library.

`make torture-state` runs it on SQLite and on PostgreSQL. See CONTRIBUTING.md.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import check
from landing import Landing
from repairs import Repairs
from tables import Tables

VALIDATORS, REPAIRERS = 8, 3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/rawsink", help="the program to torture")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite", help="where the state is stored")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to torture [2]")
    parser.add_argument("--partitions", type=int, default=400, help="number of logical partitions [400]")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="what is drawn; not how it interleaves")
    return parser.parse_args()


class Torture:
    def __init__(self, args, work, tables):
        self.args = args
        self.landing = Landing(os.path.join(work, "raw"), os.path.join(work, "backup"), args.partitions)
        self.program = os.path.abspath(args.program)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAW_SINK")},
            "RAW_SINK_ROOT": self.landing.root, "RAW_SINK_STATE_URL": tables.url,
        }
        self.end = time.monotonic() + 60 * args.minutes
        self.printed, self.counts, self.strange = [], {}, []
        self.lock = threading.Lock()
        self.repairs = Repairs(self, tables)

    def count(self, what, number=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + number

    def run(self, *words):
        """Runs the program to its end and returns its exit code and lines."""
        command = [self.program, *words]
        done = subprocess.run(command, env=self.environment, cwd=self.landing.root, text=True, capture_output=True)
        if done.returncode not in (0, 1, 2, 3, 5):
            self.strange.append(f"{' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.returncode, done.stdout.splitlines()

    def validate_all(self, kill_after=None, how=signal.SIGKILL):
        """Runs `validate --all`, sends it a signal after some seconds, and remembers what it printed."""
        command = [self.program, "validate", "--all", "--json", "--jobs", "2"]
        running = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if kill_after is not None:
            threading.Timer(kill_after, lambda: running.poll() is None and running.send_signal(how)).start()
        out, errors = running.communicate()
        lines = [json.loads(line) for line in out.splitlines() if line.endswith("}")]
        with self.lock:
            self.printed += [(line["path"], line["passed"]) for line in lines]
        # A file that was repaired while it was read proves nothing.
        repaired = running.returncode == 75 and "try again" in errors
        if not repaired and running.returncode not in (0, 1, 3, 5, 143, -signal.SIGKILL, -signal.SIGTERM):
            self.strange.append(f"validate --all: exit {running.returncode}: {errors.strip()}")
        return running.returncode, lines

    def validator(self, rng):
        kill_after, how = None, signal.SIGKILL
        if rng.random() < 0.7:
            # The first half second holds most of the commits.
            kill_after = rng.random() ** 2 * 2
            how = signal.SIGTERM if rng.random() < 0.2 else signal.SIGKILL
        code, _ = self.validate_all(kill_after, how)
        self.count({-9: "validators killed", -15: "validators stopped", 143: "validators stopped"}.get(code, "validators ended"))

    def writer(self, rng):
        self.landing.land(rng)
        self.count("runs landed")
        time.sleep(rng.random() * 0.05)

    def operator(self, rng):
        partition, run = self.landing.choose(rng)
        path = f"{partition}/run_id={run}"
        what = rng.choice(["withdraw", "withdraw", "restore", "restore", "retry", "validate"])
        if what == "withdraw":
            self.run("state", "withdraw", path, "--reason", "torture")
        elif what == "restore":
            self.run("state", "restore", path)
        elif what == "retry":
            self.run("state", "retry", partition, "--yes")
        else:
            self.run("validate", self.landing.choose_by_hand(rng))
        self.count(what)

    def actor(self, act, number):
        rng = random.Random(f"{self.args.seed} {act.__qualname__} {number}")
        try:
            while time.monotonic() < self.end:
                act(rng)
        except Exception as error:
            self.strange.append(f"{act.__qualname__}: {error!r}")
            raise

    def play(self):
        rng = random.Random(self.args.seed)
        for _ in range(self.args.partitions):
            self.landing.land(rng)
        actors = [(self.validator, VALIDATORS), (self.writer, 2), (self.operator, 2), (self.repairs.act, REPAIRERS)]
        threads = [threading.Thread(target=self.actor, args=(act, number)) for act, count in actors for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main():
    args = arguments()
    print(f"torture-state: {args.database}, seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory() as work, Tables(args.database, work) as tables:
        torture = Torture(args, work, tables)
        torture.play()
        torture.repairs.finish(random.Random(args.seed))
        before = tables.log()
        code, last = torture.validate_all()
        faults = torture.strange + check.everything(torture, tables, before, last)
        if code not in (0, 1, 5):
            faults.append(f"the last validation ended with {code}")
        again, nothing = torture.validate_all()
        if nothing:
            faults.append(f"{len(nothing)} runs were due after everything was validated (exit {again})")
        counts = ", ".join(f"{count:,} {what}" for what, count in sorted(torture.counts.items()))
        entries = len(tables.log())
        print(f"torture-state: {args.database}: {counts}; {entries:,} log entries; {len(faults)} violations", flush=True)
        for fault in faults[:50]:
            print(f"  {fault}")
        sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
