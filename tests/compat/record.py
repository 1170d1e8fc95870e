"""Records what a released program answers on the fixtures, for the test crates/rawsink-cli/tests/it/released.rs.

README.md describes the format. The calls run in their order on one copy of the fixtures.
Those that change it come last.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

ADS = "google_ads/customer_id=123/query_name=campaign"
KEYWORD = "google_ads/customer_id=456/query_name=keyword/logical_date=2024-06-01"
# Members that hold text for a person, and members that hold a time.
TEXTS = ["error_message", "faults", "warnings"]
TIMES = ["updated_at"]
JSON = {"compare": "json"}
BYTES = {"compare": "bytes"}
EXIT_CODE = {"compare": "nothing"}


def call(*args, **more):
    return {"args": list(args), **JSON, **more} if "compare" not in more else {"args": list(args), **more}


def runs_of(root):
    """Returns the canonical path of every run in the layout, and those of their logical partitions."""
    found = {file.parent for file in root.glob("*/customer_id=*/query_name=*/logical_date=*/run_id=*/[pm]*")}
    runs = sorted(str(run.relative_to(root)) for run in found if "2024-02-30" not in str(run))
    return runs, sorted({run.rpartition("/")[0] for run in runs})


def calls(root):
    """Returns the calls by the file that they are recorded in."""
    runs, partitions = runs_of(root)
    missing = f"{ADS}/logical_date=2024-06-09"
    return {
        "01-list": [
            call("list", "--json"),
            *(call("list", place, "--json") for place in levels_of(partitions)),
            *(call("list", partition, "--json") for partition in partitions),
            call("list", "--runs", "--json"),
            call("list", "legacy", "--runs", "--json"),
            call("list", "no such source", "--json"),
        ],
        "02-show": [call("show", run, "--json", varying=["modified"]) for run in runs],
        "03-verify": [call("verify", run, "--json") for run in runs],
        "04-read": [
            *(call("read", run, **BYTES) for run in runs),
            *(
                call("read", partition, choice, **BYTES)
                for partition in partitions
                for choice in ("--latest", "--current")
            ),
            call("read", missing, "--current", **BYTES),
        ],
        "05-state": [
            call("state", "init", "--json"),
            call("state", "list", "--json"),
            *(call("state", "list", "--status", status, "--json") for status in ("pending", "success", "failed")),
            call("state", "list", ADS, "--since", "2024-06-02", "--until", "2024-06-05", "--json"),
            call("state", "list", "--customer", "Zoë & Söhne", "--json"),
            *(call("state", "show", partition, "--json") for partition in [*partitions[:4], partitions[-1], missing]),
            call("state", "retry", "--dry-run", "--json"),
            call("state", "backfill", ADS, "--since", "2024-05-30", "--until", "2024-06-07", "--dry-run", "--json"),
        ],
        "06-foreign-state": [
            {**foreign, "vars": {"RAW_SINK_STATE_URL": "sqlite:foreign.db"}}
            for foreign in [
                call("state", "init", "--json"),
                call("state", "list", "--json"),
                *(call("state", "show", f"{ADS}/logical_date=2024-06-0{day}", "--json") for day in (1, 2, 3, 4, 5)),
                call("state", "retry", "--dry-run", "--json"),
                call("read", f"{ADS}/logical_date=2024-06-01", "--current", **BYTES),
                call("manifest"),
                call("coverage", ADS, "--json"),
            ]
        ],
        "07-consumers": [
            call("manifest"),
            call("manifest", "google_ads", "--query", "campaign", "--since", "2024-06-02"),
            call("manifest", "--format", "uri", **BYTES),
            call("coverage", ADS, "--json"),
            call("coverage", "google_ads/customer_id=456", "--since", "2024-06-01", "--until", "2024-06-01", "--json"),
            *(call("coverage", source, "--json") for source in ("legacy", "shop data", "日本", "no such source")),
            call(
                *("coverage", "google_ads", "--customers", "123,789", "--queries", "campaign"),
                *("--until", "2024-06-03", "--json"),
            ),
            call("coverage", ADS, "--plan", "--json", varying=["command"]),
        ],
        "08-config": [
            call("config", "--json"),
            *(
                call("config", "--json", env_file=f"env/{name}.env")
                for name in ("directory", "quoted", "object", "secret-files", "aws", "wrong-values")
            ),
        ],
        "09-refusals": [
            call("write", runs[0], stdin="{}\n", **EXIT_CODE),
            call("write", f"{KEYWORD}/run_id=refused", stdin="{}\n[]\n", **EXIT_CODE),
            call("write", f"{KEYWORD}/run_id=refused", stdin="", **EXIT_CODE),
            call("write", f"{KEYWORD}/run_id=refused", "--expect-records", "2", stdin="{}\n", **EXIT_CODE),
            call("write", f"{KEYWORD}/run_id=refused", "--strict", stdin="{}\n", **EXIT_CODE),
            call("write", f"{KEYWORD}/run_id=refused", "--set", "customer_id=789", stdin="{}\n", **EXIT_CODE),
            call("write", f"{KEYWORD}/run_id=refused", "--", "false", **EXIT_CODE),
            call("write", "google_ads/customer_id=456", stdin="{}\n", **EXIT_CODE),
            call("write", "_hidden/customer_id=1/query_name=q/logical_date=2024-06-01", stdin="{}\n", **EXIT_CODE),
            call("write", f"{ADS}/logical_date=2024-06-31", stdin="{}\n", **EXIT_CODE),
            call("read", f"{KEYWORD}/run_id=no such run", **BYTES),
            call("read", KEYWORD, **BYTES),
            call("validate", f"{KEYWORD}/run_id=no such run", "--json"),
            call("validate", f"{ADS}/logical_date=2024-06-08/run_id=2024-07-01T00:00:00.000Z", "--json"),
            call("list", "--no-such-option", **EXIT_CODE),
            call("copy", "--to-env", "env/open-quote.env", "--json"),
            call("copy", "--to-env", "env/space.env", "--json"),
            call("copy", "--to-env", "env/wrong-values.env", "--json"),
            call("copy", "--to-env", "env/no-such-file.env", "--json"),
            call("list", KEYWORD, "--json"),
        ],
        "10-copy": [
            call("copy", "--to-root", "copies/back up", "--jobs", "1", "--dry-run", "--json", varying=["error"]),
            call("copy", "--to-root", "copies/back up", "--jobs", "1", "--json", varying=["error"]),
            call("copy", "legacy", "--to-root", "copies/back up", "--jobs", "1", "--json"),
            call("copy", "--to-root", "copies/back up", "--jobs", "1", "--reread", "--json", varying=["error"]),
            call("list", "--runs", "--json", vars={"RAW_SINK_ROOT": "copies/back up"}),
            call("read", runs[0], vars={"RAW_SINK_ROOT": "copies/back up"}, **BYTES),
            *(
                call("copy", runs[0], "--to-env", f"env/{name}.env", "--json")
                for name in ("directory", "quoted", "systemd")
            ),
            *(
                call("list", "--runs", "--json", vars={"RAW_SINK_ROOT": f"copies/{name}"})
                for name in ("plain", '"double" \\ $HOME `single` #1; it\'s é', "systemd files")
            ),
            # These files name servers that do not exist. No run is chosen, so the program sends no request.
            *(
                call("copy", "no such source", "--to-env", f"env/{name}.env", "--json")
                for name in ("object", "secret-files", "aws")
            ),
        ],
        "11-validate": [
            call("validate", "--all", "--jobs", "1", "--json", varying=TEXTS + TIMES),
            call("validate", "--all", "--jobs", "1", "--json", varying=TEXTS + TIMES),
            call("state", "retry", "--json"),
            call("state", "backfill", ADS, "--since", "2024-05-30", "--until", "2024-06-07", "--json"),
            call("validate", "--all", "--jobs", "1", "--strict", "--json", varying=TEXTS + TIMES),
            *(
                call("validate", "--all", "--jobs", "1", "--shard", f"{share}/2", "--json", varying=TEXTS + TIMES)
                for share in (1, 2)
            ),
            call("validate", runs[0], "--json", varying=TEXTS + TIMES),
            call("state", "list", "--json", varying=TEXTS + TIMES),
            call("manifest", "--format", "uri", **BYTES),
            call("coverage", ADS, "--since", "2024-05-31", "--until", "2024-06-07", "--json", varying=TEXTS),
        ],
        "12-clean": [
            call("clean", "--json"),
            call("clean", "--older-than", "0s", "--json", varying=["modified", "age_s"]),
            call("clean", KEYWORD, "--older-than", "0s", "--apply", "--json", varying=["modified", "age_s"]),
            call("clean", "--older-than", "0s", "--apply", "--json", varying=["modified", "age_s"]),
            call("clean", "--older-than", "0s", "--apply", "--json"),
            call("list", "--runs", "--json"),
        ],
        "13-write": [
            call("write", f"{KEYWORD}/run_id=later", "--json", stdin='{"n":1}\n', varying=["writer", "software"]),
            call("write", f"{ADS}/logical_date=2024-06-08/run_id=later", stdin='{"n":1}', **EXIT_CODE),
            call("read", f"{ADS}/logical_date=2024-06-08/run_id=later", **BYTES),
            call("validate", f"{ADS}/logical_date=2024-06-08/run_id=later", "--json", varying=TEXTS + TIMES),
            call("read", f"{ADS}/logical_date=2024-06-08", "--current", **BYTES),
        ],
    }


def levels_of(partitions):
    """Returns the places above the dates."""
    places = {tuple(partition.split("/")[:depth]) for partition in partitions for depth in (1, 2, 3)}
    return ["/".join(place) for place in sorted(places)]


def record(program, folder):
    """Writes the answers of a program to `expected` in the folder of the fixtures."""
    expected = folder / "expected"
    expected.mkdir()
    recorded = {name: [] for name in calls(folder / "root")}
    with tempfile.TemporaryDirectory() as place:
        copy = pathlib.Path(place).resolve() / "fixtures"
        shutil.copytree(folder, copy)
        for name, made in calls(folder / "root").items():
            recorded[name] = [answered(program, copy, one) for one in made]
    for name, answers in recorded.items():
        lines = [json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers]
        (expected / f"{name}.jsonl").write_bytes("".join(lines).encode())


def answered(program, place, made):
    """Makes a call and returns it with its exit code and standard output."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAW_SINK")}
    command = [program, *made["args"]]
    if env_file := made.get("env_file"):
        command = ["sh", "-c", 'set -a; . "./$0"; exec "$@"', env_file, *command]
    else:
        env |= {"RAW_SINK_ROOT": "root", "RAW_SINK_STATE_URL": "sqlite:state.db"} | made.get("vars", {})
    done = subprocess.run(command, cwd=place, env=env, input=made.get("stdin", "").encode(), capture_output=True)
    stdout = done.stdout.decode().replace(str(place), "{dir}")
    if made["compare"] == "json":
        # The test compares objects alone.
        assert all(isinstance(json.loads(line), dict) for line in stdout.splitlines()), stdout
    return {**made, "exit": done.returncode, "stdout": "" if made["compare"] == "nothing" else stdout}
