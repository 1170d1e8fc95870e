"""The raw data, written as other software writes it: a payload, and metadata.json last. Each run has a backup."""

import hashlib
import itertools
import json
import os
import threading
from dataclasses import dataclass

DAY = "2024-06-01"
PAYLOAD, SEAL = "payload.jsonl", "metadata.json"


@dataclass
class Landed:
    """A run as it was landed: whether it is good, and its right files."""

    good: bool
    files: dict

    @property
    def has_block(self):
        return "_seal" in json.loads(self.files[SEAL])

    @property
    def is_consistent(self):
        """Returns whether the payload is what metadata.json says. Without a seal block that is the number of rows."""
        return self.good or self.has_block

    @property
    def sums(self):
        """Returns the SHA-256 of metadata.json and of the payload."""
        return tuple(hashlib.sha256(self.files[name]).hexdigest() for name in (SEAL, PAYLOAD))


@dataclass
class Damaged:
    """A run with one wrong file, or without it."""

    partition: str
    run: str
    name: str
    landed: Landed
    files: dict

    @property
    def path(self):
        return f"{self.partition}/run_id={self.run}"


class Landing:
    """Partitions below a root, and their backup. Every tenth is left to validations by hand."""

    def __init__(self, root, backup, partitions):
        self.root, self.backup = root, backup
        self.partitions = [f"ads/customer_id={number}/query_name=q/logical_date={DAY}" for number in range(partitions)]
        self.by_hand = set(self.partitions[::10])
        self.runs = {}
        # Partitions that were ever damaged, those under repair, and the damaged runs by path.
        self.damaged, self.under_repair, self.wrong = set(), set(), {}
        self.numbers = itertools.count()
        self.lock = threading.Lock()

    def land(self, rng):
        """Seals a new run; one of five is bad: its metadata names another number of rows. Half have a seal block."""
        with self.lock:
            number = next(self.numbers)
        partition = rng.choice(self.partitions)
        run = f"2024-06-02T{number // 3600000:02}:{number // 60000 % 60:02}:{number // 1000 % 60:02}.{number % 1000:03}Z"
        good = rng.random() < 0.8
        rows = [{"run": run, "row": row} for row in range(rng.randrange(1, 4))]
        payload = "".join(json.dumps(row) + "\n" for row in rows).encode()
        metadata = {"record_count": len(rows) + (0 if good else 1)}
        if rng.random() < 0.5:
            metadata["_seal"] = block(payload, len(rows), number)
        landed = Landed(good, {PAYLOAD: payload, SEAL: json.dumps(metadata).encode()})
        for root in (self.backup, self.root):
            directory = os.path.join(root, partition, f"run_id={run}")
            os.makedirs(directory)
            for name, content in landed.files.items():
                self.write(os.path.join(directory, name), content)
        with self.lock:
            self.runs.setdefault(partition, {})[run] = landed

    @staticmethod
    def write(path, content):
        """Writes a file that appears as a whole."""
        with open(path + ".new", "wb") as file:
            file.write(content)
        os.rename(path + ".new", path)

    @staticmethod
    def files(root, path):
        """Returns the content of every file of a run. `clean` deletes a directory that it leaves empty."""
        directory = os.path.join(root, path)
        contents = {}
        for name in os.listdir(directory) if os.path.isdir(directory) else []:
            with open(os.path.join(directory, name), "rb") as file:
                contents[name] = file.read()
        return contents

    def choose(self, rng):
        """Returns a partition and one of its runs, the newest with a higher chance."""
        with self.lock:
            partition = rng.choice([known for known in self.partitions if known in self.runs])
            runs = sorted(self.runs[partition])
        return partition, runs[-1] if rng.random() < 0.5 else rng.choice(runs)

    def choose_by_hand(self, rng):
        with self.lock:
            partition = rng.choice([known for known in self.by_hand if known in self.runs])
            return f"{partition}/run_id={rng.choice(list(self.runs[partition]))}"

    def damage(self, rng, names=(PAYLOAD, SEAL)):
        """Damages one of these files of a run that is intact, in a partition that nobody repairs."""
        partition, run = self.choose(rng)
        with self.lock:
            if partition in self.under_repair or f"{partition}/run_id={run}" in self.wrong:
                return None
            self.damaged.add(partition)
            self.under_repair.add(partition)
            landed = self.runs[partition][run]
        name = rng.choice(names)
        damaged = Damaged(partition, run, name, landed, dict(landed.files))
        content = damaged.files.pop(name)
        how = rng.choice(["remove", "truncate", "flip"])
        file = os.path.join(self.root, damaged.path, name)
        if how == "remove":
            os.remove(file)
        else:
            damaged.files[name] = content[: len(content) // 2] if how == "truncate" else flipped(content, rng)
            self.write(file, damaged.files[name])
        with self.lock:
            self.wrong[damaged.path] = damaged
        return damaged

    def write_back(self, damaged):
        """Repairs a run by hand."""
        file = os.path.join(self.root, damaged.path, damaged.name)
        self.write(file, damaged.landed.files[damaged.name])

    def now(self, damaged):
        """Returns the present content of payload and metadata.json, without the staging files of repairs."""
        files = self.files(self.root, damaged.path)
        return {name: files[name] for name in (PAYLOAD, SEAL) if name in files}

    def end_repair(self, damaged, is_right):
        with self.lock:
            self.under_repair.discard(damaged.partition)
            if is_right:
                del self.wrong[damaged.path]


def flipped(content, rng):
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def block(payload, rows, number):
    """Returns a seal block, as rawsink writes it."""
    return {
        "format": 1, "writer": f"{number:032x}", "payload_bytes": len(payload),
        "payload_sha256": hashlib.sha256(payload).hexdigest(), "record_count": rows, "software": "torture-state",
    }
