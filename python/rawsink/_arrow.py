"""Rows as Arrow tables.

Two passes: the first verifies the payload and finds the types that hold every value, the second
converts. Text stays text, and values that no type holds together become their JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Union

import pyarrow
import pyarrow.json

if TYPE_CHECKING:
    import io

Shape = Union[str, dict[str, Any]]
"""A type as the native part writes it: a name, ``{"list": shape}`` or ``{"object": [[name, shape]]}``."""

_TYPES = {
    "null": pyarrow.null(),
    "bool": pyarrow.bool_(),
    "integer": pyarrow.int64(),
    "long": pyarrow.int64(),
    "float": pyarrow.float64(),
    "text": pyarrow.string(),
    "json": pyarrow.string(),
}

BATCH_ROWS = 10_000
BLOCK_BYTES = 1 << 20


def type_of(shape: Shape) -> pyarrow.DataType:
    """Return the Arrow type of a shape."""
    if isinstance(shape, str):
        return _TYPES[shape]
    if "list" in shape:
        return pyarrow.list_(type_of(shape["list"]))
    if not shape["object"]:
        # A type without members is one that few tools know.
        return pyarrow.string()
    return pyarrow.struct([(name, type_of(member)) for name, member in shape["object"]])


def schema_of(shape: Shape) -> pyarrow.Schema:
    """Return the schema of rows."""
    members = shape["object"] if isinstance(shape, dict) else []
    return pyarrow.schema([(name, type_of(member)) for name, member in members])


def batches(
    file: io.BufferedReader, shape: Shape, longest: int, schema: pyarrow.Schema
) -> Iterator[pyarrow.RecordBatch]:
    """Yield the rows of a verified payload in batches. ``longest`` is that of its rows in bytes."""
    members = dict(shape["object"]) if isinstance(shape, dict) else {}
    texts = {field.name: _to_text(field.type, members.get(field.name)) for field in schema}
    if any(texts.values()) or not len(schema):
        yield from _by_python(file, schema, texts)
    elif longest > 0:
        yield from pyarrow.json.open_json(
            file,
            # A block must hold the longest row.
            read_options=pyarrow.json.ReadOptions(block_size=max(2 * longest + 2, BLOCK_BYTES)),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )


def _by_python(
    lines: Iterable[bytes], schema: pyarrow.Schema, texts: dict[str, _Convert | None]
) -> Iterator[pyarrow.RecordBatch]:
    rows: list[dict[str, Any]] = []

    def batch() -> pyarrow.RecordBatch:
        columns = []
        for field in schema:
            convert = texts[field.name]
            values = [row.get(field.name) for row in rows]
            if convert is not None:
                values = [convert(value) for value in values]
            columns.append(pyarrow.array(values, field.type))
        if not columns:
            return pyarrow.RecordBatch.from_struct_array(
                pyarrow.array([{}] * len(rows), pyarrow.struct([]))
            )
        return pyarrow.RecordBatch.from_arrays(columns, schema=schema)

    for line in lines:
        rows.append(json.loads(line))
        if len(rows) == BATCH_ROWS:
            yield batch()
            rows = []
    if rows:
        yield batch()


_Convert = Callable[[Any], Any]


def _to_text(kind: pyarrow.DataType, shape: Shape | None) -> _Convert | None:
    """Return what makes JSON text of the values that are not of a type; ``None`` if all are."""
    if shape is None:
        return None
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        if shape in ("text", "null"):
            return None
        return lambda value: None if value is None else _text(value)
    if isinstance(shape, str):
        return None
    if "list" in shape:
        if not (pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind)):
            return None
        item = _to_text(kind.value_type, shape["list"])
        if item is None:
            return None
        return lambda values: None if values is None else [item(value) for value in values]
    if not pyarrow.types.is_struct(kind):
        return None
    members = dict(shape["object"])
    changes = {
        field.name: change
        for field in kind
        if (change := _to_text(field.type, members.get(field.name))) is not None
    }
    if not changes:
        return None

    def convert(value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is None:
            return None
        changed = {
            name: change(value[name]) for name, change in changes.items() if name in value
        }
        return {**value, **changed}

    return convert


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # Arrow has no lone surrogates.
    return text if _is_utf8(text) else json.dumps(value, separators=(",", ":"))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
