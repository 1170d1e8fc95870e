"""Stands in for systemd, which a test must not start: one unit, run as the unit's file says.

`systemctl` in the namespace is a few lines that pass their arguments on to here. What a unit's file says beyond user,
environment and command is left to `systemd-analyze verify`.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

SYSTEMCTL = """#!/usr/bin/env python3
import json, socket, sys
with socket.socket(socket.AF_UNIX) as manager:
    manager.connect({socket!r})
    manager.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
    code, out = json.loads(manager.makefile().readline())
print(out)
sys.exit(code)
"""


class ServiceManager:
    """Knows one unit; answers what Ansible's systemd_service asks."""

    def __init__(self, scratch: Path, unit_file: str, prefix: tuple[str, ...]) -> None:
        self.scratch = scratch
        self.unit_file = unit_file
        self.prefix = prefix
        self.requests: list[str] = []
        self.enabled = False
        self.process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def listening(self) -> Iterator[ServiceManager]:
        """Installs `systemctl` in the namespace and answers it."""
        manager = self
        path = self.scratch / "systemd"

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                answer = manager.answer(json.loads(self.rfile.readline()))
                self.wfile.write(json.dumps(answer).encode() + b"\n")

        install = ["sh", "-c", "cat > /usr/local/bin/systemctl; chmod 755 /usr/local/bin/systemctl"]
        subprocess.run([*self.prefix, *install], input=SYSTEMCTL.format(socket=str(path)), text=True, check=True)
        with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield self
            finally:
                server.shutdown()
                self.stop()

    def answer(self, arguments: list[str]) -> tuple[int, str]:
        verb = arguments[0]
        if verb == "show" and not self.has_unit():
            return 0, f"Id={arguments[1]}\nLoadState=not-found\nActiveState=inactive\nSubState=dead"
        if verb == "show":
            active = "active" if self.process and self.process.poll() is None else "inactive"
            return 0, f"Id={arguments[1]}\nLoadState=loaded\nActiveState={active}\nSubState=running"
        if verb == "is-enabled":
            return (0, "enabled") if self.enabled else (1, "disabled")
        self.requests.append(verb)
        if verb == "enable":
            self.enabled = True
        elif verb in ("start", "restart"):
            self.stop()
            self.start()
        elif verb != "daemon-reload":
            return 1, f"{verb} is not known to this stand-in"
        return 0, ""

    def has_unit(self) -> bool:
        return subprocess.run([*self.prefix, "test", "-f", self.unit_file], check=False).returncode == 0

    def read(self, path: str) -> str:
        return subprocess.run([*self.prefix, "cat", path], capture_output=True, text=True, check=True).stdout

    def start(self) -> None:
        """Starts the command as the user and with the environment that the unit names, and waits for READY=1."""
        unit = dict(re.findall(r"^(\w+)=(.+)$", self.read(self.unit_file), re.MULTILINE))
        lines = self.read(unit["EnvironmentFile"]).splitlines()
        environment = dict(shlex.split(line)[0].split("=", 1) for line in lines if not line.startswith("#"))
        environment["PATH"] = "/usr/bin:/bin"
        identity = [f"--reuid={unit['User']}", f"--regid={unit['Group']}", "--init-groups"]
        limits = ["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
        with contextlib.closing(Notifications(self.scratch / "notify")) as notifications:
            environment["NOTIFY_SOCKET"] = str(notifications.path)
            self.process = subprocess.Popen(
                [*self.prefix, "setpriv", *identity, *limits, *shlex.split(unit["ExecStart"])],
                env=environment,
                umask=int(unit["UMask"], 8),
                stdout=(self.scratch / "service.log").open("ab"),
                stderr=subprocess.STDOUT,
            )
            if unit["Type"] == "notify":
                notifications.wait_until_ready(self.process, self.scratch / "service.log")

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=30)


class Notifications:
    """The socket to which a service of type `notify` says that it is ready."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o777)
        self.socket.settimeout(1)

    def close(self) -> None:
        self.socket.close()

    def wait_until_ready(self, process: subprocess.Popen[bytes], log: Path) -> None:
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in self.socket.recv(4096):
                    return
        raise AssertionError(f"the service did not say that it is ready: {log.read_text()}")
