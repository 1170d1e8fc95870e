"""Reads one sealed run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _rawsink
from ._types import PartitionKey, PayloadSummary, Seal

if TYPE_CHECKING:
    import pyarrow
    from typing_extensions import Self


class PartitionReader:
    """Reads the rows of one sealed run in their order, with bounded memory.

    At the end, length, rows and SHA-256 are compared with the seal: a difference raises
    :class:`Corrupt` instead of ending. So rows are proven right only after the last one.

    Every method that reads starts at the first row, as often as it is called.
    """

    def __init__(
        self, native: _rawsink.PartitionReader, key: PartitionKey, place: str
    ) -> None:
        self._native = native
        self._place = place
        self._fresh = True
        self.key = key
        """The logical partition."""

    def _start(self) -> _rawsink.PartitionReader:
        """Return a reader at the first row."""
        if self._fresh:
            self._fresh = False
            return self._native
        return self._native._reopened()

    def lines(self) -> Iterator[bytes]:
        """Yield the rows as JSON text, exactly as they were written, without line feeds."""
        native = self._start()
        while (lines := native._next_lines()) is not None:
            yield from lines

    def rows(self, loads: Callable[[bytes], Any] = json.loads) -> Iterator[Any]:
        """Yield the rows as dicts.

        ``loads`` parses a row. ``orjson.loads`` is faster, but loses digits of large integers.
        """
        for line in self.lines():
            yield loads(line)

    def __iter__(self) -> Iterator[Any]:
        return self.rows()

    def chunks(self) -> Iterator[bytes]:
        """Yield the payload in chunks of bytes, which end anywhere."""
        native = self._start()
        while (chunk := native._next_chunk()) is not None:
            yield chunk

    def read_bytes(self) -> bytes:
        """Return the whole payload, verified."""
        return self._start()._read_bytes()

    def read_metadata(self) -> dict[str, Any]:
        """Return the metadata that was given to ``finalize``."""
        metadata: dict[str, Any] = json.loads(self._native._metadata)
        return metadata

    def verify(self) -> PayloadSummary:
        """Read everything, compare it with the seal and return the summary."""
        return PayloadSummary(**json.loads(self._start()._drain()))

    def to_arrow(self, schema: pyarrow.Schema | None = None) -> pyarrow.Table:
        """Return the rows as an Arrow table, verified. Needs ``pip install rawsink[arrow]``.

        Without a schema all rows decide the types: a column that appears only in a late row is
        kept, and text stays text. Values that no type holds together, and integers beyond 64 bits,
        are their JSON text; so are values of any kind in a column that ``schema`` calls text.
        """
        import pyarrow

        from . import _arrow, _verified

        payload = _verified.verified(self._place, self._start(), infer=True)
        if schema is None:
            schema = _arrow.schema_of(payload.shape)
        with payload.open() as file:
            batches = _arrow.batches(file, payload.shape, payload.longest, schema)
            return pyarrow.Table.from_batches(batches, schema)

    @property
    def seal(self) -> Seal | None:
        """The seal; ``None`` if other software sealed the run."""
        facts = json.loads(self._native._seal)
        return None if facts is None else Seal(**facts)

    @property
    def run_id(self) -> str:
        """The run."""
        return self._native.run_id

    @property
    def path(self) -> str:
        """The canonical path of the run."""
        return self._native.path

    @property
    def payload_bytes(self) -> int:
        """The length of the payload."""
        return self._native.payload_bytes

    def close(self) -> None:
        """Close files and connections. The reader opens them again when it is used."""
        self._fresh = False
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<PartitionReader {self.path}>"
