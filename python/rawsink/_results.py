"""The values that validation, state, scrub, copy, manifest and coverage return.

They are imported when the first one is returned, so that a program that only writes or reads starts faster.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ._types import PartitionKey, Status, key_of


@dataclass(frozen=True)
class Record:
    """The record of one logical partition in the state. No record means pending."""

    key: PartitionKey
    status: Status
    current_run_id: str | None
    schema_version: str | None
    record_count: int | None
    updated_at: datetime.datetime | None
    error_message: str | None
    attempt_count: int

    @property
    def has_authority(self) -> bool:
        """Whether consumers read ``current_run_id``."""
        return self.status == "success" and self.current_run_id is not None


@dataclass(frozen=True)
class LogEntry:
    """One entry of the verdict log."""

    run_id: str | None
    verdict: Literal["passed", "failed", "withdrawn", "restored", "requeued"]
    record_count: int | None
    schema_version: str | None
    reason: str | None
    attempt: int
    status: Status
    judged_at: datetime.datetime | None
    judged_by: str | None
    sink_uri: str | None
    seal_sha256: str | None
    seal_bytes: int | None
    seal_writer: str | None
    payload_sha256: str | None
    payload_bytes: int | None


@dataclass(frozen=True)
class Hazard:
    """Rows that common readers cannot read, or read differently."""

    hazard: str
    rows: int
    first_line: int


@dataclass(frozen=True)
class Validation:
    """The verdict on a run, and the record after it."""

    key: PartitionKey
    run_id: str
    passed: bool
    faults: tuple[str, ...]
    warnings: tuple[str, ...]
    hazards: tuple[Hazard, ...]
    rows: int
    authority: Literal["this_run", "other_run", "future_run", "lost_run", "no_run"]
    state: Record


@dataclass(frozen=True)
class Problem:
    """A run or a place that could not be examined, and why."""

    kind: str
    """The kind of the error, or ``Blocked``: a run of the future keeps it from authority."""
    message: str
    key: PartitionKey | None = None
    run_id: str | None = None
    retryable: bool = False
    """Whether the next call may succeed without any change."""


@dataclass(frozen=True)
class Damage:
    """A run that is damaged or lost."""

    key: PartitionKey
    run_id: str
    kind: Literal[
        "payload_differs", "payload_missing", "seal_unreadable", "seal_replaced", "lost"
    ]
    detail: str
    has_authority: bool
    recorded: bool


@dataclass
class ValidateAllResult:
    """The result of a validation of all due runs."""

    compared: int = 0
    """Number of logical partitions that were compared with the state."""
    validations: list[Validation] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, event: dict[str, Any]) -> Validation | Problem | None:
        """Add an event of a validation, and return its verdict or problem. Internal."""
        kind = event.pop("event")
        if kind == "compared":
            self.compared += event["partitions"]
            return None
        if kind == "validated":
            validation = validation_of(event)
            self.validations.append(validation)
            return validation
        problem = _blocked(event) if kind == "blocked" else problem_of(event)
        self.problems.append(problem)
        return problem

    @property
    def passed(self) -> int:
        """Number of runs that passed."""
        return sum(validation.passed for validation in self.validations)

    @property
    def failed(self) -> int:
        """Number of runs that failed."""
        return len(self.validations) - self.passed

    @property
    def ok(self) -> bool:
        """Whether every due run was validated and passed."""
        return not self.failed and not self.problems


@dataclass
class ScrubResult:
    """The result of a scrub."""

    intact: int = 0
    erased: int = 0
    bytes_read: int = 0
    damaged: list[Damage] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, event: dict[str, Any]) -> bool:
        """Add an event of a scrub, and return whether it is that of a run or a problem. Internal."""
        kind = event.pop("event")
        if kind == "selected":
            return False
        if kind == "error":
            self.problems.append(problem_of(event))
        elif kind == "damaged":
            self.damaged.append(damage_of(event))
        elif kind == "intact":
            self.intact += 1
        else:
            self.erased += 1
        return True

    @property
    def ok(self) -> bool:
        """Whether every run was read and is intact."""
        return not self.damaged and not self.problems


@dataclass
class CopyResult:
    """The result of a copy."""

    copied: int = 0
    """Number of runs that were copied and sealed."""
    already_there: int = 0
    """Number of runs that the destination held already."""
    bytes_copied: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the destination holds every run."""
        return not self.problems


