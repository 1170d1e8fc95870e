"""Examines one server: doctor ten times, the parity tests, 200 races, kill -9, torture. Prints a JSON object.

The driver, servers.py, runs it; for a server that listens on all addresses in a network namespace.
"""

import collections
import concurrent.futures
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions
import recipes

ROOT = Path(__file__).resolve().parents[2]
DOCTORS, RACES, IN_PARALLEL, KEPT, PARITY_MINUTES = 10, 200, 6, 20, 12
# Times that a race can wait for, and that keep the guarantees on a near server.
TIMES = {
    "RAW_SINK_LEFTOVER_GRACE_S": "7",
    "RAW_SINK_SEAL_DEADLINE_S": "2",
    "RAW_SINK_SEAL_TIMEOUT_S": "3",
    "RAW_SINK_COMPLETE_DEADLINE_S": "60",
    "RAW_SINK_RETRY_DEADLINE_S": "30",
}
PARTITION = "races/customer_id={}/query_name=q/logical_date=2024-06-01"
RUN = "2024-06-02T00:00:00.000Z"


# The environment may name a proxy.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Server:
    """A server that runs, with an empty bucket."""

    def __init__(self, recipe, home, data, port):
        self.recipe, self.home, self.data, self.port = recipe, home, data, port
        self.url, self.key, self.secret = f"http://127.0.0.1:{port}", recipe.key, recipe.secret
        self.process = None
        if recipe.script:
            self.url = os.environ["RAW_SINK_ENDPOINT_URL"]
            self.key, self.secret = os.environ["RAW_SINK_ACCESS_KEY_ID"], os.environ["RAW_SINK_SECRET_ACCESS_KEY"]
        else:
            recipe.prepare(home, data, port)
            self.start()
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=recipe.region,
            config=botocore.config.Config(s3={"addressing_style": "path"}, max_pool_connections=20),
        )
        if not recipe.has_bucket:
            self.client.create_bucket(Bucket=recipes.BUCKET)

    def start(self):
        with open(self.home / "log", "ab") as log:
            self.process = subprocess.Popen(
                self.recipe.command(self.home, self.data, self.port),
                env=os.environ | self.recipe.environment,
                cwd=self.data,
                stdout=log,
                stderr=log,
            )
        for _ in range(600):
            try:
                DIRECT.open(self.url, timeout=5)
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"{self.recipe.name} ended: see {self.home}/log")
                time.sleep(0.1)
        sys.exit(f"{self.recipe.name} does not answer: see {self.home}/log")

    def end(self, how=signal.SIGTERM):
        if self.process is None:
            # The script ends what it started.
            if how == signal.SIGKILL:
                os.kill(self.recipe.pid(), how)
                time.sleep(1)
            return
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def collect(self):
        """Returns the command that collects garbage; None if this server has none."""
        return self.recipe.collect and self.recipe.collect(self.home, self.port)

    def settings(self, **more):
        return {
            "RAW_SINK": "object",
            "RAW_SINK_ENDPOINT_URL": self.url,
            "RAW_SINK_REGION": self.recipe.region,
            "RAW_SINK_BUCKET": recipes.BUCKET,
            "RAW_SINK_PREFIX": "raw",
            "RAW_SINK_ACCESS_KEY_ID": self.key,
            "RAW_SINK_SECRET_ACCESS_KEY": self.secret,
        } | more

    def object(self, key):
        """Returns an object's bytes, by boto3; None if it does not exist."""
        try:
            return self.client.get_object(Bucket=recipes.BUCKET, Key=f"raw/{key}")["Body"].read()
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            return None


class Program:
    def __init__(self, program):
        self.program = program

    def start(self, settings, *arguments, **options):
        return subprocess.Popen(
            [self.program, *arguments],
            env={name: value for name, value in os.environ.items() if not name.startswith("RAW_SINK")} | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, settings, *arguments):
        process = self.start(settings, *arguments)
        try:
            out, err = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return "none", "", "not done after 300 s"
        return process.returncode, out, err


def first_writes(program, settings):
    """Lands a run of one row and an empty one before anything else, and returns what failed."""
    failed = []
    for rows in (1, 0):
        path = PARTITION.format(f"first-{rows}")
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write('{"a":1}\n' * rows)
            file.flush()
            code, _, err = program.run(settings, "write", path, file.name, "--run-id", RUN, "--allow-empty")
        if code != 0:
            error = next((line for line in err.splitlines() if line.startswith("error")), err)
            what = "one row" if rows else "an empty run"
            failed.append(f"{what}: exit {code}: {error.split(f'run_id={RUN}: ')[-1]}")
    return failed


