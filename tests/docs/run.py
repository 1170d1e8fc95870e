"""Runs the commands of the docs and compares their output with the pages: see page.py for the marks.

A command that fails must show it: the next command is `echo $?`. Values that differ from run to run are compared as placeholders
(see MASKS). A line `...` in a page stands for any number of lines.
"""

import argparse
import difflib
import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from page import Scene, Snippet, scenes, with_outputs

ROOT = Path(__file__).resolve().parents[2]
# A reader sees this in place of the temporary directory of a scene.
HOME = "/home/ada/landing"
# Times and dates of this day. Those in the commands are of 2024, or far in the future, and are compared.
DAY = r"20(?:2[5-9]|3\d)-\d\d-\d\d"
MASKS = [
    (re.compile(rf"{DAY}T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)"), "<time>"),
    (re.compile(DAY), "<day>"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "<hex>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<server>"),
    (re.compile(r"\brawsink \d+\.\d+\.\d+(?: \([^)]*\))?"), "<version>"),
    (re.compile(r"\[request [0-9A-F]+\]"), "[request <id>]"),
    # Its time of extraction has no trailing zeros.
    (re.compile(r"(metadata\.json +)\d+ bytes"), r"\1<size>"),
    (re.compile(r"^bash: line \d+: +\d+ Killed .*"), "Killed"),
]
RUN_LINE = re.compile(r"\S+/run_id=\S+\t")
SETUP = ROOT / "tests/docs/setup.sh"
SENTINEL = "\x1e"
TIMEOUT = 180
OBJECT_STORE = ("RAW_SINK_ENDPOINT_URL", "RAW_SINK_BUCKET", "RAW_SINK_ACCESS_KEY_ID", "RAW_SINK_SECRET_ACCESS_KEY")


def has_package() -> bool:
    """Returns whether the Python package and its extension can be imported."""
    return subprocess.run([sys.executable, "-c", "import rawsink"], capture_output=True, check=False).returncode == 0


# What a scene may need, and whether it is there.
NEEDS = {
    "bucket": lambda: all(os.environ.get(name) for name in OBJECT_STORE),
    "namespace": lambda: not os.environ.get("RAWSINK_TEST_NO_NAMESPACES"),
    "python": has_package,
    "strace": lambda: subprocess.run(["strace", "-V"], capture_output=True, check=False).returncode == 0,
}


def masked(line: str) -> str:
    for pattern, placeholder in MASKS:
        line = pattern.sub(placeholder, line)
    return line.rstrip()


def comparable(lines: list[str]) -> list[str]:
    """Returns lines with placeholders. Adjacent lines of runs are sorted: a command prints them as its jobs end."""
    groups = itertools.groupby(map(masked, lines), key=lambda line: bool(RUN_LINE.match(line)))
    return [line for is_of_runs, group in groups for line in (sorted(group) if is_of_runs else group)]


def is_shown(shown: list[str], actual: list[str]) -> bool:
    """Returns whether a page shows this output."""
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in comparable(shown))
    return re.fullmatch(pattern, "".join(line + "\n" for line in comparable(actual))) is not None


def environment(program: Path, scene: Scene) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAW_SINK")}
    if "bucket" in scene.needs:
        env |= {name: os.environ[name] for name in OBJECT_STORE}
    return env | {
        "PATH": f"{program.parent}:{env['PATH']}",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "NO_COLOR": "1",
    }


def outputs(program: Path, scene: Scene, home: str) -> list[tuple[int, list[str]]]:
    """Runs the commands of a scene in one shell and returns exit code and output of each that ran."""
    script = f"exec 2>&1\n. '{SETUP}'\n" + "".join(
        f"{snippet.command}\n__code=$?; printf '{SENTINEL}%d\\n' $__code; (exit $__code)\n" for snippet in scene.snippets
    )
    command = ["bash", "-c", script]
    if "namespace" in scene.needs:
        command = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--mount", *command]
    env = environment(program, scene) | {"HOME": home, "PWD": home}
    done = subprocess.run(
        command, cwd=home, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=TIMEOUT, check=False
    )
    parts = re.split(SENTINEL + r"(\d+)\n", done.stdout.decode().replace(home, HOME))
    return [(int(code), output.splitlines()) for output, code in zip(parts[0:-1:2], parts[1::2], strict=True)]


