"""Old partitions are withdrawn, then expire, and no command misses them."""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import conftest
import pytest
from conftest import land, place_of

import rawsink

TODAY = datetime.datetime.now(datetime.timezone.utc).date()
OLD, LIMIT, KEPT, FRESH = (TODAY - datetime.timedelta(days=days) for days in (431, 400, 399, 1))
FILES = ("payload.jsonl", "metadata.json")
Run = Callable[..., subprocess.CompletedProcess[str]]
in_a_directory = pytest.mark.parametrize("settings", ["filesystem"], indirect=True)
in_a_bucket = pytest.mark.parametrize("settings", ["object"], indirect=True)


def key(day: datetime.date) -> rawsink.PartitionKey:
    return rawsink.PartitionKey("google_ads", "123", "campaign", day)


def run_of(day: datetime.date) -> str:
    return f"{day}T12:00:00.000Z"


def expire(sink: rawsink.RawSink, day: datetime.date, *names: str, run: str | None = None) -> None:
    """Delete files of a run as a lifecycle rule does."""
    for name in names or FILES:
        place = place_of(sink, key(day), run or run_of(day), name)
        if isinstance(place, Path):
            place.unlink()
        else:
            client, bucket = conftest.bucket()
            client.delete_object(Bucket=bucket, Key=place)


def rawsink_says(*arguments: str) -> tuple[int, str]:
    ran = subprocess.run(["rawsink", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return ran.returncode, ran.stdout


@pytest.fixture
def landed(sink: rawsink.RawSink) -> rawsink.RawSink:
    """A sink with an old and a fresh day."""
    for day in (OLD, FRESH):
        land(sink, key(day), run_of(day), [{"n": 1}])
    return sink


def test_days_of_400_days_are_withdrawn_and_later_ones_are_kept(sink: rawsink.RawSink, run: Run) -> None:
    for day in (LIMIT, KEPT):
        land(sink, key(day), run_of(day), [{"n": 1}])
    first = run("withdraw.sh")
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"{key(LIMIT)}/run_id={run_of(LIMIT)}\twithdrawn\tno run has authority\n"
    assert "1 run withdrawn" in first.stderr
    again = run("withdraw.sh")
    assert (again.returncode, again.stdout) == (0, "")
    assert sink.current(key(LIMIT)) is None
    assert sink.current(key(KEPT)) == run_of(KEPT)
    assert rawsink_says("coverage", "google_ads", "--since", "-399d", "--until", "-399d")[0] == 0


WORDS = {
    "coverage": ("withdrawn", "lost", "validated"),
    "coverage --plan": ("EXTRACT",),
    "scrub": ("2 intact", "1 intact"),
    "scrub --current": ("1 lost", "1 intact"),
    "manifest": ("1 refused", "1 payload listed"),
    "read --current": ("no run has authority", "the run does not exist"),
    "validate --all": ("0 runs validated",),
}


def answers(day: datetime.date) -> dict[str, str]:
    """Return the exit code of each command, and its word for an old day."""
    only = ["google_ads", "--since", str(day), "--until", str(day)]
    commands = {
        "coverage": ["coverage", *only, "--customers", "123", "--queries", "campaign"],
        "coverage --plan": ["coverage", *only, "--plan", "--customers", "123", "--queries", "campaign"],
        "scrub": ["scrub"],
        "scrub --current": ["scrub", "--current"],
        "manifest": ["manifest"],
        "read --current": ["read", str(key(day)), "--current"],
        "validate --all": ["validate", "--all"],
    }
    found = {}
    for command, arguments in commands.items():
        code, text = rawsink_says(*arguments)
        # The summary of `coverage` names every standing.
        lines = text.splitlines()
        text = lines[0] if command == "coverage" else text
        words = [word for word in WORDS[command] if word in text]
        found[command] = f"{code}: {words[0]}" if words else f"{code}"
    return found


def test_the_page_says_what_the_commands_say(landed: rawsink.RawSink, run: Run) -> None:
    expire(landed, OLD)
    lost = answers(OLD)
    # It is landed again, by a newer run.
    again = run_of(OLD).replace("T12", "T13")
    land(landed, key(OLD), again, [{"n": 1}])
    assert run("withdraw.sh").returncode == 0
    withdrawn = answers(OLD)
    expire(landed, OLD, run=again)
    expired = answers(OLD)
    table = [f"| `{name}` | {withdrawn[name]} | {expired[name]} | {lost[name]} |" for name in WORDS]
    print("\n".join(table))
    page = conftest.PAGE.read_text()
    assert [line for line in table if line not in page] == []


@pytest.mark.parametrize("first", FILES)
def test_half_of_a_withdrawn_run_is_no_error(landed: rawsink.RawSink, run: Run, first: str) -> None:
    assert run("withdraw.sh").returncode == 0
    expire(landed, OLD, first)
    found = answers(OLD)
    assert found["coverage"] == "0: withdrawn"
    assert [found[name].split(":")[0] for name in ("scrub", "scrub --current", "manifest", "validate --all")] == ["0"] * 4
    assert rawsink_says("clean", "--older-than", "1h")[0] == 0


def test_a_run_that_expired_too_early_is_withdrawn_afterwards(landed: rawsink.RawSink, run: Run) -> None:
    expire(landed, OLD)
    assert answers(OLD)["coverage"] == "1: lost"
    assert run("withdraw.sh").returncode == 0
    assert answers(OLD)["coverage"] == "0: withdrawn"


@in_a_bucket
def test_the_lifecycle_rule_is_set_beside_others(landed: rawsink.RawSink, run: Run) -> None:
    client, bucket = conftest.bucket()
    other = {"ID": "other", "Status": "Enabled", "Filter": {"Prefix": "other/"}, "Expiration": {"Days": 3}}
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [other]})
    try:
        for _ in range(2):
            ran = run("set_lifecycle.py")
            assert ran.returncode == 0, ran.stderr
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert sorted(rule["ID"] for rule in rules) == ["other", "rawsink google_ads"]
        (ours,) = [rule for rule in rules if rule["ID"] != "other"]
        assert ours["Expiration"] == {"Days": 430}
        # It selects the objects of the old day, and no others of the bucket.
        listed = client.list_objects_v2(Bucket=bucket, Prefix=ours["Filter"]["Prefix"])["Contents"]
        expected = {place_of(landed, key(day), run_of(day), name) for day in (OLD, FRESH) for name in FILES}
        assert {entry["Key"] for entry in listed} == expected
        # MinIO drops it, as the page says.
        assert "AbortIncompleteMultipartUpload" not in ours
    finally:
        client.delete_bucket_lifecycle(Bucket=bucket)


@in_a_directory
def test_a_directory_deletes_only_what_is_withdrawn(landed: rawsink.RawSink, run: Run) -> None:
    other = Path(os.environ["RAW_SINK_ROOT"]) / "other/customer_id=1/query_name=q" / f"logical_date={OLD}"
    other.mkdir(parents=True)
    refused = run("delete.sh")
    assert refused.returncode == 1 and str(key(OLD)) in refused.stderr
    assert landed.open_current(key(OLD)).verify().record_count == 1
    assert run("withdraw.sh").returncode == 0
    for _ in range(2):
        deleted = run("delete.sh")
        assert deleted.returncode == 0, deleted.stderr
    assert landed.list_runs(key(OLD)) == []
    assert landed.open_current(key(FRESH)).verify().record_count == 1
    assert other.exists()
    assert answers(OLD)["coverage"] == "0: withdrawn"