def diagnose(server, program, settings, times):
    """Returns how often doctor came to each conclusion and found each fault, and the settings that it advised.

    All that it printed is in doctor.jsonl. A fault is shown as it was first seen, because its numbers vary.
    """
    conclusions, faults, sets = collections.Counter(), collections.Counter(), collections.Counter()
    first_seen, took, unexplained = {}, [], 0
    with open(server.home / "doctor.jsonl", "w") as journal:
        for _ in range(times):
            start = time.monotonic()
            code, out, err = program.run(settings, "doctor", "--json")
            took.append(round(time.monotonic() - start, 1))
            journal.write(out + err)
            lines = [json.loads(line) for line in out.splitlines()]
            diagnosis = lines[-1]["diagnosis"] if lines else f"exit {code}: {err.strip()[-200:]}"
            conclusions[diagnosis] += 1
            bad = [line for line in lines if line.get("outcome") in ("fault", "unknown")]
            unexplained += diagnosis != "sound" and not bad
            for line in bad:
                finding = f"{line['outcome']} {line['finding']}"
                faults[first_seen.setdefault(finding, f"{finding}: {line['seen']}")] += 1
            if lines and lines[-1]["set"]:
                sets[f"{lines[-1]['set']['name']}={lines[-1]['set']['value']}"] += 1
    return {"conclusions": conclusions, "faults": faults, "sets": sets, "seconds": took, "unexplained": unexplained}


def heed(program, settings, doctor):
    """Returns doctor's conclusion with the setting that it advised each time; None if it advised none."""
    if len(doctor["sets"]) != 1:
        return None
    [advised] = doctor["sets"]
    name, value = advised.split("=")
    _, out, err = program.run(settings | {name: value}, "doctor", "--json")
    conclusion = json.loads(out.splitlines()[-1])["diagnosis"] if out else err.strip()[-200:]
    return {"set": advised, "conclusion": conclusion}


