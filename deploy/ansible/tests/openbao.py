"""A real OpenBao on loopback, with KV v2 at `secret`, as its development mode starts it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

READER = 'path "secret/data/rawsink/*" { capabilities = ["read"] }'


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclasses.dataclass
class OpenBao:
    """A running server and its root token."""

    address: str
    root_token: str

    @classmethod
    @contextlib.contextmanager
    def started(cls, home: Path) -> Iterator[OpenBao]:
        listen = f"127.0.0.1:{free_port()}"
        options = ["-dev", "-dev-root-token-id=root", "-dev-no-store-token", f"-dev-listen-address={listen}"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(["bao", "server", *options], env=environment, stdout=log, stderr=log)
        try:
            server = cls(f"http://{listen}", "root")
            server.wait(process, home / "log")
            yield server
        finally:
            process.terminate()
            process.wait(timeout=30)

    def wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        until = time.monotonic() + 60
        while True:
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            try:
                self.ask("GET", "sys/health")
                self.ask("GET", "sys/mounts/secret/tune")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.address}/v1/{path}", method=method)
        request.add_header("X-Vault-Token", self.root_token)
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=10) as answer:
            return json.loads(answer.read() or b"{}")

    def keep(self, name: str, document: dict[str, Any]) -> str:
        """Stores a document and returns its path below the mount."""
        self.ask("POST", f"secret/data/rawsink/{name}", {"data": document})
        return f"rawsink/{name}"

    def token(self) -> str:
        """Returns a token that may read what is kept and nothing else."""
        self.ask("POST", "sys/policies/acl/rawsink-read", {"policy": READER})
        return self.ask("POST", "auth/token/create", {"policies": ["rawsink-read"], "ttl": "1h"})["auth"][
            "client_token"
        ]

    def approle(self) -> tuple[str, str]:
        """Returns the two ids of a role with the same rights."""
        self.ask("POST", "sys/policies/acl/rawsink-read", {"policy": READER})
        if "approle/" not in self.ask("GET", "sys/auth")["data"]:
            self.ask("POST", "sys/auth/approle", {"type": "approle"})
        self.ask("POST", "auth/approle/role/rawsink", {"token_policies": ["rawsink-read"], "token_ttl": "10m"})
        role = self.ask("GET", "auth/approle/role/rawsink/role-id")["data"]["role_id"]
        return role, self.ask("POST", "auth/approle/role/rawsink/secret-id", {})["data"]["secret_id"]
