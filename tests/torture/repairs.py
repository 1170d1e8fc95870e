"""Damages sealed runs whose writers have ended, and repairs them with the program from a copy, beside readers."""

import asyncio
import hashlib
import json
import os
import shlex
import shutil
import signal
import time

from check import PAYLOAD, REPAIRED, SEAL
from plans import Signal
from writers import PATIENCE_S, disturb

# Repairs may be killed and race in the first turns. A later one must succeed.
ROUGH_TURNS, TURNS = 2, 8
# Repeated reads of a repaired run, which meet the requests of a killed repair.
READS = 10


class Repairs:
    def __init__(self, program, directory, ports, bucket, share):
        self.program, self.directory, self.bucket, self.share = program, directory, bucket, share
        # The server through each port, as settings; and in files for --to-env.
        self.servers = {
            storm: {**of_program(os.environ), "RAW_SINK_ENDPOINT_URL": ports.storm if storm else ports.calm}
            for storm in (False, True)
        }
        self.files = {storm: self.write_file(storm) for storm in (False, True)}
        # Time of an undisturbed repair, by size.
        self.usual_s = {False: 0.1, True: 0.5}

    def write_file(self, storm):
        file = os.path.join(self.directory, f"server-{storm}.env")
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.writelines(f"{name}={shlex.quote(value)}\n" for name, value in self.servers[storm].items())
        return file

    async def carry_out(self, run, random):
        """Damages a share of the sealed runs and repairs each until one repair succeeds."""
        if not run.seen or random.random() >= self.share:
            return
        backup = os.path.join(self.directory, hashlib.sha256(run.path.encode()).hexdigest())
        command = ["copy", run.path, "--to-root", backup]
        code, _, errors = await self.run(command, self.servers[False])
        if code != 0:
            run.repairs.append({"outcome": "no copy", "exit": code, "error": errors})
            return
        run.damage = await asyncio.to_thread(self.damage, run, random)
        run.seen = [{SEAL: seen[SEAL]} for seen in run.seen]
        await self.read(run, random, "damaged", storm=False)
        await self.repair_beside_reader(run, random, backup)
        for _ in range(READS):
            if await self.read(run, random, "afterwards", storm=False) != 75:
                break
        shutil.rmtree(backup)

    def damage(self, run, random):
        """Changes or deletes the payload, and returns how."""
        key = f"{run.path}/{PAYLOAD}"
        payload, token = self.bucket.get(key)
        how = random.choice(["flip", "truncate", "append", "delete"] if payload else ["append", "delete"])
        if how == "delete":
            self.bucket.delete(key)
            return how
        at = random.randrange(len(payload)) if payload else 0
        damaged = {
            "flip": lambda: payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :],
            "truncate": lambda: payload[:at],
            "append": lambda: payload + b"{}\n",
        }[how]()
        self.bucket.put(key, damaged, token)
        return how

    async def repair_beside_reader(self, run, random, backup):
        repaired = asyncio.Event()
        reading = asyncio.create_task(self.read_until(run, random, repaired))
        for turn in range(TURNS):
            rough = turn < ROUGH_TURNS
            number = random.choice([1, 2, 2]) if rough else 1
            together = [self.repair(run, random, backup, rough) for _ in range(number)]
            if REPAIRED & set(await asyncio.gather(*together)):
                break
        repaired.set()
        await reading

    async def repair(self, run, random, backup, rough):
        """Repairs a run from its copy, and returns the outcome. A rough repair meets a faulty network or a signal."""
        storm, befalls = rough and random.random() < 0.6, None
        if rough and random.random() < 0.5:
            befalls = Signal(random.choice(["KILL", "KILL", "TERM"]), random.uniform(0, 1.2))
        command = ["copy", run.path, "--to-env", self.files[storm], "--repair", "--apply", "--json"]
        state = f"sqlite:{backup}.db"
        source = {"RAW_SINK": "filesystem", "RAW_SINK_ROOT": backup, "RAW_SINK_STATE_URL": state}
        start = time.monotonic()
        code, out, errors = await self.run(command, source, befalls, self.usual_s[run.large])
        took = time.monotonic() - start
        if not storm and befalls is None:
            self.usual_s[run.large] += (took - self.usual_s[run.large]) / 20
        told = {"outcome": outcome(code, out.decode(), errors), "exit": code, "storm": storm, "took_s": round(took, 3)}
        run.repairs.append(told | ({"error": errors} if code > 0 else {}))
        return told["outcome"]

    async def read_until(self, run, random, repaired):
        while not repaired.is_set():
            await self.read(run, random, "meanwhile", storm=random.random() < 0.3)

    async def read(self, run, random, role, storm):
        """Reads or verifies a run, notes what it got, and returns the exit code."""
        command = random.choice(["read", "read", "verify"])
        code, out, errors = await self.run([command, run.path], self.servers[storm])
        told = {"command": command, "role": role, "storm": storm, "exit": code}
        if code == 0 and command == "read":
            told["sha256"] = hashlib.sha256(out).hexdigest()
        run.reads.append(told | ({"error": errors} if code else {}))
        return code

    async def run(self, command, settings, befalls=None, usual_s=0.0):
        """Runs the program, possibly with a signal, and returns exit code, output and errors."""
        others = {name: value for name, value in os.environ.items() if name not in of_program(os.environ)}
        process = await asyncio.create_subprocess_exec(
            self.program,
            *command,
            env=others | settings,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        sending = asyncio.create_task(disturb(process, befalls, usual_s)) if befalls else None
        try:
            out, errors = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            return -1, b"", f"no end after {PATIENCE_S} s"
        finally:
            if sending:
                sending.cancel()
        return process.returncode, out, errors.decode()[-2000:]


def of_program(environment):
    return {name: value for name, value in environment.items() if name.startswith("RAW_SINK")}


def outcome(code, out, errors):
    """Returns a repair's result: that of the run, `killed`, `terminated` or the kind of its error."""
    if code in (-signal.SIGKILL, -signal.SIGTERM):
        return "killed"
    if code == 128 + signal.SIGTERM:
        return "terminated"
    if code == 0 and out.endswith("}\n"):
        return json.loads(out)["outcome"]
    kinds = [json.loads(line)["kind"] for line in errors.splitlines() if line.startswith('{"kind":')]
    return kinds[0] if kinds and code > 0 else "unexpected end"