def parity(server, settings):
    """Runs the tests that need a real server, without those of PostgreSQL; returns how many passed, and which failed."""
    command = [str(ROOT / "scripts/parity"), "--skip", "postgres"]
    environment = os.environ | settings | {"CARGO_NET_OFFLINE": "true"}
    with open(server.home / "parity.txt", "w+") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            process.wait(PARITY_MINUTES * 60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        said = output.read()
    passed = re.findall(r"^test (\S+)(?: - should panic)? \.\.\. ok$", said, re.MULTILINE)
    failed = re.findall(r"^test (\S+)(?: - should panic)? \.\.\. FAILED$", said, re.MULTILINE)
    if process.returncode != 0 and not failed:
        failed = [f"exit {process.returncode}: {said.strip()[-200:]}"]
    return {"passed": len(passed), "failed": sorted(failed), "ended": process.returncode >= 0}


def payload(writer, race, is_large):
    rows = 7 << 10 if is_large else 10
    return "".join(json.dumps({"writer": writer, "race": race, "row": row, "pad": "x" * 980}) + "\n" for row in range(rows))


def race(server, program, number, directory, settings, lasts):
    """Lets two writers write one run; returns what they were told, and what is lost."""
    rng = random.Random(number)
    is_large = number % 4 == 0
    policy = ("replace", "refuse")[number // 4 % 2]
    path, told, ends, writers = PARTITION.format(number), [], [], []
    for writer in "ab":
        file = f"{directory}/{number}-{writer}.jsonl"
        Path(file).write_text(payload(writer, number, is_large))
        if writers:
            time.sleep(rng.random() * lasts[is_large])
        start = time.monotonic()
        own = settings | {"RAW_SINK_LEFTOVER": policy, "RAW_SINK_PART_BYTES": "5MiB"}
        writers.append((writer, program.start(own, "write", path, file, "--run-id", RUN), start))
    for writer, process, start in writers:
        _, err = process.communicate(timeout=600)
        ends.append([process.returncode, err])
        if process.returncode == 0:
            told.append(writer)
            lasts[is_large] = min(lasts[is_large], time.monotonic() - start)
    return {"number": number, "path": f"{path}/run_id={RUN}", "told": told, "policy": policy, "large": is_large, "ends": ends}


def losses(server, races):
    """Returns the races with a lost run: a writer got the result sealed, and its bytes or the seal are missing."""
    lost = []
    for one in races:
        if not one["told"]:
            continue
        expected = payload(one["told"][0], one["number"], one["large"]).encode()
        stored = server.object(f"{one['path']}/payload.jsonl")
        seal = server.object(f"{one['path']}/metadata.json")
        if len(one["told"]) > 1 or stored != expected or seal is None:
            what = "absent" if stored is None else "other bytes" if stored != expected else "kept"
            sealed = "seal absent" if seal is None else "seal kept"
            told = " and ".join(one["told"])
            lost.append(f"race {one['number']} ({one['policy']}): sealed according to {told}; payload: {what}; {sealed}")
    return lost


def races(server, program, settings):
    lasts = {False: 1.0, True: 3.0}
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(IN_PARALLEL) as pool:
        told = list(pool.map(lambda number: race(server, program, number, directory, settings, lasts), range(RACES)))
    lost = losses(server, told)
    time.sleep(5)
    if server.collect():
        with open(server.home / "log", "ab") as log:
            subprocess.run(["sh", "-c", server.collect()], check=True, stdout=log, stderr=log)
    lost = list(dict.fromkeys([*lost, *losses(server, told)]))
    (server.home / "races.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told))
    winners = collections.Counter(len(one["told"]) for one in told)
    exits = collections.Counter(str(code) for one in told for code, _ in one["ends"])
    return {"races": RACES, "sealed by one": winners[1], "by none": winners[0], "lost": lost, "exits": exits}


def kill_hard(server, program, settings):
    """Lands runs, kills the server with SIGKILL, starts it again; returns how many runs are whole."""
    text = payload("kept", 0, False)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write(text)
        file.flush()
        for number in range(KEPT):
            path = PARTITION.format(f"kept-{number}")
            code, _, err = program.run(settings, "write", path, file.name, "--run-id", RUN)
            if code != 0:
                return f"write failed: {err.strip()[-200:]}"
    server.end(signal.SIGKILL)
    server.start()
    kept = 0
    for number in range(KEPT):
        path = f"{PARTITION.format(f'kept-{number}')}/run_id={RUN}"
        kept += server.object(f"{path}/payload.jsonl") == text.encode() and server.object(f"{path}/metadata.json") is not None
    return f"{kept} of {KEPT} kept"


def torture(server, minutes, program):
    command = [sys.executable, str(ROOT / "tests/torture/torture.py"), "--program", program, "--minutes", str(minutes)]
    command += ["--lanes", "12", "--journal", str(server.home / "torture.jsonl"), "--grace", "7", "--seal-timeout", "3"]
    if server.collect():
        command += ["--before-check", shlex.join(["sh", "-c", server.collect()])]
    done = subprocess.run(command, env=os.environ | server.settings(), capture_output=True, text=True)
    (server.home / "torture.txt").write_text(done.stdout + done.stderr)
    lines = done.stdout.splitlines()
    checked = next((line for line in lines if " partitions checked, " in line), None)
    counted = checked and re.match(r"(\d+) partitions checked, (\d+) violations", checked)
    return {
        "exit": done.returncode,
        "partitions": counted and int(counted[1]),
        "violations": counted and int(counted[2]),
        # Ways of tampering that the check of the torture does not notice on this server.
        "blind": [line.split(": ")[1] for line in lines if line.startswith("the check is blind: ")],
        "said": done.stderr.strip().splitlines()[-1:],
    }


def examine(name, home, port, program, minutes):
    [recipe] = [recipe for recipe in recipes.RECIPES if recipe.name == name]
    data = Path(tempfile.mkdtemp(dir=home))
    server = Server(recipe, home, data, port)
    found = {"name": name, "version": recipe.version, "unfit": recipe.unfit}
    start = time.monotonic()
    try:
        runner = Program(program)
        settings = server.settings()
        found["server"] = server.client.list_buckets()["ResponseMetadata"]["HTTPHeaders"].get("server", "-")
        found["first writes"] = first_writes(runner, settings)
        found["doctor"] = diagnose(server, runner, settings, DOCTORS)
        found["heeded"] = heed(runner, settings, found["doctor"])
        found["parity"] = parity(server, settings | TIMES)
        found["races"] = races(server, runner, settings | TIMES)
        found["restart"] = kill_hard(server, runner, settings | TIMES) if recipe.is_durable else "in memory only"
        if recipe.can_torture and minutes:
            found["torture"] = torture(server, minutes, program)
    finally:
        server.end()
        shutil.rmtree(data, ignore_errors=True)
    found["minutes"] = round((time.monotonic() - start) / 60, 1)
    return found


if __name__ == "__main__":
    name, home, port, program, minutes = sys.argv[1:]
    print(json.dumps(examine(name, Path(home), int(port), program, float(minutes))))
