"""What is checked, each in both directions: `pair.first` leaves data or a state, and `pair.second` continues with it.

A scenario yields the name of each check after it held, and raises Different where the two programs do not fit together.
"""

import concurrent.futures
import hashlib
import json
import time

from compare import Different, expect
from places import PAYLOAD, SEAL, Directory, env_file
from programs import until

ADS = "google_ads/customer_id=123/query_name=campaign"
DAY = f"{ADS}/logical_date=2024-06-%02d"
ODD = "shop data/customer_id=Zoë & it's/query_name=100% a+b,c;d/logical_date=2024-02-29"
FIRST, SECOND, THIRD = (f"2024-07-0{day}T00:00:00.000Z" for day in (1, 2, 3))
ROWS = b'{"n":1}\n{"n":2}\n'
EXTRA = (
    '{"zeta": {"big": 123456789012345678901234567890, "ratio": 1.10},'
    ' "note": "caf\\u00e9 \\ud83d\\ude00", "nothing": null}'
)


def run(partition, run_id=FIRST):
    return f"{partition}/run_id={run_id}"


def large(landing, name):
    """Rows of which a part or a piece of a staging file is stored before they have ended."""
    row = b'{"name":"%s","pad":"%s"}\n' % (name.encode(), b"0" * 980)
    return row * (landing.place.large_bytes // len(row) + 200)


def land(landing, program, path, rows=ROWS, *options):
    landing.run(program, "write", path, *options, rows=rows)
    return rows


def unsealed(landing, program, path, rows=ROWS):
    """Leaves what a writer leaves that ends between payload and seal."""
    land(landing, program, path, rows)
    landing.place.delete(f"{path}/{SEAL}")


def validate_all(landing, program, *options, exits=0):
    """Returns what became of each run that waited for a verdict."""
    judged = landing.run(program, "validate", "--all", "--json", *options, exits=exits).json()
    return {line["path"]: line["passed"] for line in judged}


def known_by_message_alone(pair, program, judged):
    """Returns the failures among verdicts of the other program that this one judges once more.

    The new program has a log of verdicts, in which those of the old one are missing.
    """
    return {path: passed for path, passed in judged.items() if not passed} if program is pair.new else {}


def state(pair, landing):
    return pair.same(landing, "state", "list", "--json")


def landed_runs_are_read(pair, landing):
    first, metadata = pair.first, landing.place.work / "extra.json"
    metadata.write_text(EXTRA)
    landed = {
        run(DAY % 1): land(landing, first, run(DAY % 1), ROWS, "--metadata", str(metadata), "--set", "pages:=3"),
        run(DAY % 2): land(landing, first, run(DAY % 2), b'{"crlf":1.10}\r\n {"twice":1,"twice":"\\ud83d"}\r\n'),
        run(DAY % 3): land(landing, first, run(DAY % 3), b"", "--allow-empty"),
        run(ODD, "run 1+é %41"): land(landing, first, run(ODD, "run 1+é %41"), ROWS, "--expect-records", "2"),
        run(DAY % 4): land(landing, first, run(DAY % 4), large(landing, first.name)),
        run(DAY % 5, "by a command"): b'{"from":"command"}\n',
        run(DAY % 6): b'{"no line feed":true}\n',
    }
    landing.run(first, "write", run(DAY % 5, "by a command"), "--", "echo", '{"from":"command"}')
    landing.run(first, "write", run(DAY % 6), rows=b'{"no line feed":true}')
    for place in ("", "google_ads", ADS.rpartition("/")[0], ADS, DAY % 1):
        pair.same(landing, "list", *filter(None, [place]), "--json")
    listed = pair.same(landing, "list", "--runs", "--json")
    expect(sorted(line["path"] for line in listed), sorted(landed), "the runs that are listed")
    yield "both list the same places and runs"
    for path, rows in landed.items():
        shown, verified = pair.same(landing, "show", path, "--json"), pair.same(landing, "verify", path, "--json")
        expect((shown[0]["sealed"], verified[0]["covered"]), (True, "seal"), path)
        pair.same_bytes(landing, rows, "read", path)
        pair.same_bytes(landing, rows, "read", path.rpartition("/")[0], "--latest")
    yield "both show, verify and read each run; the payload is what was written"
    before = landing.place.tree()
    document = before[f"{run(DAY % 1)}/{SEAL}"].decode()
    for text in ('"big":123456789012345678901234567890', '"ratio":1.10', '"caf\\u00e9 \\ud83d\\ude00"', '"pages":3'):
        expect(text in document.replace(": ", ":"), True, f"{text} in {document}")
    yield "metadata keeps every digit and escape"
    for path in landed:
        landing.run(pair.second, "write", path, rows=ROWS, exits=3)
    expect(landing.place.tree(), before, "the storage after refused writes")
    yield "a sealed run is refused, and nothing changes"


def damage_is_reported(pair, landing):
    first, place = pair.first, landing.place
    for day in (1, 2, 3):
        land(landing, first, run(DAY % day))
    place.put(f"{run(DAY % 1)}/{PAYLOAD}", ROWS.replace(b"2", b"3"))
    place.put(f"{run(DAY % 2)}/{PAYLOAD}", ROWS[:8])
    place.delete(f"{run(DAY % 3)}/{PAYLOAD}")
    for day, document in ((4, {"record_count": 3}), (5, {"record_count": 2, "_seal": {"format": 99}}), (6, {})):
        place.put(f"{run(DAY % day)}/{PAYLOAD}", ROWS)
        place.put(f"{run(DAY % day)}/{SEAL}", json.dumps(document).encode())
    for day, shown, verified in ((1, 0, 5), (2, 5, 5), (3, 5, 5), (4, 0, 5), (5, 4, 4), (6, 0, 0)):
        pair.same(landing, "show", run(DAY % day), "--json", exits=shown)
        pair.same(landing, "verify", run(DAY % day), "--json", exits=verified)
        for program in (pair.old, pair.new):
            landing.run(program, "read", run(DAY % day), exits=verified)
    yield "both report the same damage, and read runs of other software"
    judged = validate_all(landing, first, exits=4)
    expected = {run(DAY % day): day == 6 for day in (1, 2, 3, 4, 6)}
    expect(judged, expected, "verdicts")
    again = known_by_message_alone(pair, pair.second, expected)
    expect(validate_all(landing, pair.second, exits=4), again, "runs that are judged again")
    expect(validate_all(landing, pair.second, exits=4), {}, "runs that are judged a third time")
    state(pair, landing)
    yield "what one judged the other does not judge again, except once a failure that only its message tells"


def verdicts_give_authority(pair, landing):
    first, second = pair.first, pair.second
    for path in (DAY % 1, DAY % 2, ODD):
        land(landing, first, run(path))
    expect(set(validate_all(landing, second).values()), {True}, "verdicts")
    expect(validate_all(landing, first), {}, "runs that are judged again")
    expect([line["attempt_count"] for line in state(pair, landing)], ["1"] * 3, "attempts")
    yield "one lands, the other validates, and both list the same state"
    for path in (DAY % 1, DAY % 2, ODD):
        pair.same(landing, "state", "show", path, "--json")
        pair.same_bytes(landing, ROWS, "read", path, "--current")
    pair.same(landing, "manifest")
    yield "both read what has authority, and the manifest is the same"
    newer = land(landing, second, run(DAY % 1, SECOND), b'{"newer":1}\n')
    expect(validate_all(landing, first), {run(DAY % 1, SECOND): True}, "verdicts on the newer run")
    pair.same_bytes(landing, newer, "read", DAY % 1, "--current")
    pair.same_bytes(landing, ROWS, "read", run(DAY % 1))
    landing.run(second, "validate", run(DAY % 1))
    pair.same_bytes(landing, newer, "read", DAY % 1, "--current")
    yield "a newer run supersedes, an older one does not"
    landing.place.put(f"{run(DAY % 2, SECOND)}/{PAYLOAD}", b"{}\n[]\n")
    landing.place.put(f"{run(DAY % 2, SECOND)}/{SEAL}", b"{}")
    bad = {run(DAY % 2, SECOND): False}
    expect(validate_all(landing, first, exits=1), bad, "verdicts on bad rows")
    again = known_by_message_alone(pair, second, bad)
    expect(validate_all(landing, second, exits=int(bool(again))), again, "failures that are judged again")
    expect(validate_all(landing, second), {}, "failures that are judged a third time")
    pair.same_bytes(landing, ROWS, "read", DAY % 2, "--current")
    yield "a failure that one recorded the other knows by its run"


def unsealed_runs_are_written_again(pair, landing):
    unsealed(landing, pair.first, run(DAY % 1), b'{"left":1}\n')
    unsealed(landing, pair.first, run(DAY % 2), large(landing, "left"))
    for path in (run(DAY % 1), run(DAY % 2)):
        expect(pair.same(landing, "show", path, "--json")[0]["sealed"], False, "sealed")
        pair.same(landing, "read", path, exits=3)
        pair.same(landing, "validate", path, "--json", exits=3)
    pair.same(landing, "list", "--runs", "--json")
    yield "both list a payload without a seal, and do not read it"
    careful = landing.with_variables(RAW_SINK_LEFTOVER="refuse")
    careful.run(pair.second, "write", run(DAY % 1), rows=ROWS, exits=3)
    yield "a writer that may not replace it refuses"
    rows = {run(DAY % 1): ROWS, run(DAY % 2): large(landing, "again")}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda path: land(landing, pair.second, path, rows[path]), rows))
    for path, written in rows.items():
        pair.same(landing, "verify", path, "--json")
        pair.same_bytes(landing, written, "read", path)
    expect(set(landing.place.tree()), {f"{path}/{name}" for path in rows for name in (PAYLOAD, SEAL)}, "what is stored")
    yield "the other program writes the run again and seals it"


