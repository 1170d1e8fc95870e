"""Cuts the values of Singer messages out of their lines, byte for byte, without the library."""

from __future__ import annotations

import hashlib
import json
import json.decoder
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BLANKS = " \t\r\n"


def members(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names of an object with the exact text of their values."""
    decoder = json.JSONDecoder()

    def skip(at: int) -> int:
        while text[at] in BLANKS:
            at += 1
        return at

    at = skip(0)
    assert text[at] == "{", text[:60]
    at = skip(at + 1)
    while text[at] != "}":
        assert text[at] == '"', text[at : at + 60]
        name, at = json.decoder.scanstring(text, at + 1)
        at = skip(at)
        assert text[at] == ":", text[at : at + 60]
        start = skip(at + 1)
        _, end = decoder.raw_decode(text, start)
        yield name, text[start:end]
        at = skip(end)
        if text[at] == ",":
            at = skip(at + 1)


@dataclass
class Printed:
    """What a tap has printed."""

    rows: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    schemas: dict[str, object] = field(default_factory=dict)
    state: str | None = None


def printed(file: Path) -> Printed:
    """Return rows and SHA-256 of each stream: of its records, each with a line feed."""
    found = Printed()
    hashes = {}
    with file.open("rb") as lines:
        for line in lines:
            message = dict(members(line.decode()))
            kind = json.loads(message["type"])
            if kind == "STATE":
                found.state = message["value"]
                continue
            stream = json.loads(message["stream"])
            if kind == "SCHEMA":
                found.schemas[stream] = json.loads(message["schema"])
                hashes.setdefault(stream, hashlib.sha256())
                found.rows.setdefault(stream, 0)
            elif kind == "RECORD":
                hashes[stream].update(message["record"].encode() + b"\n")
                found.rows[stream] += 1
    found.digests = {stream: hash.hexdigest() for stream, hash in hashes.items()}
    return found
