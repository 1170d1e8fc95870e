"""The raw data, written as other software writes it: a payload, and metadata.json last."""

import itertools
import json
import os
import threading

DAY = "2024-06-01"


class Landing:
    """Partitions below a root. Every tenth is left to validations by hand."""

    def __init__(self, root, partitions):
        self.root = root
        self.partitions = [f"ads/customer_id={number}/query_name=q/logical_date={DAY}" for number in range(partitions)]
        self.by_hand = set(self.partitions[::10])
        self.runs = {}
        self.damaged = set()
        self.numbers = itertools.count()
        self.lock = threading.Lock()

    def land(self, rng):
        """Seals a new run; one of five is bad: its metadata names another number of rows."""
        with self.lock:
            number = next(self.numbers)
        partition = rng.choice(self.partitions)
        run = f"2024-06-02T{number // 3600000:02}:{number // 60000 % 60:02}:{number // 1000 % 60:02}.{number % 1000:03}Z"
        good = rng.random() < 0.8
        rows = [{"run": run, "row": row} for row in range(rng.randrange(1, 4))]
        directory = os.path.join(self.root, partition, f"run_id={run}")
        os.makedirs(directory)
        payload = "".join(json.dumps(row) + "\n" for row in rows).encode()
        self.write(os.path.join(directory, "payload.jsonl"), payload)
        count = len(rows) + (0 if good else 1)
        self.write(os.path.join(directory, "metadata.json"), json.dumps({"record_count": count}).encode())
        with self.lock:
            self.runs.setdefault(partition, {})[run] = (good, payload)

    @staticmethod
    def write(path, content):
        """Writes a file that appears as a whole."""
        with open(path + ".new", "wb") as file:
            file.write(content)
        os.rename(path + ".new", path)

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

    def damage(self, rng):
        """Damages a file of a run and returns the function that repairs it."""
        partition, run = self.choose(rng)
        with self.lock:
            self.damaged.add(partition)
        path = os.path.join(self.root, partition, f"run_id={run}", rng.choice(["payload.jsonl", "metadata.json"]))
        with open(path, "rb") as file:
            content = file.read()
        how = rng.choice(["remove", "truncate", "flip"])
        if how == "remove":
            os.remove(path)
        elif how == "truncate":
            self.write(path, content[: len(content) // 2])
        else:
            at = rng.randrange(len(content))
            self.write(path, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        return lambda: self.write(path, content)
