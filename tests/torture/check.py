"""The independent check: reads every run by boto3 and compares it with its seal and its writers' results.

Knows the format of a seal and the guarantees, not the program. Standalone, for a journal of torture.py:

    RAW_SINK_...=... check.py JOURNAL
"""

import collections
import concurrent.futures
import hashlib
import json
import sys
from dataclasses import dataclass

import botocore.exceptions
from bucket import Bucket

PAYLOAD, SEAL = "payload.jsonl", "metadata.json"
# A writer with one of these results can own the seal: `sealed` does, and the others may.
MAY_OWN = {"sealed", "Unknown", "killed"}
MAY_HAPPEN = MAY_OWN | {"AlreadySealed", "Conflict", "Unavailable", "terminated"}
REPAIRED = {"repaired", "intact"}
MAY_HAPPEN_TO_A_REPAIR = REPAIRED | {"Conflict", "Unavailable", "killed", "terminated"}
# Exit codes of readers: before the repair of a damaged run, during it, and after it.
MAY_READ = {"damaged": {5}, "meanwhile": {0, 5, 75}, "afterwards": {0, 75}}


@dataclass(frozen=True)
class Violation:
    """A violated guarantee; `what` is its kind."""

    what: str
    run: str
    text: str = ""

    def __str__(self):
        return f"{self.what}: {self.run} {self.text}"


def check(bucket, runs, workers=4):
    """Checks all runs of a journal, and returns the violations."""
    found = collections.defaultdict(dict)
    for key, seen in bucket.list().items():
        run, _, name = key.rpartition("/")
        found[run][name] = seen
    strangers = set(found) - {run["path"] for run in runs}
    violations = [Violation("a run that nobody wrote", run) for run in strangers]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for of_run in pool.map(lambda run: check_run(bucket, run, found[run["path"]]), runs):
            violations += of_run
    return violations


def check_run(bucket, run, objects):
    """Checks one run; `objects` is its current listing."""
    path, writers = run["path"], run["writers"]
    told = [writer for writer in writers if writer["outcome"] == "sealed"]
    violations = [
        Violation("an outcome that may not be", path, f"{writer['outcome']}: {writer}")
        for writer in writers
        if writer["outcome"] not in MAY_HAPPEN
    ]

    def violated(what, text=""):
        violations.append(Violation(what, path, str(text)))

    if len(told) > 1:
        violated("two were told sealed", [writer["writer"] for writer in told])
    for seen in run["seen"]:
        # A repair replaces the payload, so an earlier listing of a repaired run has only the seal.
        now = {name: objects.get(name) for name in seen} if run.get("damage") else objects
        if seen != now:
            violated("changed after its seal", f"{seen} is now {objects}")
    if SEAL not in objects:
        if told:
            violated("told sealed and no seal is there", told)
        if any(writer["outcome"] == "AlreadySealed" for writer in writers):
            violated("told already sealed and no seal is there")
        violated("nobody could seal it", [(writer["writer"], writer["outcome"]) for writer in writers])
        return violations
    if set(objects) != {PAYLOAD, SEAL}:
        violated("not a payload and a seal", sorted(objects))
        return violations
    try:
        check_sealed(bucket, run, told, violated)
    except (ValueError, KeyError, TypeError) as cause:
        violated("payload or seal cannot be understood", repr(cause))
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as cause:
        violated("an object cannot be read", repr(cause))
    return violations


def check_sealed(bucket, run, told, violated):
    seal_bytes, seal_token = bucket.get(f"{run['path']}/{SEAL}")
    payload, payload_token = bucket.get(f"{run['path']}/{PAYLOAD}")
    seal = json.loads(seal_bytes)
    block, owner = seal["_seal"], seal["writer"]
    check_payload(payload, block, seal, violated)
    # A repair stores the payload under its own token.
    tokens = {seal_token} if run.get("damage") else {payload_token, seal_token}
    if tokens != {block["writer"]}:
        violated("the token is not the seal's", f"{payload_token} {seal_token} {block['writer']}")
    check_repairs(run, block["payload_sha256"], violated)
    rows = [json.loads(line) for line in payload.splitlines()]
    if any(row["writer"] != owner for row in rows):
        violated("rows of another writer", f"{owner}: {collections.Counter(row['writer'] for row in rows)}")
    if [row["row"] for row in rows] != list(range(len(rows))):
        violated("rows are not in order")
    given = {writer["writer"]: writer for writer in run["writers"]}.get(owner)
    if given is None:
        violated("sealed by nobody that wrote it", owner)
        return
    if hashlib.sha256(payload).hexdigest() != given["sha256"]:
        violated("not the rows that its writer was given", owner)
    if given["outcome"] not in MAY_OWN:
        violated("told an error, and the seal is there", given)
    for writer in told:
        if (writer["writer"], writer["token"]) != (owner, block["writer"]):
            violated("told sealed, and the seal is another's", f"{writer['writer']}, not {owner}")


def check_repairs(run, sha256, violated):
    """Checks that a damaged run was repaired, and that no reader got other bytes than the sealed ones."""
    repairs, reads = run.get("repairs", []), run.get("reads", [])
    for repair in repairs:
        if repair["outcome"] not in MAY_HAPPEN_TO_A_REPAIR:
            violated("an outcome of a repair that may not be", repair)
    for read in reads:
        if read["exit"] not in MAY_READ[read["role"]]:
            violated("an exit code of a reader that may not be", read)
        if read.get("sha256", sha256) != sha256:
            violated("a reader got wrong bytes", read)
    if run.get("damage") and not any(repair["outcome"] in REPAIRED for repair in repairs):
        violated("nobody could repair it", [repair["outcome"] for repair in repairs])
    if run.get("damage") and not any(read["role"] == "afterwards" and read["exit"] == 0 for read in reads):
        violated("nobody could read it after its repair", reads[-1:])


def check_payload(payload, block, seal, violated):
    """Compares a payload with the checksums in its seal."""
    if block["format"] != 1:
        violated("the seal's format is not known", block["format"])
    if len(payload) != block["payload_bytes"]:
        violated("length", f"{len(payload)}, sealed {block['payload_bytes']}")
    if hashlib.sha256(payload).hexdigest() != block["payload_sha256"]:
        violated("SHA-256")
    count = payload.count(b"\n") if payload.endswith(b"\n") or not payload else -1
    if not count == block["record_count"] == seal["record_count"]:
        violated("record count", f"{count}, sealed {block['record_count']} and {seal['record_count']}")


def main(journal):
    with open(journal) as lines:
        header, *runs = map(json.loads, lines)
    violations = check(Bucket(header["prefix"]), runs)
    for violation in violations:
        print(violation)
    print(f"{len(runs)} partitions, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
