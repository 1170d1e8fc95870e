"""Runs the program according to the plans, and records each writer's result."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import time
from dataclasses import dataclass, field

import plans

# Time limit of a writer; a slower one hangs.
PATIENCE_S = 300
# Number of retries for an unsealed run.
SETTLING_TURNS = 5


@dataclass
class Run:
    """A run's record in the journal."""

    path: str
    kind: str
    large: bool
    writers: list = field(default_factory=list)
    # Listings of the run's objects, from the first one with a seal. A repair replaces the payload.
    seen: list = field(default_factory=list)
    # The damage, if the run was damaged; its repairs, and what readers got meanwhile.
    damage: str | None = None
    repairs: list = field(default_factory=list)
    reads: list = field(default_factory=list)


@dataclass
class Ports:
    """The server's URLs for writers: the proxy's two ports."""

    calm: str
    storm: str


class Writers:
    def __init__(self, program, directory, ports, look):
        self.program, self.directory, self.ports, self.look = program, directory, ports, look
        # Time of an undisturbed single writer, by size.
        self.usual_s = {False: 0.1, True: 1.0}

    async def carry_out(self, plan):
        """Executes a plan until its run is sealed, and returns the record."""
        run = Run(plan.path, plan.kind, plan.large)
        await asyncio.gather(*(self.attempt(run, attempt, "together") for attempt in plan.together))
        for attempt in plan.after:
            await self.attempt(run, attempt, "after")
        for turn in range(SETTLING_TURNS):
            if await self.sealed(run):
                break
            await self.attempt(run, plan.settling(turn), "settling")
        return run

    async def sealed(self, run):
        seen = await asyncio.to_thread(self.look, run.path)
        if "metadata.json" in seen:
            run.seen.append(seen)
        return "metadata.json" in seen

    async def attempt(self, run, attempt, role):
        rows = plans.rows_of(attempt)
        file = os.path.join(self.directory, attempt.writer)
        with open(file, "wb") as out:
            out.write(rows)
        await asyncio.sleep(attempt.start_s)
        told = {"writer": attempt.writer, "role": role, "storm": attempt.storm, "rows": attempt.rows}
        told |= {"bytes": len(rows), "sha256": hashlib.sha256(rows).hexdigest()}
        told |= await self.write(run, attempt, file)
        run.writers.append(told)
        os.unlink(file)
        if told["outcome"] == "sealed":
            await self.sealed(run)

    async def write(self, run, attempt, file):
        command = [self.program, "write", run.path, file, "--json", "--allow-empty"]
        command += ["--set", f"writer={attempt.writer}", "--set", "api_version=v1", "--set", "query_hash=0"]
        start = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *command,
            env=os.environ | self.settings(attempt),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        usual_s = self.usual_s[run.large]
        sending = asyncio.create_task(disturb(process, attempt.signal, usual_s)) if attempt.signal else None
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            return {"outcome": "hangs", "error": f"no end after {PATIENCE_S} s"}
        finally:
            if sending:
                sending.cancel()
        took = time.monotonic() - start
        if run.kind == "alone" and not attempt.storm:
            self.usual_s[run.large] += (took - self.usual_s[run.large]) / 20
        return outcome(process.returncode, stdout.decode(), stderr.decode()) | {"took_s": round(took, 3)}

    def settings(self, attempt):
        return {
            "RAW_SINK_ENDPOINT_URL": self.ports.storm if attempt.storm else self.ports.calm,
            "RAW_SINK_LEFTOVER": "refuse" if attempt.refuse_leftover else "replace",
            "RAW_SINK_COMPLETE_CONDITIONS": "enforced" if attempt.conditions_enforced else "ignored",
        }


async def disturb(process, befalls, usual_s):
    """Sends a signal to a process at its time."""
    # By its descriptor: the id of an ended process may be reused.
    descriptor = os.pidfd_open(process.pid)
    try:
        await asyncio.sleep(befalls.share * usual_s + befalls.seconds)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, getattr(signal, f"SIG{befalls.name}"))
            if befalls.name == "STOP":
                await asyncio.sleep(befalls.pause_s)
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGCONT)
        os.close(descriptor)


def outcome(code, stdout, stderr):
    """Returns a writer's result: `sealed`, the kind of its error, `killed`, or anything else."""
    told = {"exit": code}
    if code in (0, -signal.SIGKILL) and stdout.endswith("}\n"):
        # Killed after its result, it still got it.
        return told | {"outcome": "sealed", "token": json.loads(stdout)["writer"]}
    # With --json an error is one JSON object; notes and log lines are text.
    errors = [json.loads(line) for line in stderr.splitlines() if line.startswith('{"kind":')]
    kind, text = (errors[0]["kind"], errors[0]["message"]) if errors else (None, stderr[-2000:])
    if code in (-signal.SIGKILL, -signal.SIGTERM):
        return told | {"outcome": "killed"}
    if code == 128 + signal.SIGTERM and "nothing was sealed" in text:
        return told | {"outcome": "terminated"}
    return told | {"outcome": kind if kind and code > 0 else "unexpected end", "error": text}
