"""Rows as JSON text: exactly what `json.dumps(allow_nan=False)` expresses, and nothing else."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import json
import math
import random
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rawsink
from conftest import KEY, RUNS

TEXT = st.text(st.characters(), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(TEXT, inner, max_size=4)
    ),
    max_leaves=20,
)
ROWS = st.dictionaries(TEXT, VALUES, max_size=6)


@settings(max_examples=400, deadline=None, print_blob=True)
@given(ROWS)
def test_the_text_says_what_json_says(row: dict[str, Any]) -> None:
    text = rawsink.dumps(row)
    assert b"\n" not in text
    ours = json.loads(text, parse_float=decimal.Decimal)
    theirs = json.loads(json.dumps(row, allow_nan=False), parse_float=decimal.Decimal)
    assert ours == theirs
    # 1, 1.0 and true are equal, and different.
    assert repr(json.loads(text)) == repr(json.loads(json.dumps(row)))


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.floats() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)))
def test_the_same_values_are_refused(value: object) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        with pytest.raises(TypeError):
            rawsink.dumps(value)
    else:
        rawsink.dumps(value)


def test_an_integer_may_have_any_number_of_digits() -> None:
    assert rawsink.dumps({"v": -(10**5000)}) == b'{"v":-1' + b"0" * 5000 + b"}"


class Colour(str, enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


class Name(str):
    pass


class Share(float):
    pass


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    "value",
    [
        Colour.RED,
        Size.SMALL,
        Name("x"),
        Share(0.5),
        collections.OrderedDict(b=1, a=2),
        collections.defaultdict(int, a=1),
        Point(1, 2),
        (),
        {},
        [[]],
        -(2**63),
        2**63,
        2**64,
        -0.0,
        5e-324,
        1.7976931348623157e308,
        "\ud83d\ude00",
        "\udc00\ud800",
        "\x00\x1f\x7f\u2028",
    ],
)
def test_what_json_takes_is_taken(value: object) -> None:
    text = rawsink.dumps({"v": value})
    assert json.loads(text) == json.loads(json.dumps({"v": value}))


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        datetime.datetime(2024, 6, 1),
        datetime.date(2024, 6, 1),
        decimal.Decimal("1.5"),
        uuid.UUID(int=1),
        b"x",
        bytearray(b"x"),
        {1, 2},
        object(),
        {1: 2},
        {None: 1},
        {True: 1},
        {(1,): 1},
        range(3),
        1j,
    ],
)
def test_what_has_no_json_text_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"\.a\[1\]\.b: "):
        rawsink.dumps({"a": [0, {"b": value}]})


def test_a_value_that_contains_itself_is_refused() -> None:
    row: dict[str, object] = {}
    row["self"] = row
    with pytest.raises(TypeError, match="contains itself"):
        rawsink.dumps(row)
    with pytest.raises(TypeError, match="contains itself"):
        rawsink.dumps({"x": object()}, default=lambda value: [value])


def test_deep_values_are_taken() -> None:
    value: object = 1
    for _ in range(490):
        value = [value]
    assert json.loads(rawsink.dumps({"v": value}))


@pytest.mark.parametrize("replaces", [True, False])
def test_default_may_change_the_value_that_is_read(replaces: bool) -> None:
    row: dict[str, object] = {"a": object(), "b": 1}

    def change(value: object) -> object:
        if replaces:
            del row["b"]
        row[f"c{len(row)}"] = 1
        return 1

    assert rawsink.dumps(row, default=change) == b'{"a":1,"b":1}'


def test_names_that_return_in_each_row(directory: rawsink.RawSink) -> None:
    """The text of a name is kept from row to row by its object: more objects than are kept, and new ones."""
    names = [f"{kind}{number}" for kind in ('"', "é", "\ud800", "", "x" * 300) for number in range(120)]
    seed = random.randrange(1 << 32)
    print("seed", seed)
    draw = random.Random(seed)

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(300):
            chosen = draw.sample(names, 20)
            row: dict[str, Any] = {name: number for name in chosen}
            # The same names as new objects, at the addresses of those that ended.
            row["inner"] = [{(name + " ")[:-1]: {"n": number}} for name in chosen]
            yield row
            for short in range(10):
                yield {f"{number}-{short}": None}

    expected = [json.loads(json.dumps(row)) for row in rows()]
    draw.seed(seed)
    with directory.write_partition(KEY, RUNS[0]) as writer:
        writer.write_rows(rows())
        writer.finalize()
    with directory.open_partition(KEY, RUNS[0]) as reader:
        written = [json.loads(line) for line in reader.lines()]
    assert written == expected
