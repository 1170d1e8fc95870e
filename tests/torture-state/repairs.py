"""Damages runs and repairs them with the program from the backup, by several processes at a time. Some are killed."""

import json
import signal
import subprocess
import threading
import time

from landing import PAYLOAD, SEAL

# Repairs may be interrupted or beaten by another one in the first turns; later ones must succeed.
ROUGH_TURNS, TURNS = 3, 20
# Runs that are damaged and withdrawn before the last repair, which has to leave them.
WITHDRAWN_LAST = 10
STOPPED = {-signal.SIGKILL: "killed", -signal.SIGTERM: "stopped", 128 + signal.SIGTERM: "stopped"}


class Repairs:
    def __init__(self, torture, tables):
        self.torture, self.landing, self.tables = torture, torture.landing, tables
        self.environment = torture.environment | {"RAW_SINK_ROOT": self.landing.backup}
        self.usual_s = 0.1
        # What the last repair printed of each run, by path.
        self.last = {}

    def act(self, rng):
        """Damages a run, and repairs it a little later."""
        damaged = self.landing.damage(rng) if self.torture.printed else None
        if damaged is None:
            time.sleep(0.01)
            return
        self.torture.count("runs damaged")
        time.sleep(rng.random() * 0.3)
        if rng.random() < 0.15:
            self.torture.run("state", "withdraw", damaged.path, "--reason", "damaged")
            self.torture.count("withdraw")
        outcome = self.repair(rng, damaged)
        self.torture.count(f"damaged runs {outcome}")
        is_right = self.landing.now(damaged) == damaged.landed.files
        if not is_right and outcome != "left, withdrawn":
            self.torture.strange.append(f"{damaged.path}: {outcome}, and is not as its backup")
        self.landing.end_repair(damaged, is_right)

    def repair(self, rng, damaged):
        """Repeats repairs until one succeeds, and returns how the run ended."""
        is_missing = False
        for turn in range(TURNS):
            was_proven = self.is_proven(damaged)
            outcomes = self.turn(rng, damaged, turn < ROUGH_TURNS, is_missing)
            if "refused" in outcomes and was_proven and self.is_proven(damaged):
                self.torture.strange.append(f"{damaged.path}: a repair was refused, although seal or log cover it")
            if outcomes & {"repaired", "intact"}:
                return "repaired"
            if outcomes & {"copied", "already there"}:
                return "copied"
            if "withdrawn" in outcomes:
                return "left, withdrawn"
            if "refused" in outcomes:
                self.landing.write_back(damaged)
                return "refused, written back"
            is_missing = is_missing or "missing" in outcomes
        return f"not repaired in {TURNS} turns"

    def turn(self, rng, damaged, is_rough, is_missing):
        """Starts one to three repairs at once and returns their outcomes for the run."""
        number, before = rng.choice([1, 1, 2, 3]) if is_rough else 1, self.landing.now(damaged)
        started = [self.start(rng, damaged, is_rough, is_missing) for _ in range(number)]
        if number > 1:
            self.torture.count("repairs at the same time", number)
        outcomes = {self.outcome(damaged, *each) for each in started} - {None}
        if number == 1 and outcomes & {"withdrawn", "refused"} and self.landing.now(damaged) != before:
            self.torture.strange.append(f"{damaged.path}: a repair printed {outcomes} and changed the run")
        return outcomes

    def start(self, rng, damaged, is_rough, is_missing):
        """Starts a repair, or a copy of a run without a seal, which may be killed at any moment."""
        options = [] if is_missing else ["--repair", "--apply"]
        # A copy of a whole partition would race with writers that know no locks.
        place = damaged.path if is_missing else rng.choice([damaged.path, damaged.partition])
        command = [self.torture.program, "copy", place, "--to-root", self.landing.root, *options, "--json"]
        running = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        is_disturbed = is_rough and rng.random() < 0.5
        if is_disturbed:
            how = signal.SIGTERM if rng.random() < 0.2 else signal.SIGKILL
            after = rng.random() * 1.2 * self.usual_s
            threading.Timer(after, lambda: running.poll() is None and running.send_signal(how)).start()
        return running, None if is_disturbed else time.monotonic()

    def outcome(self, damaged, running, started):
        """Waits for a repair. `None` is an outcome that calls for another turn."""
        out, errors = running.communicate()
        code = running.returncode
        if code in STOPPED:
            self.torture.count(f"repairs {STOPPED[code]}")
            return None
        if started is not None:
            self.usual_s += (time.monotonic() - started - self.usual_s) / 20
        outcome = {line["path"]: line["outcome"] for line in map(json.loads, out.splitlines())}.get(damaged.path)
        kind = kinds(errors).get(damaged.path)
        if code in (0, 3, 5, 75) and outcome not in (None, "failed"):
            return outcome
        if (code, outcome, kind) == (5, "failed", "Corrupt"):
            return "refused"
        if outcome != "failed" or kind not in ("Conflict", "Unavailable"):
            self.torture.strange.append(f"a repair of {damaged.path}: exit {code}, {outcome}: {errors.strip()}")
        return None

    def is_proven(self, damaged):
        """Returns whether the seal block or the newest success in the log covers the backup's bytes."""
        if not damaged.landed.is_consistent:
            return False
        if damaged.landed.has_block and damaged.name != SEAL:
            return True
        evidence = self.tables.evidence(damaged.partition, damaged.run)
        return evidence == damaged.landed.sums

    def finish(self, rng):
        """Withdraws some damaged runs, repairs all others, undisturbed, and deletes what killed repairs left."""
        for damaged in filter(None, (self.landing.damage(rng, [PAYLOAD]) for _ in range(WITHDRAWN_LAST))):
            self.torture.run("state", "withdraw", damaged.path, "--reason", "damaged")
            self.landing.end_repair(damaged, False)
        command = [self.torture.program, "copy", "--to-root", self.landing.root, "--repair", "--apply", "--json"]
        done = subprocess.run(command, env=self.environment, text=True, capture_output=True)
        if done.returncode not in (0, 5):
            self.torture.strange.append(f"the last repair: exit {done.returncode}: {done.stderr.strip()}")
        self.last = {line["path"]: line for line in map(json.loads, done.stdout.splitlines())}
        # A run without a seal that was withdrawn, and restored since.
        for path in [path for path, line in self.last.items() if line["outcome"] == "missing"]:
            copy = [self.torture.program, "copy", path, "--to-root", self.landing.root, "--json"]
            copied = subprocess.run(copy, env=self.environment, text=True, capture_output=True)
            self.last |= {line["path"]: line for line in map(json.loads, copied.stdout.splitlines())}
        self.torture.run("clean", "--apply", "--older-than", "0s")


def kinds(errors):
    """Returns the kinds of the errors that were printed with --json, by the path of their run."""
    found = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    return {f"{error['partition']}/run_id={error['run_id']}": error["kind"] for error in found}