def interrupted_writers_are_continued_or_cleaned(pair, landing):
    place = landing.place
    for path in (run(DAY % 1), run(DAY % 2)):
        writer = landing.start(pair.first, "write", path)
        writer.feed(large(landing, "killed"))
        until("the writer has stored something", lambda path=path: place.has_begun(path))
        writer.kill()
    unsealed(landing, pair.first, run(DAY % 3))
    written = land(landing, pair.second, run(DAY % 1), large(landing, "again"))
    pair.same_bytes(landing, written, "read", run(DAY % 1))
    expect(len(place.leftovers(run(DAY % 1))), 2, "what is stored of the run")
    yield "the other program writes the run of a killed writer again"
    expect(pair.same(landing, "clean", "--json"), [], "what is cleaned within a day")
    with place.cleanable() as (variables, options):
        older = landing.with_variables(**variables)
        planned = pair.same(older, "clean", *options, "--json", varying=["age_s"], in_order=False)
        found = sorted((line["path"], line["outcome"]) for line in planned)
        expect(found, [(run(DAY % 2), "planned"), (run(DAY % 3), "planned")], "the plan")
        yield "both plan to clean the same leftovers"
        cleaned = older.run(pair.second, "clean", *options, "--apply", "--json").json()
        removed = sorted((line["path"], line["outcome"]) for line in cleaned)
        expect(removed, [(path, "removed") for path, _ in found], "what is cleaned")
        expect(pair.same(older, "clean", *options, "--json"), [], "what is left to clean")
    expect([place.leftovers(run(DAY % day)) for day in (2, 3)], [[], []], "what is stored after it")
    pair.same(landing, "verify", run(DAY % 1), "--json")
    yield "one cleans what the other left, and nothing else"


