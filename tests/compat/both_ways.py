"""Checks that two programs read and continue each other's data: both_ways.py OLD NEW [--only TEXT]

Works on a directory with SQLite, and, where the environment names the servers (scripts/compat starts them), on a bucket
with SQLite and a bucket with PostgreSQL. Prints a line for each check, and a count. Exit code 1: the programs differ.
"""

import argparse
import concurrent.futures
import os
import pathlib
import sys
import tempfile
import traceback

import scenarios
from compare import Different
from places import Bucket, Directory, Postgres, Sqlite
from programs import Landing, Pair, Program


def setups():
    """Returns the places with their states that the environment allows; says which are left out."""
    found = [(Directory, Sqlite)]
    if "RAW_SINK_ENDPOINT_URL" in os.environ:
        found.append((Bucket, Sqlite))
    else:
        print("LEFT OUT: buckets, which need RAW_SINK_ENDPOINT_URL")
    if "RAWSINK_TEST_POSTGRES_URL" in os.environ:
        found.append((found[-1][0], Postgres))
    else:
        print("LEFT OUT: PostgreSQL, which needs RAWSINK_TEST_POSTGRES_URL")
    return found


def check(setup, scenario, pair):
    """Runs a scenario in a landing zone of its own; returns a line for each check, and whether all held."""
    place_type, state_type = setup
    where = f"{place_type.kind} + {state_type.kind}: {pair.first.name} then {pair.second.name}"
    lines, problem = [], None
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work).resolve()
        state = state_type(work)
        landing = Landing(place_type(work), state)
        try:
            for name in scenario(pair, landing):
                lines.append(f"ok    {where}: {name}")
        except Different as different:
            problem = str(different)
        except Exception:  # A fault of the check is a failure of it, too.
            problem = traceback.format_exc(limit=-3)
        finally:
            landing.stop()
            state.close()
    if problem is None and not lines:
        problem = "it checked nothing"
    if problem is not None:
        lines.append(f"FAIL  {where}: {scenario.__name__.replace('_', ' ')}: {problem}")
    return lines, problem is None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="the released program")
    parser.add_argument("new", help="today's program")
    parser.add_argument("--only", default="", help="run only scenarios whose name contains this text")
    parser.add_argument("--jobs", type=int, default=4, help="run up to N scenarios in parallel (4)")
    args = parser.parse_args()
    old, new = (
        Program(name, str(pathlib.Path(path).resolve())) for name, path in (("old", args.old), ("new", args.new))
    )
    wanted = lambda found: [scenario for scenario in found if args.only in scenario.__name__]
    todo = [
        (setup, scenario, pair)
        for setup in setups()
        for scenarios_of, pairs in (
            (scenarios.BOTH_WAYS, [Pair(old, new), Pair(new, old)]),
            (scenarios.ONCE, [Pair(old, new)]),
        )
        for scenario in wanted(scenarios_of)
        for pair in pairs
    ]
    held, failed = 0, 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for lines, is_right in pool.map(lambda one: check(*one), todo):
            print(*lines, sep="\n", flush=True)
            held, failed = held + len(lines) - (not is_right), failed + (not is_right)
    print(f"{held} checks held, {failed} failed")
    # A check that did not run must not pass.
    return 1 if failed or not held else 0


if __name__ == "__main__":
    sys.exit(main())
