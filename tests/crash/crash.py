"""Enumerates every state of a directory after a power failure, and reads each with the program.

`make crash-states` records the system calls of real landings, repairs and clean-ups (strace), and follows them on a disk that loses
what was not synced (disk.py). In each state a reader must find the run unsealed, or exactly its rows; after the command has
reported success, the rows. An unsealed run must accept another landing. Then every sync is left out in turn, and the table shows how
many of these faults are found. In a new root, and after a dead writer, every one has to be found.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

from disk import Disk
from trace import record

PARTITION = "ads/customer_id=1/query_name=q/logical_date=2024-06-01"
RUN = f"{PARTITION}/run_id=2024-07-01T00:00:00.000Z"
OTHER = f"{PARTITION}/run_id=2024-06-30T00:00:00.000Z"
ROWS, OTHER_ROWS, NEW_ROWS = (b'{"n":1}\n{"n":2}\n', b'{"other":true}\n', b'{"again":1}\n')
UNSEALED, DAMAGED, OUTAGE = 3, 5, 75


class Place:
    """A working directory with a root and a state."""

    def __init__(self, program, folder):
        self.program, self.folder, self.root = program, folder, os.path.join(folder, "raw")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAW_SINK")}
        self.environment = kept | {"RAW_SINK_ROOT": self.root, "RAW_SINK_STATE_URL": f"sqlite:{folder}/state.db"}

    def run(self, *words, feed=b"", **variables):
        environment = self.environment | variables
        ended = subprocess.run([self.program, *words], env=environment, input=feed, capture_output=True, check=False)
        return ended.returncode, ended.stdout, ended.stderr.decode()

    def must(self, *words, feed=b"", **variables):
        code, out, errors = self.run(*words, feed=feed, **variables)
        if code != 0:
            sys.exit(f"crash-states: {' '.join(words)} ended with {code}: {errors}")
        return out

    def land(self, run, rows):
        self.must("write", run, feed=rows)

    def file(self, run, name):
        return os.path.join(self.root, run, name)

    def replace(self, path, content):
        """Writes a file as other software does: sealed files are read-only."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.exists(path):
            os.remove(path)
        with open(path, "wb") as file:
            file.write(content)

    def backup(self):
        return {"RAW_SINK_ROOT": os.path.join(self.folder, "backup")}


# The scenarios: what exists before, the command whose calls are recorded, and what readers may see.


class Landing:
    """A landing in a new partition."""

    name, allowed, feed = "landing, new partition", {UNSEALED}, ROWS

    def prepare(self, place):
        os.mkdir(place.root)

    def command(self, _place):
        return ["write", RUN]

    def others(self):
        """Returns the runs that must stay as they are, with their rows."""
        return {}

    def finished(self):
        """Returns the runs that the command has landed too, with their rows."""
        return {}


class InNewRoot(Landing):
    """A landing that creates the root."""

    name, allowed, all_needed = "landing, new root", {UNSEALED, OUTAGE}, True

    def prepare(self, place):
        pass


class BesideAnother(Landing):
    """A landing in a partition with a sealed run."""

    name = "landing beside a sealed run"

    def prepare(self, place):
        super().prepare(place)
        place.land(OTHER, OTHER_ROWS)

    def others(self):
        return {OTHER: OTHER_ROWS}


class AfterADeadWriter(Landing):
    """A landing over what a killed writer left, none of which was synced."""

    name, allowed, volatile, all_needed = "landing after a dead writer", {UNSEALED, OUTAGE}, True, True

    def prepare(self, place):
        super().prepare(place)
        place.replace(place.file(RUN, "payload.jsonl"), b'{"dead":1}\n')
        place.replace(place.file(RUN, ".payload.jsonl." + "0" * 28 + "dead"), b'{"dead":')


class Two(Landing):
    """Two landings of one process, which syncs directories into those above them once."""

    name, allowed = "copy of two runs, new root", {UNSEALED, OUTAGE}

    def prepare(self, place):
        os.mkdir(place.backup()["RAW_SINK_ROOT"])
        for run, rows in [(OTHER, OTHER_ROWS), (RUN, ROWS)]:
            place.must("write", run, feed=rows, **place.backup())

    def command(self, place):
        place.environment |= place.backup()
        return ["copy", "--to-root", place.root, "--jobs", "1"]

    def finished(self):
        return {OTHER: OTHER_ROWS}


class Repair(Landing):
    """A repair of a flipped payload from a backup."""

    name, allowed = "repair, payload flipped", {DAMAGED}

    def prepare(self, place):
        super().prepare(place)
        place.land(RUN, ROWS)
        place.must("validate", RUN)
        shutil.copytree(place.root, place.backup()["RAW_SINK_ROOT"])
        self.damage(place)

    def damage(self, place):
        place.replace(place.file(RUN, "payload.jsonl"), ROWS.replace(b"1", b"7"))

    def command(self, place):
        place.environment |= place.backup()
        return ["copy", RUN, "--to-root", place.root, "--repair", "--apply"]


class RepairOfAMissingPayload(Repair):
    name = "repair, payload missing"

    def damage(self, place):
        os.remove(place.file(RUN, "payload.jsonl"))