def living_writers_are_respected(pair, landing):
    path = run(DAY % 1)
    writer = landing.start(pair.first, "write", path)
    rows = large(landing, "first")
    writer.feed(rows)
    until("the writer has stored something", lambda: landing.place.has_begun(path))
    if landing.place.kind == "directory":
        landing.run(pair.second, "write", path, rows=ROWS, exits=3)
        cleaned = landing.run(pair.second, "clean", "--older-than", "0s", "--apply", "--json").json()
        expect([line["outcome"] for line in cleaned], ["in use"], "what is cleaned")
        writer.end()
        yield "the lock of one keeps the other from writing and cleaning"
    else:
        rows = land(landing, pair.second, path, large(landing, "second"))
        writer.end(exits=3)
        expect(landing.place.uploads(path), [], "open uploads")
        yield "the upload of the newer writer wins, and the older one is refused"
    pair.same(landing, "verify", path, "--json")
    pair.same_bytes(landing, rows, "read", path)


def one_of_two_racing_writers_seals(pair, landing):
    for number in range(4):
        path = run(DAY % 1, f"race {number}")
        programs = (pair.first, pair.second)
        small = lambda name: b'{"by":"%s"}\n' % name.encode()
        rows = [large(landing, program.name) if number % 2 else small(program.name) for program in programs]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            write = lambda program, rows: landing.run(program, "write", path, rows=rows, exits=None)
            codes = [answer.code for answer in pool.map(write, programs, rows)]
        expect(sorted(codes), [0, 3], "the exit codes of two writers at once")
        pair.same_bytes(landing, rows[codes.index(0)], "read", path)
        pair.same(landing, "verify", path, "--json")
    yield "of two writers at once one seals, and its rows are stored"


