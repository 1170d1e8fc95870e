"""Runs ansible-playbook as an operator would, and looks for secrets in all that it shows.

Every play runs with `-vvv --diff` under strace, which notes the command line of every process: what a process list
could have shown at any moment.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import secrets
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ANSIBLE = HERE.parent
ROLE = ANSIBLE / "roles/rawsink"

# The programs under test; deploy/ansible/tests/run sets them.
PROGRAM = os.environ["RAWSINK_TEST_PROGRAM"]
MINIO = os.environ["RAWSINK_TEST_MINIO"]


def sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canary(name: str) -> str:
    """Returns a secret that occurs nowhere else; the name makes a leak easy to place."""
    return f"Canary{name}{secrets.token_hex(12)}"


@dataclasses.dataclass
class Secrets:
    """A set of secrets as an operator has them, by their names in the secrets' source."""

    values: dict[str, str]

    @classmethod
    def new(cls) -> Secrets:
        names = ["access_key_id", "secret_access_key", "session_token", "state_password"]
        return cls({name: canary(name.title().replace("_", "")) for name in names})

    def as_variables(self) -> dict[str, str]:
        return {f"rawsink_{name}": value for name, value in self.values.items()}


@dataclasses.dataclass
class Played:
    """What a play left to see."""

    exit_code: int
    output: str
    command_lines: str

    @property
    def changed(self) -> int:
        recap = re.search(r"^localhost\s.*changed=(\d+)", self.output, re.MULTILINE)
        assert recap, f"no recap in {self.output}"
        return int(recap[1])

    def succeeds(self) -> Played:
        assert self.exit_code == 0, self.output
        return self

    def is_refused(self, *messages: str) -> Played:
        assert self.exit_code == 2, self.output
        assert self.changed == 0, self.output
        for message in messages:
            assert message in self.output, f"no {message!r} in {self.output}"
        return self


def leaks(played: Played, values: list[str]) -> list[str]:
    """Returns where which secret was shown."""
    shown = {"output": played.output, "command line": played.command_lines}
    return [f"{value} in {where}" for where, text in shown.items() for value in values if value in text]


@dataclasses.dataclass
class Host:
    """This machine below a temporary root, its variables, and the controller's environment."""

    root: Path
    variables: dict[str, object]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    secrets: list[str] = dataclasses.field(default_factory=list)
    roles: Path = ANSIBLE / "roles"
    prefix: tuple[str, ...] = ()
    job_environment: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def environment_file(self) -> Path:
        return Path(str(self.variables["rawsink_environment_file"]))

    def controller(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "home"),
            "LANG": "C.UTF-8",
            "ANSIBLE_ROLES_PATH": str(self.roles),
            "ANSIBLE_REMOTE_TEMP": str(self.root / "home/remote"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            **self.environment,
        }

    def play(self, *options: str, playbook: Path = HERE / "site.yml", **variables: object) -> Played:
        """Plays, and fails where a secret is shown; whatever the outcome."""
        played = self.play_unchecked(*options, playbook=playbook, **variables)
        assert leaks(played, self.secrets) == []
        return played

    def play_unchecked(self, *options: str, playbook: Path = HERE / "site.yml", **variables: object) -> Played:
        given = self.root / "variables.json"
        given.write_text(json.dumps(self.variables | variables))
        given.chmod(0o600)
        trace = self.root / "execve"
        command = [
            *self.prefix,
            *(
                "strace",
                "--follow-forks",
                "--seccomp-bpf",
                "--quiet=all",
                "--trace=execve",
                "--string-limit=1000000",
            ),
            *("--output", str(trace), "ansible-playbook", "-vvv", "--diff"),
            *(
                "--inventory",
                str(HERE / "inventory.ini"),
                "--extra-vars",
                f"@{given}",
                *options,
                str(playbook),
            ),
        ]
        done = subprocess.run(
            command,
            env=self.controller(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        given.unlink()
        lines = trace.read_text()
        assert "AnsiballZ" in lines or done.returncode != 0, f"strace noted no module: {lines[:2000]}"
        return Played(done.returncode, done.stdout + done.stderr, lines)

    def rawsink(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs the installed program as the service user, with the rendered file and what a job brings along."""
        program = str(self.variables["rawsink_bin"])
        user = str(self.variables["rawsink_user"])
        switch = ["runuser", "--user", user, "--"] if os.geteuid() == 0 else []
        script = 'set -a; . "$1"; set +a; shift; exec "$@"'
        brought = [f"{name}={value}" for name, value in self.job_environment.items()]
        clean = ["env", "-i", "PATH=/usr/bin:/bin", *brought, "sh", "-c", script, "sh"]
        command = [*self.prefix, *switch, *clean, str(self.environment_file), program, *arguments]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **options)

    def settings(self) -> dict[str, dict[str, str]]:
        """Returns what `rawsink config` makes of the rendered file, by the variables' names."""
        shown = self.rawsink("config", "--json")
        assert shown.returncode == 0, shown.stderr
        assert "warning" not in shown.stderr
        assert not [value for value in self.secrets if value in shown.stdout + shown.stderr]
        return {setting["name"]: setting for setting in map(json.loads, shown.stdout.splitlines())}

    def files(self) -> dict[str, bytes]:
        """Returns what there is below the root, but for Ansible's own home."""
        home = self.root / "home"
        found = (path for path in self.root.rglob("*") if path.is_file() and home not in path.parents)
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}

    def files_with_secrets(self) -> list[str]:
        """Returns the files anywhere below the root that hold a secret."""
        needles = [value.encode() for value in self.secrets]
        found = (path for path in self.root.rglob("*") if path.is_file() and path.name != "execve")
        held = [path for path in found if any(needle in path.read_bytes() for needle in needles)]
        return sorted(str(path.relative_to(self.root)) for path in held)
