"""A disk that loses what was not synced: every tree that POSIX allows after a power failure.

POSIX promises only this: `fsync` of a file keeps its bytes, `fsync` of a directory keeps its entries, and `syncfs` keeps everything.
Whatever was not synced may be there, or not, in any combination and any order. Journals of ext4, XFS and btrfs allow a part of these
states only: they keep changes of names in order, or together.
"""

import itertools
import os
from dataclasses import dataclass, field

from trace import Arguments

# More changes at once would be more states than a run can try.
MOST_VOLATILE = 16
WHOLE, HALF, LOST = "whole", "half", "lost"


@dataclass(frozen=True)
class Entry:
    """A name in a directory gets a node, or `None`."""

    directory: int
    name: str
    node: int | None


@dataclass(frozen=True)
class Rename:
    """Two names change at once."""

    old: Entry
    new: Entry


@dataclass(frozen=True)
class Data:
    """Bytes are appended to a file."""

    node: int
    offset: int
    data: bytes


@dataclass
class Disk:
    """The changes and syncs of a process, in order."""

    root: str
    only: str  # the one name in the root that changes
    nodes: list = field(default_factory=list)  # a dictionary of entries, or the bytes of a file, as the process sees them
    start: list = field(default_factory=list)  # the same before the first change
    events: list = field(default_factory=list)

    def __post_init__(self):
        node = self.add({})
        if os.path.isdir(os.path.join(self.root, self.only)):
            self.nodes[node][self.only] = self.load(os.path.join(self.root, self.only))
        self.start = [dict(node) if isinstance(node, dict) else bytes(node) for node in self.nodes]

    def load(self, path):
        """Adds what exists before the process starts, and returns its node."""
        if os.path.isdir(path):
            node = self.add({})
            for name in sorted(os.listdir(path)):
                self.nodes[node][name] = self.load(os.path.join(path, name))
            return node
        with open(path, "rb") as file:
            return self.add(bytearray(file.read()))

    def add(self, content):
        self.nodes.append(content)
        return len(self.nodes) - 1

    def find(self, path):
        """Returns the node at a path; `None` outside the root, or if there is none."""
        if path != self.root and not path.startswith(self.root + "/"):
            return None
        node = 0
        for name in path[len(self.root) :].split("/"):
            if name:
                if not isinstance(self.nodes[node], dict) or name not in self.nodes[node]:
                    return None
                node = self.nodes[node][name]
        return node

    def place(self, path):
        """Returns the directory's node and the name of a path below the root; `None` for other paths."""
        directory = self.find(os.path.dirname(path))
        return None if path == self.root or directory is None else (directory, os.path.basename(path))

    def set(self, path, node):
        found = self.place(path)
        if found is None:
            raise ValueError(f"a change outside the root: {path}")
        directory, name = found
        if node is None:
            del self.nodes[directory][name]
        else:
            self.nodes[directory][name] = node
        return Entry(directory, name, node)

    def is_ours(self, path):
        return (path + "/").startswith(f"{self.root}/{self.only}/")

    def apply(self, call):
        """Follows one call."""
        handler = getattr(self, "on_" + call.name, None)
        if handler is None:
            raise ValueError(f"the disk does not know the call {call.name}({call.arguments[:200]})")
        if call.result >= 0:
            handler(Arguments(call), call)

    # One method for each call that changes files or syncs them.

    def on_openat(self, arguments, call):
        path = arguments.path()
        if self.is_ours(path) and "O_CREAT" in call.arguments and self.find(path) is None:
            self.events.append(self.set(path, self.add(bytearray())))
        elif self.is_ours(path) and "O_TRUNC" in call.arguments:
            raise ValueError(f"a file is truncated: {path}")

    on_openat2 = on_openat

    def on_open(self, arguments, call):
        path = arguments.plain()
        if self.is_ours(path) and "O_CREAT" in call.arguments:
            raise ValueError(f"a file is created by its path: {path}")

    def on_mkdirat(self, arguments, _call):
        path = arguments.path()
        if self.is_ours(path):
            self.events.append(self.set(path, self.add({})))

    def on_mkdir(self, arguments, _call):
        path = arguments.plain()
        if self.is_ours(path):
            self.events.append(self.set(path, self.add({})))

    def on_unlinkat(self, arguments, _call):
        path = arguments.path()
        if self.is_ours(path):
            self.events.append(self.set(path, None))

    def on_linkat(self, arguments, _call):
        old, new = arguments.path(), arguments.path()
        if self.is_ours(new):
            self.events.append(self.set(new, self.find(old)))

    def on_renameat(self, arguments, _call):
        old, new = arguments.path(), arguments.path()
        if self.is_ours(new):
            node = self.find(old)
            self.events.append(Rename(self.set(old, None), self.set(new, node)))

    on_renameat2 = on_renameat

    def on_write(self, arguments, call):
        path = arguments.descriptor()
        node = self.find(path)
        if node is None:
            return
        data = b"".join(arguments.strings())[: call.result]
        self.events.append(Data(node, len(self.nodes[node]), data))
        self.nodes[node] += data

    on_writev = on_write

    def on_fsync(self, arguments, _call):
        path = arguments.descriptor().removesuffix(" (deleted)")
        node = self.find(path)
        if node is not None:
            self.events.append(("fsync", node, path))

    on_fdatasync = on_fsync

    def on_syncfs(self, arguments, _call):
        self.events.append(("syncfs", None, arguments.descriptor()))

    def on_fchmod(self, _arguments, _call):
        pass

    def on_mmap(self, arguments, call):
        if "MAP_SHARED" in call.arguments and "PROT_WRITE" in call.arguments and self.root in call.arguments:
            raise ValueError(f"a file below the root is mapped: {arguments.rest[:200]}")

    # The states.

    def syncs(self):
        """Returns the positions of all syncs."""
        return [at for at, event in enumerate(self.events) if isinstance(event, tuple)]

    def states(self, without=None, volatile_start=False):
        """Yields every different tree after a power failure, and whether the process had ended. `without` is the position of a sync
        that does not happen. With `volatile_start`, nothing that existed at the start was synced either."""
        start, before = self.beginning(volatile_start)
        events = before + [event for at, event in enumerate(self.events) if at != without]
        seen, durable, changes = set(), set(), []
        # Without a sync in between, a later moment has the states of the earlier ones too.
        ends = [at for at in range(len(before), len(events)) if isinstance(events[at], tuple)] + [len(events)]
        for end in ends:
            changes, durable = self.follow(events[:end])
            ended = end == len(events)
            volatile = [at for at in range(len(changes)) if at not in durable]
            if len(volatile) > MOST_VOLATILE:
                raise ValueError(f"{len(volatile)} changes without a sync are too many to try")
            fates = [(WHOLE, HALF, LOST) if isinstance(changes[at], Data) else (WHOLE, LOST) for at in volatile]
            for fate in itertools.product(*fates):
                kept = dict.fromkeys(durable, WHOLE) | dict(zip(volatile, fate, strict=True))
                tree = self.tree(start, [(changes[at], kept[at]) for at in range(len(changes))])
                key = (ended, tuple(sorted(tree.items(), key=lambda item: item[0])))
                if key not in seen:
                    seen.add(key)
                    yield tree, ended

    def beginning(self, volatile):
        """Returns the nodes at the start, and the changes that made them if those may be lost."""
        if not volatile:
            return self.start, []
        changes = []
        for node, content in enumerate(self.start):
            if isinstance(content, dict):
                changes += [Entry(node, name, below) for name, below in content.items()]
            elif content:
                changes.append(Data(node, 0, bytes(content)))
        return [{} if isinstance(content, dict) else b"" for content in self.start], changes

    @staticmethod
    def follow(events):
        """Returns the changes, and the positions of those that syncs keep."""
        changes, durable = [], set()
        for event in events:
            if not isinstance(event, tuple):
                changes.append(event)
                continue
            _, node, _ = event
            for at, change in enumerate(changes):
                if node is None or node in nodes_of(change):
                    durable.add(at)
        return changes, durable

    def tree(self, start, changes):
        """Returns the paths of directories (`None`) and files (their bytes) after some changes."""
        nodes = [{} if isinstance(node, dict) else b"" for node in self.nodes]
        nodes[: len(start)] = [dict(node) if isinstance(node, dict) else node for node in start]
        for change, fate in changes:
            if fate == LOST:
                continue
            if isinstance(change, Data):
                data = change.data if fate == WHOLE else change.data[: len(change.data) // 2]
                there = nodes[change.node].ljust(change.offset, b"\0")
                nodes[change.node] = there[: change.offset] + data + there[change.offset + len(data) :]
                continue
            for entry in [change.old, change.new] if isinstance(change, Rename) else [change]:
                if entry.node is None:
                    nodes[entry.directory].pop(entry.name, None)
                else:
                    nodes[entry.directory][entry.name] = entry.node
        return dict(walk(nodes, 0, ""))


def walk(nodes, node, path):
    """Yields the paths below a directory."""
    for name, below in nodes[node].items():
        here = f"{path}/{name}".lstrip("/")
        if isinstance(nodes[below], dict):
            yield here, None
            yield from walk(nodes, below, here)
        else:
            yield here, nodes[below]


def nodes_of(change):
    """Returns the nodes whose sync keeps a change."""
    if isinstance(change, Data):
        return {change.node}
    if isinstance(change, Rename):
        return {change.old.directory, change.new.directory}
    return {change.directory}
