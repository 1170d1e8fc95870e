"""Tools that read through the package get every row of the runs that have authority, or an error."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.fs
import pytest
from conftest import KEY, RUNS, flip, land

import rawsink
import rawsink.arrow
import rawsink.polars
from rawsink import _verified
from rawsink.fs import RawSinkFileSystem

Key = rawsink.PartitionKey
ODD = "a*?[x]%41"
ROWS: dict[str, list[dict[str, Any]]] = {
    "007": [{"id": "001", "n": 1}] * 2,
    "008": [{"id": "002", "n": 2, "late": "2024-01-01"}],
    "empty": [],
    ODD: [{"id": "004", "n": 4}],
}
EXPECTED = sorted(
    (customer, row["id"], row["n"], row.get("late"))
    for customer, rows in ROWS.items()
    for row in rows
)
COLUMNS = ["customer_id", "id", "n", "late"]


def key(customer: str) -> rawsink.PartitionKey:
    return Key("ads", customer, "q", "2024-06-01")


@pytest.fixture
def landed(sink: rawsink.RawSink) -> Iterator[rawsink.RawSink]:
    _verified._forget()
    for customer, rows in ROWS.items():
        land(sink, key(customer), RUNS[0], rows)
    # A run that has no authority.
    with sink.write_partition(key("007"), RUNS[1]) as writer:
        writer.write_payload_row({"id": "999", "n": 9})
        writer.finalize()
    yield sink
    _verified._forget()


def by_duckdb(sink: rawsink.RawSink) -> Any:
    connection = duckdb.connect()
    connection.register_filesystem(RawSinkFileSystem(sink, skip_instance_cache=True))
    return connection.sql(
        f"""SELECT {", ".join(COLUMNS)} FROM read_json('rawsink://ads/**/payload.jsonl',
        format = 'newline_delimited', hive_partitioning = true, hive_types_autocast = false,
        union_by_name = true)"""
    ).fetchall()


def by_duckdb_and_arrow(sink: rawsink.RawSink) -> Any:
    rows = rawsink.arrow.scan(sink, source="ads")  # noqa: F841
    return duckdb.sql(f"SELECT {', '.join(COLUMNS)} FROM rows").fetchall()


def by_polars(sink: rawsink.RawSink) -> Any:
    return rawsink.polars.scan(sink).select(COLUMNS).collect().rows()


def by_arrow(sink: rawsink.RawSink) -> Any:
    rows = rawsink.arrow.scan(sink).read_all().select(COLUMNS).to_pylist()
    return [tuple(row.values()) for row in rows]


def by_dataset(sink: rawsink.RawSink) -> Any:
    files = RawSinkFileSystem(sink, skip_instance_cache=True)
    rows = pyarrow.dataset.dataset(
        # PyArrow takes an empty file for a broken one.
        [name for name, file in files.find("ads", detail=True).items() if file["size"]],
        filesystem=pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(files)),
        format="json",
        partitioning=pyarrow.dataset.partitioning(
            pyarrow.schema([("customer_id", pyarrow.string())]), flavor="hive"
        ),
        schema=pyarrow.schema(
            [("customer_id", pyarrow.string()), ("id", pyarrow.string())]
            + [("n", pyarrow.int64()), ("late", pyarrow.string())]
        ),
    ).to_table()
    return [tuple(row[name] for name in COLUMNS) for row in rows.to_pylist()]


def by_pandas(sink: rawsink.RawSink) -> Any:
    files = RawSinkFileSystem(sink, skip_instance_cache=True)
    found = []
    for name, file in files.find("ads", detail=True).items():
        if not file["size"]:
            continue
        with files.open(name) as opened:
            frame = pandas.read_json(opened, lines=True, dtype=False)
        customer = key_of(name)
        for row in frame.to_dict("records"):
            found.append((customer, row["id"], row["n"], row.get("late")))
    return found


def key_of(path: str) -> str:
    from urllib.parse import unquote

    return unquote(path.split("/")[1].removeprefix("customer_id="))


TOOLS = [by_duckdb, by_duckdb_and_arrow, by_polars, by_arrow, by_dataset, by_pandas]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_gets_every_row(
    landed: rawsink.RawSink, tool: Callable[[rawsink.RawSink], Any]
) -> None:
    found = [
        tuple(value.isoformat() if isinstance(value, datetime.date) else value for value in row)
        for row in tool(landed)
    ]
    assert sorted(found, key=str) == sorted(EXPECTED, key=str)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_flipped_bit_is_an_error_in_every_tool(
    landed: rawsink.RawSink, tool: Callable[[rawsink.RawSink], Any]
) -> None:
    flip(landed, key("007"), RUNS[0], "payload.jsonl")
    with pytest.raises(Exception, match="SHA-256|[Cc]orrupt|not JSON"):
        tool(landed)


def test_values_that_no_type_holds_are_text(directory: rawsink.RawSink) -> None:
    rows = [
        {"n": 1, "mixed": 1, "deep": [{"a": 1}], "map": {}},
        {"n": 2**70, "mixed": {"b": None}, "deep": [{"a": "x"}, None], "map": {}},
        {"n": None, "mixed": "text", "late": 2**53 + 1},
    ]
    land(directory, key("1"), RUNS[0], rows)
    table = directory.open_current(key("1")).to_arrow()
    assert table.to_pylist() == [
        {"n": "1", "mixed": "1", "deep": [{"a": "1"}], "map": "{}", "late": None},
        {"n": str(2**70), "mixed": '{"b":null}', "deep": [{"a": '"x"'}, None], "map": "{}", "late": None},
        {"n": None, "mixed": '"text"', "deep": None, "map": None, "late": 2**53 + 1},
    ]
    assert json.loads(table["mixed"][1].as_py()) == {"b": None}


def test_lone_surrogates_stay_json(directory: rawsink.RawSink) -> None:
    with directory.write_partition(KEY, RUNS[0]) as writer:
        writer.write_rows([{"a": "\ud800y", "b": {"\udc00": "é"}}, {"a": "é", "b": None}])
        writer.finalize()
    with directory.open_partition(KEY, RUNS[0]) as reader:
        table = reader.to_arrow()
    expected = [{"a": '"\\ud800y"', "b": '{"\\udc00":"\\u00e9"}'}, {"a": '"é"', "b": None}]
    assert table.to_pylist() == expected
    with directory.write_partition(KEY, RUNS[1]) as writer:
        writer.write_rows([{"\ud800": 1}])
        writer.finalize()
    with directory.open_partition(KEY, RUNS[1]) as reader:
        with pytest.raises(rawsink.Invalid, match="lone surrogate, so it cannot be a column"):
            reader.to_arrow()


def test_a_long_row_and_a_given_schema(directory: rawsink.RawSink) -> None:
    rows = [{"text": "x" * 3_000_000, "n": 1}, {"n": 2, "unknown": True}]
    land(directory, key("1"), RUNS[0], rows)
    reader = directory.open_current(key("1"))
    assert reader.to_arrow()["n"].to_pylist() == [1, 2]
    wanted = pyarrow.schema([("n", pyarrow.float32()), ("other", pyarrow.string())])
    assert reader.to_arrow(wanted).to_pylist() == [
        {"n": 1.0, "other": None},
        {"n": 2.0, "other": None},
    ]
    as_text = reader.to_arrow(pyarrow.schema([("n", pyarrow.string())]))
    assert as_text["n"].to_pylist() == ["1", "2"]


def test_a_filter_of_names_skips_runs(landed: rawsink.RawSink) -> None:
    # It would raise if it were read.
    flip(landed, key("008"), RUNS[0], "payload.jsonl")
    schema = pyarrow.schema([("id", pyarrow.string())])
    frame = rawsink.polars.scan(landed, schema=schema).filter(polars.col("customer_id") == "007")
    assert frame.collect()["id"].to_list() == ["001", "001"]
    assert rawsink.polars.scan(landed, schema=schema).head(1).collect()["id"].to_list() == ["001"]


def test_a_member_with_the_name_of_a_key_column(directory: rawsink.RawSink) -> None:
    land(directory, key("1"), RUNS[0], [{"customer_id": 5}])
    with pytest.raises(ValueError, match="key_prefix"):
        rawsink.arrow.scan(directory)
    rows = rawsink.arrow.scan(directory, key_prefix="key_").read_all().to_pylist()
    assert rows[0]["customer_id"] == 5
    assert rows[0]["key_customer_id"] == "1"
