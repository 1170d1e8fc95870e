"""Measures what readers make of rows that `rawsink check` warns of, and writes the table of docs/rows-and-metadata.md.

hazards.py --program RAWSINK [--page FILE] READER...

For each hazard a payload of three rows is read, of which the second has the hazard. Every kind of hazard that the
program warns of must have a payload here, and the program must warn of exactly that kind.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

FROM, TO = "<!-- What follows is written by `make readers-test`. -->\n", "<!-- Here it ends. -->\n"
DEEP = 1100


def second(value: str) -> list[str]:
    """Returns a payload whose second row has this JSON text as its value, with like values beside it."""
    return [f'{{"id":1,"x":{value_like(value)}}}', f'{{"id":2,"x":{value}}}', f'{{"id":3,"x":{value_like(value)}}}']


def value_like(value: str) -> str:
    return '"a"' if value.startswith('"') else "1.5" if "e" in value else "1"


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


# The kind, its words in the table, and its payload.
HAZARDS: dict[str, tuple[str, list[str]]] = {
    "duplicate_names": ("`{\"x\":1,\"x\":2}`", ['{"id":1,"x":1}', '{"id":2,"x":1,"x":2}', '{"id":3,"x":1}']),
    "names_differ_in_case": ("`{\"x\":1,\"X\":2}`", ['{"id":1,"x":1}', '{"id":2,"x":1,"X":2}', '{"id":3,"x":1}']),
    "lone_surrogate": ("`\"\\ud83d\"`", second('"\\ud83d"')),
    "number_out_of_range": ("`1e400`", second("1e400")),
    "integer_out_of_range": ("`18446744073709551616`", second("18446744073709551616")),
    "long_row": ("2 MiB", second('"' + "x" * (2 << 20) + '"')),
    # The last one: Spark's process does not survive it.
    "deep_nesting": (f"{DEEP:,} levels", ['{"id":1}', f'{{"id":2,"x":{deep(DEEP - 1)}}}', '{"id":3}']),
}


def told(kind: str, rows: list[dict]) -> str:
    """Describes what a reader made of the second row."""
    if [row.get("id") for row in rows] != [1, 2, 3]:
        return "loses the row"
    found = rows[1].get("x")
    match kind:
        case "duplicate_names":
            return {1: "first value", 2: "last value"}.get(found, f"{found!r}")
        case "names_differ_in_case":
            return "both" if found == 1 and rows[1].get("X") == 2 else "loses one"
        case "lone_surrogate":
            return "kept" if found == "\ud83d" else "other text"
        case "number_out_of_range":
            if found is None or found == float("inf"):
                return "null" if found is None else "infinity"
            return "another number"
        case "integer_out_of_range":
            if found is None:
                return "null"
            return "kept" if str(found) == "18446744073709551616" else "rounded"
        case "deep_nesting":
            return "kept" if found is not None else "null"
    return "kept" if found == "x" * (2 << 20) else "other text"


def read_duckdb(path: str) -> list[dict]:
    import duckdb

    table = duckdb.sql("SELECT * FROM read_ndjson(?)", params=[path])
    return [dict(zip(table.columns, row)) for row in table.fetchall()]


def read_polars(path: str) -> list[dict]:
    import polars

    return polars.scan_ndjson(path).collect().to_dicts()


def read_pyarrow(path: str) -> list[dict]:
    import pyarrow.json

    return pyarrow.json.read_json(path).to_pylist()


def read_pandas(path: str) -> list[dict]:
    import pandas

    return json.loads(pandas.read_json(path, lines=True).to_json(orient="records"))


def read_orjson(path: str) -> list[dict]:
    import orjson

    return [orjson.loads(line) for line in Path(path).read_bytes().splitlines()]


def read_json(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def read_jq(path: str) -> list[dict]:
    done = subprocess.run(["jq", "-c", ".", path], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def read_spark(path: str) -> list[dict]:
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return [row.asDict(recursive=True) for row in session.read.json(path).orderBy("id").collect()]


READERS: dict[str, tuple[str, Callable[[str], list[dict]]]] = {
    "duckdb": ("DuckDB", read_duckdb),
    "polars": ("Polars", read_polars),
    "pyarrow": ("PyArrow", read_pyarrow),
    "pandas": ("pandas", read_pandas),
    "spark": ("Spark", read_spark),
    "json": ("Python `json`", read_json),
    "orjson": ("orjson", read_orjson),
    "jq": ("jq", read_jq),
}


def check_reader(name: str, folder: Path) -> None:
    """Ends the program if a reader cannot read ordinary rows, as one that is not installed."""
    file = folder / "ordinary.jsonl"
    file.write_text('{"id":1}\n{"id":2}\n{"id":3}\n')
    found = [row["id"] for row in READERS[name][1](str(file))]
    if found != [1, 2, 3]:
        sys.exit(f"{name} reads ordinary rows as {found}")


def outcome(reader: Callable[[str], list[dict]], kind: str, path: str) -> str:
    try:
        return told(kind, reader(path))
    except Exception:  # Every error of a reader is a finding.
        return "**error**"


def table(program: str, names: list[str], folder: Path) -> str:
    for name in names:
        check_reader(name, folder)
    lines = [f"| kind | example | {' | '.join(READERS[name][0] for name in names)} |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for kind, (words, rows) in HAZARDS.items():
        file = folder / f"{kind}.jsonl"
        file.write_text("\n".join(rows) + "\n")
        done = subprocess.run([program, "--json", "check", str(file)], capture_output=True, text=True, check=True)
        warned = [hazard["hazard"] for hazard in json.loads(done.stdout)["hazards"]]
        if warned != [kind]:
            sys.exit(f"{kind}: the program warns of {warned}")
        found = [outcome(READERS[name][1], kind, str(file)) for name in names]
        print(f"{kind}: {dict(zip(names, found))}", flush=True)
        lines.append(f"| `{kind}` | {words} | {' | '.join(found)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="path of rawsink")
    parser.add_argument("--page", type=Path, help="page to write the table into")
    parser.add_argument("readers", nargs="+", choices=READERS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = table(args.program, args.readers, Path(folder))
    if args.page:
        head, rest = args.page.read_text().split(FROM)
        _, tail = rest.split(TO)
        args.page.write_text(f"{head}{FROM}\n{text}\n{TO}{tail}")


main()
