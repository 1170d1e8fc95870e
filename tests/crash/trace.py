"""Reads the system calls of a process from strace, as operations on files and directories below a root."""

import os
import pathlib
import re
import subprocess
from dataclasses import dataclass

CALLS = [
    "open", "openat", "openat2", "creat", "mkdir", "mkdirat", "rmdir", "link", "linkat", "unlink", "unlinkat",
    "rename", "renameat", "renameat2", "write", "writev", "pwrite64", "pwritev", "ftruncate", "truncate", "fallocate",
    "copy_file_range", "sendfile", "splice", "symlink", "symlinkat", "fsync", "fdatasync", "syncfs", "sync",
    "sync_file_range", "fchmod", "mmap",
]  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One finished system call: its name, the descriptors' paths and texts of its arguments, and its result."""

    name: str
    arguments: str
    result: int


def record(command, feed, environment, log):
    """Runs a command under strace, and returns its finished calls in the order of their ends."""
    strace = ["strace", "-f", "-qq", "-y", "-s", "1048576", "-xx", "-e", "signal=none"]
    strace += ["-e", "trace=" + ",".join(f"?{name}" for name in CALLS), "-o", log, "--", *command]
    ended = subprocess.run(strace, env=environment, input=feed, capture_output=True, check=False)
    if ended.returncode != 0:
        raise ValueError(f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr.decode()}")
    return list(calls(pathlib.Path(log).read_text(encoding="ascii").splitlines()))


def calls(lines):
    """Joins the calls that strace shows in two parts, because another thread made one meanwhile."""
    begun = {}
    for line in lines:
        thread, _, rest = line.partition(" ")
        rest = rest.strip()
        # A thread that ended before strace could see which call it made.
        if rest.startswith("???("):
            continue
        if rest.endswith("<unfinished ...>"):
            begun[thread] = rest.removesuffix("<unfinished ...>").rstrip()
            continue
        resumed = re.match(r"<\.\.\. (\w+) resumed>(.*)", rest)
        if resumed:
            rest = begun.pop(thread) + resumed[2]
        found = re.match(r"(\w+)\((.*)\)\s+= (-?\d+|\?)", rest)
        if found is None:
            raise ValueError(f"strace wrote a line that is not understood: {line[:200]}")
        if found[3] != "?":
            yield Call(found[1], found[2], int(found[3]))


def text(quoted):
    """Returns the bytes of a string of strace, which `-xx` shows in hexadecimal."""
    return bytes.fromhex(quoted.replace("\\x", ""))


class Arguments:
    """The arguments of a call: paths of descriptors, and strings."""

    DESCRIPTOR = re.compile(r"^(\d+|AT_FDCWD)<([^>]*)>")
    STRING = re.compile(r'^"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')

    def __init__(self, call):
        self.rest = call.arguments

    def skip(self):
        self.rest = self.rest.lstrip(", ")

    def descriptor(self):
        """Takes a descriptor and returns its path."""
        self.skip()
        found = self.DESCRIPTOR.match(self.rest)
        if found is None:
            raise ValueError(f"a descriptor without a path: {self.rest[:200]}")
        self.rest = self.rest[found.end() :]
        path = found[2]
        return text(path).decode() if path.startswith("\\x") else path

    def string(self):
        """Takes a string."""
        self.skip()
        found = self.STRING.match(self.rest)
        if found is None or found[2]:
            raise ValueError(f"a string that is not complete: {self.rest[:200]}")
        self.rest = self.rest[found.end() :]
        return text(found[1])

    def path(self):
        """Takes a descriptor and a string, and returns the path that they name."""
        directory = self.descriptor()
        return os.path.normpath(os.path.join(directory, self.string().decode()))

    def plain(self):
        """Takes a path that is relative to the working directory."""
        return os.path.abspath(self.string().decode())

    def strings(self):
        """Takes all strings that are left."""
        return [text(part) for part in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', self.rest)]
