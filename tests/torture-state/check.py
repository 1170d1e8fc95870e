"""Checks record and verdict log of every partition, from the rules of docs/state.md alone, and the files of every run."""

from collections import Counter

from landing import PAYLOAD, SEAL

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
    faults += [f"{path}: {fault}" for path, fault in restored(torture, entries)]
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


def withdrawn_runs(entries):
    """Returns the runs that are withdrawn after all entries."""
    withdrawn = set()
    for entry in entries:
        if entry["verdict"] == "withdrawn":
            withdrawn.add(entry["run_id"])
        elif entry["verdict"] == "restored":
            withdrawn.discard(entry["run_id"])
    return withdrawn


def newest(runs, record, entries):
    """The newest good run that is not withdrawn has authority."""
    withdrawn = withdrawn_runs(entries)
    good = [run for run, landed in runs.items() if landed.good and run not in withdrawn]
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
        expected = torture.landing.runs[path][records[path]["current_run_id"]].files[PAYLOAD].decode().splitlines()
        if (code, lines) != (0, expected):
            yield f"{path}: read --current ended with {code} and {len(lines)} rows, expected {len(expected)}"


def restored(torture, entries):
    """Every run has the files of its backup, and no others. Only a damaged run that is withdrawn, or that neither its
    seal nor the log covers, has still the damaged ones."""
    landing, repairs = torture.landing, torture.repairs
    for partition, runs in sorted(landing.runs.items()):
        mine = entries.get(partition, [])
        withdrawn = withdrawn_runs(mine)
        for run, landed in sorted(runs.items()):
            path = f"{partition}/run_id={run}"
            if landing.files(landing.backup, path) != landed.files:
                yield path, "the backup has changed"
            damaged, printed = landing.wrong.get(path), repairs.last.get(path, {"outcome": None})
            expected = landed.files
            allowed = {"intact", "repaired", "copied"}
            if contradicted(run, landed, mine):
                allowed = {"withdrawn"} if run in withdrawn else {"failed"}
            if damaged and (run in withdrawn or printed["outcome"] == "failed"):
                # `clean` deletes the payload of a withdrawn run that has no seal.
                expected = damaged.files if SEAL in damaged.files else {}
                allowed = {"withdrawn"} if run in withdrawn else set()
                allowed |= set() if repairs.is_proven(damaged) else {"failed"}
            if printed["outcome"] not in allowed:
                yield path, f"expected {sorted(allowed)}, the last repair printed {printed}"
            found = landing.files(landing.root, path)
            if found != expected:
                yield path, f"has other files than expected: {difference(expected, found)}"


def contradicted(run, landed, entries):
    """Returns whether a backup without a seal block is called damaged: its metadata.json names another number of rows,
    or a damaged payload passed a validation."""
    passed = [entry for entry in entries if (entry["run_id"], entry["verdict"]) == (run, "passed")][-1:]
    seal, payload = landed.sums
    another = any(entry["seal_sha256"] == seal and entry["payload_sha256"] != payload for entry in passed)
    return not landed.has_block and (another or not landed.good)


def difference(expected, found):
    """Names the files that differ."""
    return ", ".join(sorted(name for name in expected | found if expected.get(name) != found.get(name)))
