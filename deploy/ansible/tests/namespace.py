"""A mount namespace in which the whole system can be provisioned and nothing of it stays."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

# What the role writes to with its own defaults.
WRITTEN = ["/etc", "/usr/local", "/var/lib"]
MOUNTS = """
set -e
mount -t tmpfs none "$1"
shift
for place in "$@"; do
    layers=$scratch$place
    mkdir -p "$layers/upper" "$layers/work"
    mount -t overlay none -o "lowerdir=$place,upperdir=$layers/upper,workdir=$layers/work" "$place"
done
echo ready
exec sleep infinity
"""


@contextlib.contextmanager
def namespace(scratch: Path) -> Iterator[tuple[str, ...]]:
    """Gives the words that run a command inside; `scratch` is an empty directory."""
    command = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        MOUNTS,
        "sh",
        str(scratch),
        *WRITTEN,
    ]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "scratch": str(scratch)}
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "ready\n", "this test needs root, mount namespaces and overlay mounts"
        yield ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--")
    finally:
        holder.kill()
        holder.wait()
