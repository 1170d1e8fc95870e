"""Rows as an Arrow table."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pyarrow
import pyarrow.json

if TYPE_CHECKING:
    from ._reader import PartitionReader


def table(reader: PartitionReader, schema: pyarrow.Schema | None) -> pyarrow.Table:
    """Return the rows of a reader, by a schema or by the types that all rows have."""
    data = reader.read_bytes()
    if schema is None:
        names: dict[str, None] = {}
        for row in reader.rows():
            names.update(dict.fromkeys(row))
        columns: dict[str, list[object]] = {name: [] for name in names}
        for line in data.splitlines():
            row = json.loads(line)
            for name, column in columns.items():
                column.append(row.get(name))
        return pyarrow.table({name: _array(column) for name, column in columns.items()})
    if not data:
        return schema.empty_table()
    longest = max(map(len, data.split(b"\n"))) + 2
    return pyarrow.json.read_json(
        io.BytesIO(data),
        read_options=pyarrow.json.ReadOptions(block_size=max(longest, 1 << 20)),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="ignore"
        ),
    )


def _array(values: list[object]) -> pyarrow.Array:
    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
        # Types that no column has together, or integers beyond 64 bits.
        text = [None if value is None else json.dumps(value) for value in values]
        return pyarrow.array(text, pyarrow.string())
