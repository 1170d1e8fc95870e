"""Tries the program on many S3 servers and writes docs/servers.md.

Each server is installed below target/servers and listens on loopback only. See CONTRIBUTING.md.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import recipes

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "target/servers"
PAGE = ROOT / "docs/servers.md"
HEAD = """# Servers

**Summary.** No server loses a sealed run unnoticed by `doctor`: the two that lost runs in races were called unsound in ten of ten examinations. MinIO,
versitygw and SeaweedFS keep every guarantee, also after `kill -9`.

`make servers` tries the program on these servers and writes this page. Each listens on loopback, with its default settings and empty data.

- **doctor**: ten examinations with the default settings. The same server has to get the same diagnosis each time. A fault is shown as it was first
  seen. Before them, the program writes a run of one row and an empty run to the new bucket. After them, doctor runs once with the setting that it
  advised each time.
- **parity**: the tests of `make parity` that need a server's bucket, and how many of them passed, with a grace of 7 s. Those that failed are named. A
  server that doctor calls sound may fail only those that it is known not to pass, each with its reason. After 12 minutes tests that hang are ended.
- **races**: 200 times two writers write one run, with a grace of 7 s, half of them with `RAW_SINK_LEFTOVER=refuse`, one in four with a payload of
  two parts. A run is *lost* if a writer got the result sealed, and the payload is not that writer's or the seal is missing. `boto3` reads both
  objects after all races, and again 5 seconds later, on SeaweedFS and Ceph after their garbage collection.
- **kill -9**: 20 sealed runs, the server killed and started again.
- **torture**: `tests/torture` for two minutes with a grace of 7 s, and the number of violations. Where listings show whole seconds, its check does
  not notice that the same bytes were put again.