def a_state_is_changed_by_turns(pair, landing):
    first, second = pair.first, pair.second
    made = landing.run(first, "state", "init", "--json").json()[0]["made"]
    expect((made, pair.same(landing, "state", "init", "--json")[0]["made"]), (True, False), "the table is created")
    place = landing.place
    for path in (run(DAY % 1), run(DAY % 1, SECOND), run(DAY % 2)):
        place.put(f"{path}/{PAYLOAD}", b"[]\n")
        place.put(f"{path}/{SEAL}", b'{"schema_version": "v7"}')
    turns = [
        (first, ["validate", run(DAY % 1)], 1),
        (second, ["state", "retry", DAY % 1], 0),
        (first, ["validate", run(DAY % 1)], 1),
        (second, ["validate", run(DAY % 1, SECOND)], 1),
        (first, ["state", "backfill", ADS, "--since", "2024-06-02", "--until", "2024-06-04"], 0),
        (second, ["state", "backfill", ADS, "--since", "2024-06-03", "--until", "2024-06-05"], 0),
        (first, ["validate", "--all", "--strict"], 1),
        (first, ["write", run(DAY % 6, SECOND), "--then-validate"], 0),
        (second, ["state", "retry"], 0),
        (second, ["write", run(DAY % 1, THIRD), "--set", "schema_version=v8", "--then-validate"], 0),
        (first, ["validate", "--all"], 1),
    ]
    for program, args, code in turns:
        landing.run(program, *args, rows=ROWS, exits=code)
        state(pair, landing)
        yield "after each turn both list the same state and coverage"
    days = ["--since", "2024-05-30", "--until", "2024-06-04"]
    for options in (["--status", "failed"], [ADS, *days], ["--customer", "0"]):
        pair.same(landing, "state", "list", *options, "--json")
    pair.same(landing, "state", "retry", "--dry-run", "--json")
    pair.same(landing, "state", "backfill", ADS, *days, "--dry-run", "--json")
    yield "both plan the same changes"
    attempts = {line["logical_date"]: line["attempt_count"] for line in state(pair, landing)}
    # The new program judges once more a failure that the old one recorded.
    first_day = "5" if first is pair.new else "4"
    expected = {"01": first_day, "02": "2", "03": "0", "04": "0", "05": "0", "06": "1"}
    expect(attempts, {f"2024-06-{day}": count for day, count in expected.items()}, "attempts")
    yield "no attempt is lost or counted twice"


def verdicts_at_the_same_moment_are_all_counted(pair, landing):
    land(landing, pair.first, run(DAY % 1))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda program: landing.run(program, "validate", run(DAY % 1)), [pair.first, pair.second] * 4))
    expect(state(pair, landing)[0]["attempt_count"], "8", "attempts")
    yield "validators of both programs at the same moment lose no update"


def shards_are_the_same(pair, landing):
    paths = [run(DAY % day) for day in range(1, 9)]
    for path in paths:
        land(landing, pair.first, path)
    shares = [
        validate_all(landing, program, "--shard", f"{share}/3")
        for share, program in ((1, pair.first), (2, pair.second), (3, pair.first))
    ]
    # The documented rule, so that no version may change it.
    number = lambda path: int.from_bytes(hashlib.sha256(path.rpartition("/")[0].encode()).digest()[:8]) % 3
    expected = [{path: True for path in paths if number(path) == share} for share in range(3)]
    expect(shares, expected, "the runs that each of three shards judges")
    expect({line["attempt_count"] for line in state(pair, landing)}, {"1"}, "attempts")
    yield "both divide the runs into the same shards, and each is judged once"