@dataclass(frozen=True)
class Payload:
    """A payload that consumers read."""

    key: PartitionKey
    run_id: str
    uri: str
    bytes: int
    rows: int | None
    sha256: str | None


@dataclass(frozen=True)
class Cell:
    """One logical partition in the coverage."""

    key: PartitionKey
    standing: Literal[
        "validated",
        "sealed",
        "unsealed",
        "failed",
        "missing",
        "lost",
        "withdrawn",
        "unreadable",
    ]
    run_id: str | None
    status: Status | None
    current_run_id: str | None
    record_count: int | None
    error_message: str | None
    sealed_run_id: str | None
    due_run_id: str | None
    blocked_run_id: str | None
    unsealed_run_id: str | None
    lost: bool
    unknown: bool
    blocked: bool


@dataclass(frozen=True)
class Coverage:
    """What exists, what is expected and what is lost."""

    cells: tuple[Cell, ...]
    tally: Mapping[str, int]
    faults: tuple[str, ...]

    def where(self, *standings: str) -> list[Cell]:
        """Return the cells with one of these standings."""
        return [cell for cell in self.cells if cell.standing in standings]


def _time(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    # Before Python 3.11 `fromisoformat` knows no Z, and not every number of digits.
    text = text.removesuffix("Z")
    head, _, fraction = text.partition(".")
    moment = datetime.datetime.fromisoformat(head)
    microseconds = int(fraction[:6].ljust(6, "0")) if fraction else 0
    return moment.replace(microsecond=microseconds, tzinfo=datetime.timezone.utc)


def record_of(facts: dict[str, Any], names: Iterable[str] | None = None) -> Record:
    """Return a record from its JSON object."""
    facts = dict(facts)
    partition = facts.pop("partition", None) or names
    facts["updated_at"] = _time(facts["updated_at"])
    return Record(key=key_of(partition or ()), **facts)


def log_entry_of(facts: dict[str, Any]) -> LogEntry:
    """Return an entry of the log from its JSON object."""
    facts = dict(facts)
    facts["judged_at"] = _time(facts["judged_at"])
    return LogEntry(**facts)


def validation_of(facts: dict[str, Any]) -> Validation:
    """Return a validation from its JSON object."""
    return Validation(
        key=key_of(facts["partition"]),
        run_id=facts["run_id"],
        passed=facts["passed"],
        faults=tuple(facts["faults"]),
        warnings=tuple(facts["warnings"]),
        hazards=tuple(Hazard(**hazard) for hazard in facts["hazards"]),
        rows=facts["rows"],
        authority=facts["authority"],
        state=record_of(facts["state"], facts["partition"]),
    )


def problem_of(facts: dict[str, Any]) -> Problem:
    """Return a problem from an event."""
    error = facts["error"]
    names = facts.get("partition") or error["partition"]
    return Problem(
        kind=error["kind"],
        message=error["message"],
        key=key_of(names) if names else None,
        run_id=facts.get("run_id") or error["run_id"],
        retryable=error["retryable"],
    )


def damage_of(event: dict[str, Any]) -> Damage:
    """Return a damaged run from an event."""
    return Damage(
        key=key_of(event["partition"]),
        run_id=event["run_id"],
        kind=event["damage"],
        detail=event["detail"],
        has_authority=event["has_authority"],
        recorded=event["recorded"],
    )


def _blocked(event: dict[str, Any]) -> Problem:
    message = (
        f"run {event['run_id']} cannot get authority: run {event['holder']} has it, and its id is "
        "a time in the future"
    )
    return Problem("Blocked", message, key_of(event["partition"]), event["run_id"])


def coverage_of(text: str) -> Coverage:
    """Return a coverage from its JSON text."""
    cells, tally, faults = json.loads(text)
    names = ("source", "customer_id", "query_name", "logical_date")
    made: list[Cell] = []
    for cell in cells:
        cell.pop("path")
        key = key_of(cell.pop(name) for name in names)
        made.append(Cell(key=key, **cell))
    return Coverage(cells=tuple(made), tally=tally, faults=tuple(faults))
