"""Checks that readers open exactly the payloads of a manifest: check.py --program RAWSINK READER...

Lands one partition for each hostile name, in a directory and in the bucket of the RAW_SINK_* variables. Then each
reader opens every URI of `rawsink manifest --for READER` alone, and all of them together, and must find the rows of
exactly these partitions. A name that the manifest refuses must be one that this reader really cannot open.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import readers

DAY = "2024-06-01"
RUN = "2024-06-02T00:00:00.000Z"
# Characters that some reader may take for a pattern, an escape or the end of the path, each between two letters.
CHARACTERS = "!\"#$%&'()*+,-.:;<=>?@[]^_`{|}~ \u00e9"
# Names that a pattern in another name would match, or that another name would decode to, and names with several.
MORE = ["aAb", "ab", "aAAb", "%41", "A", "a%20b", "a%2Ab", "a%2ab", "a%zzb", "a**b", "**", "*", "?", "[!a]b", "[^a]b",
        "a[A]b", "a{A,B}b", "a{b", "a[*]b", "a[b", "a]b", "~", "-a", "a?s3_region=b", "a#b?c", "a%*b", "b c d"]  # fmt: skip
NAMES = list(dict.fromkeys([f"a{character}b" for character in CHARACTERS] + MORE))
# Besides the customer: a query and runs with hostile names.
QUERY = "q*[1]?"
OTHER_RUNS = ["r*1", "r[1]", "r{1,2}", "r%31", "rA1"]

# The names with these characters, which a reader cannot open.
REFUSED = {
    ("duckdb", "directory"): "",
    ("duckdb", "bucket"): "?",
    ("polars", "directory"): "",
    ("polars", "bucket"): "*?[",
    ("pyarrow", "directory"): "",
    ("pyarrow", "bucket"): "",
    ("spark", "directory"): "*?[]{}",
}


class Sink:
    """A sink with the same partitions: in a directory, or in a bucket."""

    def __init__(self, kind: str, program: str, folder: Path) -> None:
        self.kind, self.program = kind, program
        self.env = dict(os.environ, RAW_SINK_STATE_URL=f"sqlite:{folder}/{kind}.db")
        if kind == "directory":
            self.env.update(RAW_SINK="filesystem", RAW_SINK_ROOT=str(folder / "raw #%41"))
        else:
            self.env.update(RAW_SINK="object", RAW_SINK_PREFIX=f"readers/{folder.name}/raw #%41")

    def run(self, *args: str, rows: str = "", codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([self.program, *args], input=rows, env=self.env, text=True, capture_output=True)
        if done.returncode not in codes:
            sys.exit(f"rawsink {' '.join(args)} exited with {done.returncode}: {done.stderr}")
        return done

    def land(self) -> None:
        places = [(name, "q", RUN) for name in NAMES] + [("query", QUERY, RUN)]
        places += [(f"run {number}", "q", run) for number, run in enumerate(OTHER_RUNS)]
        for customer, query, run in places:
            row = json.dumps({"who": customer}) + "\n"
            self.run("write", path(customer, query), "--run-id", run, rows=row)
        self.run("write", path("empty", "q"), "--run-id", RUN, "--allow-empty")
        self.run("validate", "--all")

    def manifest(self, reader: str) -> tuple[list[dict], set[str]]:
        """Returns the lines, and the customers of the partitions that are refused."""
        done = self.run("--json", "manifest", "--for", reader, "--skip-empty", codes=(0, 2))
        errors = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        refused = {customer(error["partition"]) for error in errors if error["partition"]}
        return [json.loads(line) for line in done.stdout.splitlines()], refused


def path(customer: str, query: str) -> str:
    return f"ads/customer_id={customer}/query_name={query}/logical_date={DAY}"


def customer(partition: str) -> str:
    return partition.split("/")[1].removeprefix("customer_id=")


def check(sink: Sink, name: str, reader: readers.Reader) -> list[str]:
    """Returns the violations."""
    lines, refused = sink.manifest(name)
    faults, expected = [], Counter()
    for line in lines:
        who = line["customer_id"]
        expected[who] += 1
        try:
            found = reader([line["uri"]])
        except Exception as error:  # Every error of a reader is a finding.
            found = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        if found != [who]:
            faults.append(f"{who!r} as {line['uri']}: found {found}")
    together = Counter(reader([line["uri"] for line in lines])) if not faults else expected
    if together != expected:
        faults.append(f"all URIs together: found {together - expected}, missed {expected - together}")
    unable = REFUSED[name, sink.kind]
    everyone = {*NAMES, "query", *(f"run {number}" for number in range(len(OTHER_RUNS)))}
    texts = {who: who for who in everyone} | {"query": QUERY}
    texts |= {f"run {number}": run for number, run in enumerate(OTHER_RUNS)}
    wanted = {who for who, text in texts.items() if set(text) & set(unable)}
    if refused != wanted:
        faults.append(f"refused {sorted(refused - wanted)}, listed {sorted(wanted - refused)} unexpectedly")
    if expected.keys() | refused != everyone:
        faults.append(f"neither listed nor refused: {sorted(everyone - expected.keys() - refused)}")
    print(f"{sink.kind}\t{name}\t{len(lines)} read\t{len(refused)} refused\t{len(faults)} violations", flush=True)
    return [f"{sink.kind}, {name}: {fault}" for fault in faults]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="path of rawsink")
    parser.add_argument("--only", choices=["directory", "bucket"], help="only this sink")
    parser.add_argument("readers", nargs="+", choices=["duckdb", "polars", "pyarrow", "spark"])
    args = parser.parse_args()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in [args.only] if args.only else ["directory", "bucket"]:
            sink = Sink(kind, args.program, Path(folder))
            sink.land()
            for name in args.readers:
                if (name, kind) in REFUSED:
                    faults += check(sink, name, readers.open_reader(name, kind))
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