def faults(path: Path, scene: Scene, found: list[tuple[int, list[str]]]) -> Iterable[tuple[Snippet, list[str] | None, str]]:
    """Yields each command that differs from the page, its output if the page can show it, and the difference."""
    for at, snippet in enumerate(scene.snippets):
        place = f"{path.relative_to(ROOT)}:{snippet.line}: {snippet.command}"
        if at >= len(found):
            yield snippet, None, f"{place}\nthe shell ended before this command\n"
            return
        code, actual = found[at]
        if snippet.is_hidden:
            if code:
                yield snippet, None, f"{place}\nexit code {code}: " + "\n".join(actual) + "\n"
            continue
        if not is_shown(snippet.shown, actual):
            diff = difflib.unified_diff(
                comparable(snippet.shown), comparable(actual), "page", "run", lineterm=""
            )
            yield snippet, actual, place + "\n" + "\n".join(diff) + "\n"
        following = scene.snippets[at + 1 : at + 2]
        if code and not (following and following[0].command == "echo $?"):
            yield snippet, None, f"{place}\nexit code {code}, and the next command is not `echo $?`\n"


def check(path: Path, program: Path, *, update: bool) -> tuple[int, int, list[str]]:
    """Runs a page and returns the numbers of commands run and failed, and what was skipped."""
    ran, failed, skipped, updates = 0, 0, [], []
    for scene in scenes(path):
        if missing := [need for need in scene.needs if not NEEDS[need]()]:
            skipped.append(f"{path.relative_to(ROOT)}:{scene.line} needs {', '.join(missing)}")
            continue
        with tempfile.TemporaryDirectory(prefix="docs-test-") as home:
            found = outputs(program, scene, home)
        ran += sum(not snippet.is_hidden for snippet in scene.snippets[: len(found)])
        differs = False
        for _, actual, report in faults(path, scene, found):
            if update and actual is not None:
                differs = True
            else:
                failed += 1
                print(report)
        if differs:
            # All outputs, so that the times in a scene fit together.
            results = zip(scene.snippets, found, strict=False)
            updates += [(snippet, actual) for snippet, (_, actual) in results if not snippet.is_hidden]
    if updates:
        path.write_text(with_outputs(path, updates))
        print(f"docs-test: {path.relative_to(ROOT)}: {len(updates)} outputs updated")
    return ran, failed, skipped


def pages() -> list[Path]:
    """Returns the pages that have commands to run."""
    found = [ROOT / "README.md", *sorted(ROOT.joinpath("docs").rglob("*.md"))]
    return [path for path in found if "\n```console\n" in path.read_text()]


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the commands of the docs and compare their output with the pages.")
    parser.add_argument("--program", type=Path, required=True, help="the rawsink to run")
    parser.add_argument("--update", action="store_true", help="write the outputs into the pages")
    parser.add_argument("--strict", action="store_true", help="fail if a scene was skipped")
    parser.add_argument("pages", type=Path, nargs="*", help="the pages to run; without any all that have commands")
    arguments = parser.parse_args()
    ran, failed, skipped = 0, 0, []
    chosen = [path.resolve() for path in arguments.pages] or pages()
    for path in chosen:
        results = check(path, arguments.program.resolve(), update=arguments.update)
        ran, failed, skipped = ran + results[0], failed + results[1], skipped + results[2]
    for scene in skipped:
        print(f"docs-test: NOT RUN: {scene}")
    print(f"docs-test: {ran} commands of {len(chosen)} pages run, {failed} failed, {len(skipped)} scenes skipped")
    if failed or not ran or (skipped and arguments.strict):
        sys.exit(1)


if __name__ == "__main__":
    main()