| server | `Server` header | doctor | parity | races: sealed, lost | kill -9 | torture |
|---|---|---|---|---|---|---|
"""
# Names of failed parity tests on the page, for each server.
PARITY_SHOWN = 8
# Not noticed if a server's listings have times of whole seconds.
WHOLE_SECONDS = {"the_same_bytes_put_again"}


def slug(name):
    return name.lower().replace(" ", "-")


def examine(recipe, port, program, minutes):
    home = HOME / slug(recipe.name)
    home.mkdir(parents=True, exist_ok=True)
    try:
        recipe.install(home)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{recipe.name}: not installed: {error}"
    command = [sys.executable, str(Path(__file__).with_name("examine.py")), recipe.name, str(home), str(port), program, str(minutes)]
    if recipe.script:
        command = [str(ROOT / recipe.script), *command]
    if recipe.listens_everywhere:
        command = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return f"{recipe.name}: not examined, see {home}"
    (home / "found.json").write_text(done.stdout)
    return None


def tortured(torture):
    if torture is None:
        return "-"
    if torture["partitions"] is None:
        return f"exit {torture['exit']}: {' '.join(torture['said'])}"
    return f"{torture['partitions']} partitions, {torture['violations']} violations"


def parity(found):
    passed, failed = found["passed"], len(found["failed"])
    return f"{passed} of {passed + failed}" + ("" if found["ended"] else ", not ended")


def row(found):
    doctor, races = found["doctor"], found["races"]
    conclusions = ", ".join(f"{name} {times}x" for name, times in sorted(doctor["conclusions"].items()))
    kept = f"{races['sealed by one']} of {races['races']}, {len(races['lost'])} lost"
    cells = [f"{found['name']} {found['version']}", found["server"], conclusions, parity(found["parity"]), kept, found["restart"]]
    cells.append(tortured(found.get("torture")))
    return f"| {' | '.join(cells)} |\n"


def shortened(text):
    return text if len(text) <= 160 else f"{text[:157]}..."


def reason(recipe, test):
    """Returns why a server cannot pass a parity test, or nothing."""
    return next((why for start, why in recipe.fails.items() if test.startswith(start)), "")


def notes(recipe, found):
    """Returns the faults that doctor found, and the losses."""
    lines = [f"- {shortened(fault)} ({times}x)" for fault, times in sorted(found["doctor"]["faults"].items())]
    lines += [f"- doctor advises `{setting}` ({times}x)" for setting, times in sorted(found["doctor"]["sets"].items())]
    if heeded := found.get("heeded"):
        lines[-1] += f"; with it: {heeded['conclusion']}"
    lines += [f"- the new bucket refused {one}" for one in found.get("first writes", [])]
    failed = found["parity"]["failed"]
    for one in failed[:PARITY_SHOWN]:
        why = reason(recipe, one)
        lines.append(f"- parity test failed: `{one}`" + (f": {why}" if why else ""))
    if len(failed) > PARITY_SHOWN:
        lines.append(f"- {len(failed) - PARITY_SHOWN} more parity tests failed")
    lines += [f"- lost: {one}" for one in found["races"]["lost"][:3]]
    lines += [f"- **wrong**: {one}" for one in contradictions(recipe, found)]
    if found["unfit"]:
        lines.insert(0, f"Cannot store partitions: {found['unfit']}.\n")
    return f"\n## {found['name']}\n\n" + "\n".join(lines) + "\n" if lines else ""


def results(page):
    """Returns the row, the notes and the contradictions of each server; one without a result keeps what the page has."""
    for recipe in recipes.RECIPES:
        file = HOME / slug(recipe.name) / "found.json"
        if file.exists():
            found = json.loads(file.read_text())
            yield row(found), notes(recipe, found), [f"{recipe.name}: {one}" for one in contradictions(recipe, found)]
        else:
            rows = [line for line in page.splitlines(keepends=True) if line.startswith(f"| {recipe.name} ")]
            _, title, rest = page.partition(f"\n## {recipe.name}\n")
            yield "".join(rows), title + rest.partition("\n## ")[0].rstrip("\n") + "\n" * bool(title), []


def contradictions(recipe, found):
    """Returns what must not be, such as a sound server that lost a run, or diagnoses that differ."""
    conclusions, lost = found["doctor"]["conclusions"], found["races"]["lost"]
    wrong = []
    if found["doctor"].get("unexplained"):
        wrong.append(f"doctor names no fault {found['doctor']['unexplained']}x")
    if len(conclusions) > 1:
        wrong.append(f"doctor is not sure: {', '.join(f'{name} {times}x' for name, times in sorted(conclusions.items()))}")
    if "sound" in conclusions and lost:
        wrong.append(f"sound, and lost {len(lost)} runs")
    if "sound" in conclusions:
        wrong += [f"sound, and a parity test failed: {one}" for one in found["parity"]["failed"] if not reason(recipe, one)]
        if not found["parity"]["ended"]:
            wrong.append("sound, and the parity tests took too long")
    if "sound" in conclusions and found["unfit"]:
        wrong.append("sound, although it cannot store partitions")
    if "sound" in conclusions and found.get("first writes"):
        wrong.append(f"sound, and the new bucket refused {found['first writes'][0]}")
    heeded = found.get("heeded")
    if heeded and heeded["conclusion"] != "sound":
        wrong.append(f"{heeded['conclusion']} with the advised {heeded['set']}")
    torture = found.get("torture")
    if torture and (torture["violations"] != 0 or set(torture["blind"]) - WHOLE_SECONDS):
        wrong.append(f"torture: {tortured(torture)}; the check is blind to {torture['blind']}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="servers; all unless given")
    parser.add_argument("--program", default=str(ROOT / "target/release/rawsink"))
    parser.add_argument("--minutes", type=float, default=2.0, help="length of the torture [2]")
    parser.add_argument("--page", action="store_true", help="examine nothing, only write the page")
    parser.add_argument("--port", type=int, default=27070)
    args = parser.parse_args()
    wrong = []
    for recipe in recipes.RECIPES:
        if args.page or (args.names and recipe.name not in args.names):
            continue
        print(f"{recipe.name} ...", flush=True)
        failed = examine(recipe, args.port, args.program, args.minutes)
        if failed:
            wrong.append(failed)
    rows, sections, contradicted = zip(*results(PAGE.read_text()), strict=True)
    PAGE.write_text(HEAD + "".join(rows) + "".join(sections))
    wrong += [line for lines in contradicted for line in lines]
    print(f"wrote {PAGE.relative_to(ROOT)}: {sum(map(bool, rows))} servers")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