class RepairOfASeal(Repair):
    name = "repair, seal cut"

    def damage(self, place):
        with open(place.file(RUN, "metadata.json"), "rb") as file:
            seal = file.read()
        place.replace(place.file(RUN, "metadata.json"), seal[: len(seal) // 2])


class Clean(Landing):
    """A clean-up of leftovers beside a sealed run."""

    name = "clean"

    def prepare(self, place):
        super().prepare(place)
        place.land(OTHER, OTHER_ROWS)
        place.replace(place.file(RUN, "payload.jsonl"), b'{"left":1}\n')
        place.replace(place.file(OTHER, ".payload.jsonl." + "0" * 28 + "dead"), b'{"dead":')

    def command(self, place):
        return ["clean", "--older-than", "0s", "--apply"]

    def others(self):
        return {OTHER: OTHER_ROWS}


SCENARIOS = [Landing, InNewRoot, BesideAnother, AfterADeadWriter, Two, Repair, RepairOfAMissingPayload, RepairOfASeal, Clean]


class Check:
    """Reads the states of a scenario."""

    def __init__(self, scenario, program, folder):
        self.scenario, self.place = scenario, Place(program, folder)

    def load(self, tree):
        """Makes a state on the disk of this machine."""
        root = self.place.root
        shutil.rmtree(root, ignore_errors=True)
        prefix = os.path.basename(root)
        for path, content in sorted(tree.items()):
            if path != prefix and not path.startswith(prefix + "/"):
                continue
            there = os.path.join(self.place.folder, path)
            if content is None:
                os.mkdir(there)
            else:
                with open(there, "wb") as file:
                    file.write(content)

    def fault(self, tree, ended):
        """Returns what is wrong in a state; `None` if nothing is."""
        self.load(tree)
        is_clean = isinstance(self.scenario, Clean)
        code, rows, errors = self.place.run("read", RUN)
        if code == 0 and rows != ROWS:
            return f"other rows are read: {rows!r}"
        if code == 0 and is_clean:
            return "a leftover is read"
        if code != 0 and ended and not is_clean:
            return f"success was reported, and the run cannot be read: {errors}"
        if code not in self.scenario.allowed | {0}:
            return f"exit code {code}: {errors}"
        others = self.scenario.others() | (self.scenario.finished() if ended else {})
        for run, expected in others.items():
            code_of_other, rows, errors = self.place.run("read", run)
            if (code_of_other, rows) != (0, expected):
                return f"another run cannot be read: {errors}"
        if code == 0 or code == DAMAGED:
            return None
        again = self.place.run("write", RUN, feed=NEW_ROWS)
        code, rows, errors = self.place.run("read", RUN)
        if (code, rows) != (0, NEW_ROWS):
            return f"the run cannot be landed again: {again} {errors}"
        return None

    def count(self, states, patience=None):
        """Returns how many states there are, and the faults; at most `patience` of these."""
        number, faults = 0, []
        for tree, ended in states:
            number += 1
            fault = self.fault(tree, ended)
            if fault is not None:
                faults.append((fault, sorted(tree)))
                if len(faults) == patience:
                    break
        return number, faults


def recorded(scenario, program, folder):
    """Runs the scenario's command once, and returns the disk that followed it."""
    place = Place(program, folder)
    scenario.prepare(place)
    command = scenario.command(place)
    kept = os.path.join(folder, "strace.log")
    # The directory above the root is part of the disk: a new root has to be synced too.
    disk = Disk(folder, only=os.path.basename(place.root))
    for call in record([program, *command], scenario.feed, place.environment, kept):
        disk.apply(call)
    return disk


def examine(scenario, program):
    """Prints the line of a scenario, and returns its faults."""
    volatile = getattr(scenario, "volatile", False)
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        disk = recorded(scenario, program, folder)
        shutil.rmtree(os.path.join(folder, "backup"), ignore_errors=True)
        check = Check(scenario, program, folder)
        number, faults = check.count(disk.states(volatile_start=volatile))
        needed, paths = [], []
        for at in disk.syncs():
            missed = check.count(disk.states(without=at, volatile_start=volatile), patience=1)[1]
            paths.append(os.path.relpath(disk.events[at][2], folder))
            needed.append(bool(missed))
    changes = len(disk.events) - len(needed)
    print(f"| {scenario.name} | {changes} | {len(needed)} | {number} | {len(faults)} | {sum(needed)} |", flush=True)
    for path, is_needed in zip(paths, needed, strict=True):
        print(f"  {scenario.name}: {'needed' if is_needed else 'not needed'}: {path}", file=sys.stderr)
    return faults, needed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/debug/rawsink", help="the program to examine")
    parser.add_argument("--only", default="", help="only the scenarios whose names contain this")
    args = parser.parse_args()
    program, failed = os.path.abspath(args.program), False
    print("| command | changes | syncs | states | violations | syncs whose loss is found |")
    print("|---|--:|--:|--:|--:|--:|", flush=True)
    for scenario in SCENARIOS:
        scenario = scenario()
        if args.only not in scenario.name:
            continue
        faults, noticed = examine(scenario, program)
        for fault, tree in faults[:3]:
            print(f"crash-states: {scenario.name}: {fault}\n  {tree}", file=sys.stderr)
        if not (all(noticed) if getattr(scenario, "all_needed", False) else any(noticed) or not noticed):
            print(f"crash-states: {scenario.name}: the loss of a sync was not noticed", file=sys.stderr)
            failed = True
        failed = failed or bool(faults)
    sys.exit(failed)


if __name__ == "__main__":
    main()
