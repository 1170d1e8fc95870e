"""Checks record and verdict log of every partition, from the rules of docs/state.md alone."""

import os
from collections import Counter

VERDICTS = ("passed", "failed")


def everything(torture, tables, before, last):
    """Returns every violation. `before` is the log before the last validation, which printed `last`."""
    records, log = tables.records(), tables.log()
    entries = {}
    for path, entry in log:
        entries.setdefault(path, []).append(entry)
    faults = []
    if log[: len(before)] != before:
        faults.append("an entry of the log changed")
    faults += reported(torture, log, before, last)
    for path in sorted(set(records) | set(entries)):
        mine = entries.get(path, [])
        faults += [f"{path}: {fault}" for fault in replayed(records.get(path), mine)]
        if path not in torture.landing.by_hand:
            faults += [f"{path}: {fault}" for fault in judged_once(mine)]
        if path not in torture.landing.damaged:
            faults += [f"{path}: {fault}" for fault in newest(torture.landing.runs.get(path, {}), records.get(path), mine)]
    faults += consumed(torture, records)
    return faults


def reported(torture, log, before, last):
    """Every printed verdict is in the log, and the last validation printed exactly those that it recorded."""
    recorded = Counter((f"{path}/run_id={entry['run_id']}", entry["verdict"] == "passed") for path, entry in log if entry["verdict"] in VERDICTS)
    surplus = Counter(torture.printed) - recorded
    faults = [f"printed and not recorded: {line}" for line in surplus]
    new = Counter((f"{path}/run_id={entry['run_id']}", entry["verdict"] == "passed") for path, entry in log[len(before):] if entry["verdict"] in VERDICTS)
    printed = Counter((line["path"], line["passed"]) for line in last)
    if new != printed:
        faults.append(f"the last validation recorded {len(new)} verdicts and printed {len(printed)}")
    return faults


def replayed(record, entries):
    """Replays the log and compares the result with the record."""
    status, current, rows, schema, message, attempts = "pending", None, None, None, None, 0
    verdicts, withdrawn, passed = {}, set(), {}
    for entry in entries:
        run, verdict = entry["run_id"], entry["verdict"]
        if verdict == "passed":
            verdicts[run], passed[run], attempts, message = verdict, entry, attempts + 1, None
            if status != "success" or current <= run:
                status, current, rows, schema = "success", run, entry["record_count"], entry["schema_version"]
        elif verdict == "failed":
            verdicts[run], attempts, message = verdict, attempts + 1, f"run {run}: {entry['reason']}"
            if status != "success" or current == run:
                status = "failed"
        elif verdict == "requeued":
            status = "pending"
        elif verdict == "restored":
            withdrawn.discard(run)
        elif verdict == "withdrawn":
            withdrawn.add(run)
            if current == run:
                good = [known for known, latest in verdicts.items() if latest == "passed" and known not in withdrawn]
                status, current, rows, schema = "pending", None, None, None
                if good:
                    next_run = passed[max(good)]
                    status, current, rows, schema = "success", max(good), next_run["record_count"], next_run["schema_version"]
        if (str(attempts), status) != (entry["attempt"], entry["status"]):
            yield f"an entry says {entry['attempt']} attempts and {entry['status']}, not {attempts} and {status}"
            return
    if record is None:
        if entries:
            yield "has a log and no record"
        return
    expected = {
        "status": status, "current_run_id": current, "record_count": rows, "schema_version": schema,
        "error_message": message, "attempt_count": str(attempts),
    }
    found = {name: record[name] for name in expected}
    if found != expected:
        yield f"the record is {found}, the log leads to {expected}"


def judged_once(entries):
    """Every run has at most one verdict since it became due."""
    judged, withdrawn = set(), set()
    for entry in entries:
        run, verdict = entry["run_id"], entry["verdict"]
        if verdict in VERDICTS:
            if run in judged:
                yield f"run {run} was judged twice"
            if run in withdrawn:
                yield f"run {run} was judged while it was withdrawn"
            judged.add(run)
        elif verdict == "requeued":
            judged.clear()
        elif verdict == "restored":
            judged.discard(run)
            withdrawn.discard(run)
        elif verdict == "withdrawn":
            withdrawn.add(run)


def newest(runs, record, entries):
    """The newest good run that is not withdrawn has authority."""
    withdrawn = set()
    for entry in entries:
        if entry["verdict"] == "withdrawn":
            withdrawn.add(entry["run_id"])
        elif entry["verdict"] == "restored":
            withdrawn.discard(entry["run_id"])
    good = [run for run, (is_good, _) in runs.items() if is_good and run not in withdrawn]
    expected = max(good) if good else None
    found = record["current_run_id"] if record and record["status"] == "success" else None
    if found != expected:
        yield f"run {found} has authority, expected {expected}"


def consumed(torture, records):
    """A consumer reads the rows of the run that has authority."""
    undamaged = [path for path in records if path not in torture.landing.damaged]
    readable = [path for path in undamaged if records[path]["status"] == "success"]
    for path in sorted(readable)[:60]:
        code, lines = torture.run("read", path, "--current")
        expected = torture.landing.runs[path][records[path]["current_run_id"]][1].decode().splitlines()
        if (code, lines) != (0, expected):
            yield f"{path}: read --current ended with {code} and {len(lines)} rows, expected {len(expected)}"
