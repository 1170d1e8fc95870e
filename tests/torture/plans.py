"""Plans of runs: writers, times, sizes, and a signal for each writer, all drawn from a seed."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MIB = 1 << 20
# The part size of the writers, the minimum of servers. One byte more needs a multipart upload.
PART_BYTES = 5 * MIB
# Weights of the kinds of rounds.
KINDS = {
    "alone": 24,
    "race of 2": 26,
    "race of 3": 18,
    "killed": 18,
    "race with kills": 8,
    "paused": 4,
    "terminated": 2,
}
LARGE_BYTES = [PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 6 * MIB, 8 * MIB, 12 * MIB]


@dataclass
class Signal:
    """A signal and its time: a share of a writer's usual time, plus seconds."""

    name: str
    share: float
    seconds: float = 0.0
    # Pause of the writer after STOP.
    pause_s: float = 0.0


@dataclass
class Attempt:
    """One process that writes the run. Its rows and its metadata contain its name."""

    writer: str
    rows: int
    bytes: int
    start_s: float = 0.0
    storm: bool = False
    refuse_leftover: bool = False
    conditions_enforced: bool = False
    signal: Signal | None = None


@dataclass
class Plan:
    """A run: concurrent attempts, then sequential ones."""

    number: int
    kind: str
    large: bool
    together: list[Attempt] = field(default_factory=list)
    after: list[Attempt] = field(default_factory=list)

    @property
    def path(self):
        moment = datetime(2024, 6, 1) + timedelta(milliseconds=self.number)
        run = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
        query = self.kind.replace(" ", "_")
        return f"torture/customer_id={self.number % 97}/query_name={query}/logical_date=2024-06-01/run_id={run}"

    def settling(self, turn):
        """Returns the attempt that has to seal a run left unsealed by the others."""
        return Attempt(f"{self.number}-settling-{turn}", rows=3, bytes=200)


@dataclass
class Options:
    seed: int
    grace_s: float
    large_share: float
    enforced_share: float


class Planner:
    def __init__(self, options, number):
        self.options, self.number = options, number
        self.random = random.Random(f"{options.seed}/{number}")
        self.attempts = 0

    def plan(self):
        kind = self.random.choices(list(KINDS), KINDS.values())[0]
        plan = Plan(self.number, kind, self.chance(self.options.large_share))
        self.storm = self.chance(0.6)
        self.enforced = self.chance(self.options.enforced_share)
        rivals = {"race of 2": 2, "race of 3": 3, "race with kills": self.random.choice([2, 3])}.get(kind, 1)
        plan.together = [self.attempt(plan, self.near() if rivals > 1 else 0.0) for _ in range(rivals)]
        if kind in ("killed", "race with kills"):
            self.kill(plan)
        elif kind == "paused":
            self.pause(plan)
        elif kind == "terminated":
            plan.together[0].signal = self.signal("TERM")
        return plan

    def kill(self, plan):
        for attempt in plan.together:
            if plan.kind == "killed" or self.chance(0.5):
                attempt.signal = self.signal("KILL")
        if self.chance(0.5):
            # A restart that meets requests of its predecessors in flight.
            plan.together.append(self.attempt(plan, self.random.uniform(0.0, 1.0)))
        for _ in range(self.random.choice([1, 1, 2, 3])):
            plan.after.append(self.attempt(plan, self.near()))
        for attempt in plan.after[:-1]:
            attempt.signal = self.signal("KILL")

    def pause(self, plan):
        stop = self.signal("STOP")
        stop.pause_s = self.random.uniform(0.2, 1.5 * self.options.grace_s)
        plan.together[0].signal = stop
        plan.together.append(self.attempt(plan, self.random.uniform(0.0, 2.0)))

    def attempt(self, plan, start_s):
        self.attempts += 1
        size = self.random.choice(LARGE_BYTES) if plan.large else self.random.choice([0, 60, 300, 3000])
        rows = 0 if size == 0 else self.random.randint(1, max(1, size // (4096 if plan.large else 60)))
        return Attempt(
            f"{self.number}-{self.attempts}",
            rows,
            size,
            start_s,
            storm=self.storm and self.chance(0.8),
            refuse_leftover=self.chance(0.1),
            conditions_enforced=self.enforced,
        )

    def signal(self, name):
        """Mostly during requests, sometimes while a restart waits."""
        waiting = self.random.uniform(0.0, self.options.grace_s + 1.0) if self.chance(0.2) else 0.0
        return Signal(name, self.random.uniform(0.0, 1.0), waiting)

    def near(self):
        return self.random.choice([0.0, 0.0, self.random.uniform(0.0, 0.05), self.random.uniform(0.0, 0.3)])

    def chance(self, share):
        return self.random.random() < share


def rows_of(attempt):
    """Returns the rows of an attempt: about the planned size, exactly for a large one."""
    lines = []
    for row in range(attempt.rows):
        lines.append(f'{{"writer":"{attempt.writer}","row":{row},"pad":"')
    left = max(0, attempt.bytes - sum(len(line) + 3 for line in lines))
    pads = [left // len(lines) + (row < left % len(lines)) for row in range(len(lines))] if lines else []
    return "".join(f'{line}{"x" * pad}"}}\n' for line, pad in zip(lines, pads)).encode()