def copies_are_continued(pair, landing):
    work = landing.place.work
    for day in range(1, 7):
        land(landing, pair.first, run(DAY % day), large(landing, f"day {day}") if day % 2 else ROWS)
    land(landing, pair.first, run(ODD, "run 1+é"))
    landing.place.put(f"{run(DAY % 7)}/{PAYLOAD}", b'{"n":1.50}\r\n{}')
    landing.place.put(f"{run(DAY % 7)}/{SEAL}", b'{"record_count": 2 }')
    there = work / "copy"
    there.mkdir()
    copy = Directory(there)
    target = type(landing)(copy, landing.state)
    to = ["--to-env", env_file(target, work / "to.env"), "--json"]
    first = landing.run(pair.first, "copy", ADS, "--until", "2024-06-03", *to).json()
    expect([line["outcome"] for line in first], ["copied"] * 3, "the first copy")
    killed = landing.start(pair.first, "copy", *to, "--jobs", "1")
    time.sleep(0.05)
    killed.kill()
    pair.same(landing, "copy", "--dry-run", *to, in_order=False)
    copied = landing.run(pair.second, "copy", *to).json()
    expect({line["outcome"] for line in copied} <= {"copied", "already there"}, True, f"outcomes of {copied}")
    expect(visible(copy.tree()), visible(landing.place.tree()), "the copy")
    yield "one continues the copy of the other, and every byte is the same"
    again = pair.same(landing, "copy", *to, in_order=False)
    expect({line["outcome"] for line in again}, {"already there"}, "outcomes of a copy that exists")
    yield "both know that it exists"
    place = type(landing.place)(there)
    if landing.place.kind == "directory":
        place.root = there / "back"
        place.variables["RAW_SINK_ROOT"] = str(place.root)
    back = type(landing)(place, landing.state)
    target.run(pair.second, "copy", "google_ads", "--to-env", env_file(back, work / "back.env"))
    target.run(pair.first, "copy", "shop data", "--to-env", env_file(back, work / "back.env"))
    expect(place.tree(), visible(landing.place.tree()), "the copy of the copy")
    pair.same(back, "list", "--runs", "--json")
    yield "copies of both programs back are the same"
    land(back, pair.first, run(DAY % 9), b'{"other":1}\n')
    land(landing, pair.second, run(DAY % 9), ROWS)
    both = ["copy", DAY % 9, "--to-env", env_file(back, work / "back.env"), "--json"]
    pair.same(landing, *both, exits=5, varying=["error"])
    yield "both refuse to copy over another run of the same name"


def visible(tree):
    return {path: content for path, content in tree.items() if not path.rpartition("/")[2].startswith(".")}


def settings(answer):
    """Returns the values that `config --json` printed, by name, however their sizes are spelt."""
    return {line["name"]: line["value"].replace(" ", "") for line in answer.json()}


def settings_and_refusals_are_the_same(pair, landing):
    for place in (landing, landing.with_variables(RAW_SINK_MAX_ROW_BYTES="2 KiB", RAW_SINK_LEFTOVER="")):
        old, new = (settings(place.run(program, "config", "--json")) for program in (pair.old, pair.new))
        # The new program shows the value in use where the old one shows "auto".
        expect({name: new.get(name) for name in old if old[name] != "auto"},
               {name: value for name, value in old.items() if value != "auto"}, "the settings")
    yield "both show the same settings"
    land(landing, pair.first, run(DAY % 1))
    short = landing.with_variables(RAW_SINK_MAX_ROW_BYTES="16")
    days = ["--since", "2024-06-01", "--until", "2024-06-01"]
    calls = [
        (landing, ["read", run(DAY % 2)], 3),
        (landing, ["read", DAY % 1], 2),
        (landing, ["read", DAY % 1, "--current"], 3),
        (landing, ["validate", run(DAY % 2), "--json"], 3),
        (landing, ["write", run(DAY % 2), "--expect-records", "5"], 1),
        (landing, ["write", run(DAY % 2), "--strict"], 2),
        (landing, ["write", run(DAY % 2), "--set", "record_count:=9"], 2),
        (landing, ["write", run(DAY % 2), "--", "false"], 1),
        (landing, ["write", f"{ADS}/logical_date=2024-06-31"], 2),
        (landing, ["list", "--no-such-option"], 2),
        (landing.with_variables(RAW_SINK_LEFTOVER="keep"), ["list"], 2),
        # A refused row has its own exit code now.
        (short, ["write", run(DAY % 2), "--", "echo", '{"longer than":"that"}'], (2, 65)),
        (landing, ["coverage", "google_ads", "--customers", "9", "--queries", "q", *days], 1),
    ]
    before = landing.place.tree()
    for place, args, code in calls:
        codes = code if isinstance(code, tuple) else (code, code)
        programs = zip((pair.old, pair.new), codes)
        answers = [place.run(program, *args, rows=ROWS, exits=exits).stdout for program, exits in programs]
        expect(answers[1], answers[0], " ".join(args))
    expect(landing.place.tree(), before, "the storage after refusals")
    yield "both refuse with the exit codes of their versions, and nothing changes"


BOTH_WAYS = [
    landed_runs_are_read,
    damage_is_reported,
    verdicts_give_authority,
    unsealed_runs_are_written_again,
    interrupted_writers_are_continued_or_cleaned,
    living_writers_are_respected,
    one_of_two_racing_writers_seals,
    a_state_is_changed_by_turns,
    verdicts_at_the_same_moment_are_all_counted,
    shards_are_the_same,
    copies_are_continued,
]
ONCE = [settings_and_refusals_are_the_same]
