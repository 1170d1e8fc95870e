"""Shows that the check can fail: tampers with copies of sealed runs and expects each violation to be reported."""

import copy
import hashlib
import json

from check import PAYLOAD, SEAL, check_run

# Each way, and the expected violation.
WAYS = []


class Sealed:
    """A copy of a sealed run with its journal record, for tampering."""

    def __init__(self, bucket, run):
        self.bucket, self.run = bucket, run
        self.payload, self.token = bucket.get(self.key(PAYLOAD))
        self.seal = json.loads(bucket.get(self.key(SEAL))[0])
        self.owner = next(told for told in self.run["writers"] if told["writer"] == self.seal["writer"])

    def key(self, name):
        return f"{self.run['path']}/{name}"

    def put_payload(self, payload):
        """Removes earlier observations, so that only the content can show it."""
        self.run["seen"] = []
        self.payload = payload
        self.bucket.put(self.key(PAYLOAD), payload, self.token)

    def seal_again(self, **changes):
        self.run["seen"] = []
        sums = {"payload_sha256": hashlib.sha256(self.payload).hexdigest(), "payload_bytes": len(self.payload)}
        seal = self.seal | {"_seal": self.seal["_seal"] | sums | changes}
        self.bucket.put(self.key(SEAL), json.dumps(seal).encode(), self.token)

    def tell(self, **changes):
        """Adds a writer with a result."""
        self.run["writers"].append(self.owner | changes)


def expects(what):
    def register(way):
        WAYS.append((way, what))
        return way

    return register


@expects("length")
def a_row_lost(sealed):
    sealed.put_payload(sealed.payload[: sealed.payload.rindex(b"\n", 0, -1) + 1])


@expects("record count")
def cut_in_a_row(sealed):
    sealed.put_payload(sealed.payload[:-2])


@expects("SHA-256")
def rows_swapped(sealed):
    first, second, *rest = sealed.payload.splitlines(keepends=True)
    sealed.put_payload(b"".join([second, first, *rest]))


@expects("not the rows that its writer was given")
def rows_swapped_and_sealed_again(sealed):
    rows_swapped(sealed)
    sealed.seal_again()


@expects("rows of another writer")
def a_row_of_another(sealed):
    owner = sealed.seal["writer"].encode()
    sealed.put_payload(sealed.payload.replace(owner, b"0" * len(owner), 1))
    sealed.seal_again()


@expects("the token is not the seal's")
def sealed_by_another_token(sealed):
    sealed.seal_again(writer="0" * 32)


@expects("payload or seal cannot be understood")
def a_broken_seal(sealed):
    sealed.run["seen"] = []
    sealed.bucket.put(sealed.key(SEAL), b"{", sealed.token)


@expects("changed after its seal")
def the_same_bytes_put_again(sealed):
    sealed.bucket.put(sealed.key(PAYLOAD), sealed.payload, sealed.token)


@expects("not a payload and a seal")
def payload_deleted(sealed):
    sealed.run["seen"] = []
    sealed.bucket.delete(sealed.key(PAYLOAD))


@expects("told sealed and no seal is there")
def seal_deleted(sealed):
    sealed.run["seen"] = []
    sealed.bucket.delete(sealed.key(SEAL))


@expects("two were told sealed")
def two_told_sealed(sealed):
    sealed.tell(writer="another")


@expects("told sealed, and the seal is another's")
def another_told_sealed(sealed):
    sealed.owner["outcome"] = "Unknown"
    sealed.tell(writer="another", outcome="sealed")


@expects("told an error, and the seal is there")
def told_conflict(sealed):
    sealed.owner["outcome"] = "Conflict"


@expects("an outcome that may not be")
def told_corrupt(sealed):
    sealed.tell(writer="another", outcome="Corrupt")


def copy_of(run, bucket, copies):
    """Copies a sealed run, and returns a record as if it was written there."""
    bucket.copy(run["path"], copies)
    return copy.deepcopy(run) | {"seen": [copies.look(run["path"])]}


def unnoticed(bucket, copies, runs):
    """Tampers with a copy of a sealed run in each way, and returns the violations that the check missed."""
    fit = (
        run for run in runs if any(told["outcome"] == "sealed" and 3 <= told["rows"] < 100 for told in run["writers"])
    )
    missed = []
    for way, expected in WAYS:
        run = next(fit, None)
        if run is None:
            return [*missed, f"too few sealed runs to tamper with in {len(WAYS)} ways"]
        run = copy_of(run, bucket, copies)
        before = violations(copies, run)
        way(Sealed(copies, run))
        found = violations(copies, run)
        if before or expected not in found:
            missed.append(f"{way.__name__}: {sorted(found)} instead of {expected!r}; {sorted(before)} before")
    return missed


def violations(bucket, run):
    return {violation.what for violation in check_run(bucket, run, bucket.look(run["path"]))}
