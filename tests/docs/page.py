"""A page of the docs: its commands with the output that it shows, grouped in scenes.

A `console` block holds commands (`$ command`, continued by `> `) and their output. Comments, which no reader sees, steer the test:

    <!-- docs-test: fresh -->             a scene starts: an empty directory and a new shell
    <!-- docs-test: fresh bucket -->      the same, for a scene that needs what is named here (see NEEDS in run.py)
    <!-- docs-test: file NAME -->         the next block is the content of this file
    <!-- docs-test: setup
    COMMANDS
    -->                                   commands that a reader does not see; each of them has to succeed
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

MARK = re.compile(r"<!-- docs-test: (\w+)((?: (?!-->)\S+)*)( -->)?$")


@dataclass
class Snippet:
    """One command, and the lines of the page that show its output."""

    line: int
    command: str
    shown: list[str] = field(default_factory=list)
    is_hidden: bool = False


@dataclass
class Scene:
    line: int
    needs: list[str]
    snippets: list[Snippet] = field(default_factory=list)


def scenes(path: Path) -> list[Scene]:
    """Returns the scenes of a page that have commands."""
    reader = _Reader(path)
    while reader.lines:
        reader.step()
    if reader.awaits_file:
        raise SystemExit(f"docs-test: {path}: no block follows the mark of the file {reader.awaits_file}")
    return [scene for scene in reader.found if any(not snippet.is_hidden for snippet in scene.snippets)]


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = list(enumerate(path.read_text().splitlines(), 1))
        self.found = [Scene(1, [])]
        self.awaits_file = ""

    def step(self) -> None:
        number, line = self.lines.pop(0)
        if mark := MARK.match(line):
            self._mark(number, mark)
        elif line.startswith("```"):
            block = self._until("```", number)
            if self.awaits_file:
                content = "\n".join(text for _, text in block)
                command = f"cat > '{self.awaits_file}' <<'docs-test'\n{content}\ndocs-test"
                self._add(Snippet(number, command, is_hidden=True))
                self.awaits_file = ""
            elif line == "```console":
                self._console(block)

    def _mark(self, number: int, mark: re.Match) -> None:
        match mark[1], mark[2].strip():
            case "fresh", needs:
                self.found.append(Scene(number, needs.split()))
            case "file", name if name:
                self.awaits_file = name
            case "setup", "" if not mark[3]:
                for line, command in self._until("-->", number):
                    self._add(Snippet(line, command, is_hidden=True))
            case _:
                raise SystemExit(f"docs-test: {self.path}:{number}: unknown mark: {mark[0]}")

    def _until(self, end: str, start: int) -> list[tuple[int, str]]:
        block = []
        while self.lines:
            number, line = self.lines.pop(0)
            if line == end:
                return block
            block.append((number, line))
        raise SystemExit(f"docs-test: {self.path}:{start}: no {end} ends this block")

    def _console(self, block: list[tuple[int, str]]) -> None:
        snippet = None
        for number, line in block:
            if line.startswith("$ "):
                snippet = Snippet(number, line[2:])
                self._add(snippet)
            elif snippet is None:
                raise SystemExit(f"docs-test: {self.path}:{number}: output without a command")
            elif line.startswith("> ") and not snippet.shown:
                snippet.command += "\n" + line[2:]
            else:
                snippet.shown.append(line)

    def _add(self, snippet: Snippet) -> None:
        self.found[-1].snippets.append(snippet)


def with_outputs(path: Path, outputs: list[tuple[Snippet, list[str]]]) -> str:
    """Returns the page with other outputs of these commands."""
    lines = path.read_text().splitlines()
    for snippet, output in sorted(outputs, key=lambda pair: -pair[0].line):
        start = snippet.line + snippet.command.count("\n")
        lines[start : start + len(snippet.shown)] = output
    return "\n".join(lines) + "\n"
