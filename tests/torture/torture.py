"""Tortures the program on a real server: kills, pauses, races and a faulty proxy; damages and
repairs some runs; then checks every partition.

The RAW_SINK_* variables name the server; all objects stay below a new prefix in its bucket. See
CONTRIBUTING.md; `make torture` and `make torture-ceph` run it.
"""

import argparse
import asyncio
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.parse
from dataclasses import asdict

import check
import report
import server
import tamper
from bucket import Bucket
from plans import PART_BYTES, Options, Planner
from repairs import Repairs
from writers import Ports, Writers

HERE = os.path.dirname(os.path.abspath(__file__))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def number(name, default, text, kind=float):
        parser.add_argument(name, type=kind, default=default, help=f"{text} [{default}]", metavar="N")

    parser.add_argument("--program", default="target/release/rawsink", help="the program to torture")
    parser.add_argument("--journal", default="target/torture.jsonl", help="file for the journal")
    parser.add_argument("--before-check", metavar="COMMAND", help="command to run before the check, such as a server's garbage collection")
    number("--seed", random.SystemRandom().randrange(1 << 32), "what is drawn; not how it interleaves", int)
    number("--minutes", 5.0, "start no round after this time")
    number("--rounds", 1 << 30, "start no more rounds than this", int)
    number("--first", 0, "number of the first round", int)
    number("--lanes", 32, "rounds that are under way at a time", int)
    number("--large-share", 0.05, "share of rounds whose payloads have about the size of a part or more")
    number("--enforced-share", 0.3, "share of rounds that rely on conditions on Complete, where they are honoured")
    number("--repair-share", 0.1, "share of runs that are damaged and repaired after their writers")
    number("--fault-share", 0.15, "share of the requests by the bad port that meet a fate")
    number("--latest-request", 1.2, "seconds by which a request reaches the server late at most")
    number("--latest-reply", 1.6, "graces by which a reply is late at most")
    number("--grace", 4.0, "RAW_SINK_LEFTOVER_GRACE_S")
    number("--seal-deadline", 2.0, "RAW_SINK_SEAL_DEADLINE_S")
    number("--seal-timeout", 1.0, "RAW_SINK_SEAL_TIMEOUT_S")
    return parser.parse_args()


def settings(args, prefix):
    return {
        "RAW_SINK": "object",
        "RAW_SINK_PREFIX": prefix,
        "RAW_SINK_PART_BYTES": str(PART_BYTES),
        "RAW_SINK_LEFTOVER_GRACE_S": f"{args.grace:g}",
        "RAW_SINK_SEAL_DEADLINE_S": f"{args.seal_deadline:g}",
        "RAW_SINK_SEAL_TIMEOUT_S": f"{args.seal_timeout:g}",
        # A writer that cannot continue fails soon.
        "RAW_SINK_COMPLETE_DEADLINE_S": "60",
    }


class Proxy:
    """The proxy in a separate process."""

    def __init__(self, args):
        upstream = urllib.parse.urlsplit(os.environ["RAW_SINK_ENDPOINT_URL"])
        if upstream.hostname != "127.0.0.1":
            sys.exit("torture: the server has to listen on 127.0.0.1")
        command = [sys.executable, os.path.join(HERE, "proxy.py"), str(upstream.port), str(args.seed)]
        command += [str(args.fault_share), str(args.latest_request), str(args.latest_reply * args.grace)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        calm, storm = self.process.stdout.readline().split()
        self.ports = Ports(f"http://127.0.0.1:{calm}", f"http://127.0.0.1:{storm}")

    def end(self):
        """Stops it and returns its summary."""
        return json.loads(self.process.communicate()[0])


async def rounds(args, writers, repairs, write_down):
    """Runs rounds on all lanes until time is up or their number is reached."""
    numbers = iter(range(args.first, args.first + args.rounds))
    options = Options(args.seed, args.grace, args.large_share, args.enforced_share)
    end = time.monotonic() + args.minutes * 60

    async def lane():
        for number in numbers:
            run = await writers.carry_out(Planner(options, number).plan())
            await repairs.carry_out(run, random.Random(f"{args.seed}/{number}/repairs"))
            write_down(asdict(run))
            if time.monotonic() > end:
                return

    await asyncio.gather(*(lane() for _ in range(args.lanes)))


def torture(args):
    prefix = f"torture/{args.seed}-{os.getpid()}"
    os.environ |= settings(args, prefix)
    bucket, runs, start = Bucket(prefix), [], time.monotonic()
    honoured = server.honours_conditions_on_complete(bucket)
    print(f"the server {'honours' if honoured else 'ignores'} conditions on Complete", flush=True)
    args.enforced_share *= honoured
    with open(args.journal, "w") as journal, tempfile.TemporaryDirectory() as directory:

        def write_down(record):
            if "path" in record:
                runs.append(record)
            journal.write(json.dumps(record) + "\n")

        write_down({"prefix": prefix, "arguments": vars(args)})
        proxy = Proxy(args)
        program = os.path.abspath(args.program)
        writers = Writers(program, directory, proxy.ports, bucket.look)
        repairs = Repairs(program, directory, proxy.ports, bucket, args.repair_share)
        asyncio.run(rounds(args, writers, repairs, write_down))
        tally = proxy.end()
    lasted = time.monotonic() - start
    collect_garbage(args)
    violations = check.check(bucket, runs)
    print(report.of(args, runs, tally, lasted))
    violated = {violation.run for violation in violations}
    sound = [run for run in runs if run["path"] not in violated]
    missed = tamper.unnoticed(bucket, Bucket(f"{prefix}-tampered"), sound)
    raced = Bucket(f"{prefix}-raced")
    both, at_once, later = server.abort_beside_complete(bucket, raced, sound, lambda: collect_garbage(args))
    print(f"abort during Complete: {both} of {server.RACES} both answered 2xx; whole {at_once} at once, {later} later")
    for line in [*map(str, violations), *(f"the check is blind: {one}" for one in missed)]:
        print(line)
    print(
        f"{len(runs)} partitions checked, {len(violations)} violations; "
        f"{len(tamper.WAYS) - len(missed)} of {len(tamper.WAYS)} ways of tampering noticed"
    )
    return 1 if violations or missed or not runs else 0


def collect_garbage(args):
    if args.before_check:
        subprocess.run(shlex.split(args.before_check), check=True)


def main():
    args = arguments()
    again = [arg for arg in sys.argv[1:] if not arg.startswith("--seed")]
    print(f"torture: seed {args.seed}; rerun: {shlex.join([*again, '--seed', str(args.seed)])}", flush=True)
    return torture(args)


if __name__ == "__main__":
    sys.exit(main())
