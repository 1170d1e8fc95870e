"""The package for asyncio programs: the same operations, awaited.

Each call runs in a thread of asyncio's pool, which the event loop joins at its end. Cancelling a
task that writes cancels the writer: nothing is sealed, unless the seal was being written. A task
that does something else waits for its call, and is cancelled then::

    sink = rawsink.aio.RawSink(rawsink.RawSink.from_env())
    async with await sink.write_partition(key, run_id) as writer:
        async for page in pages:
            await writer.write_rows(page)
        await writer.finalize(api_version="v21")
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import rawsink

from ._types import PartitionKey, Run, Seal, Sealed

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._results import Validation

T = TypeVar("T")

_BATCH_BYTES = 256 * 1024


async def _call(work: Callable[[], T], cancel: Callable[[], object] = lambda: None) -> T:
    """Run some work in a thread. If this task is cancelled, cancel the work and wait for its end."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise


class PartitionWriter:
    """Writes the rows of one partition and seals it, see :class:`rawsink.PartitionWriter`."""

    def __init__(self, writer: rawsink.PartitionWriter) -> None:
        self._writer = writer
        self._lines: list[bytes] = []
        self._bytes = 0

    async def write_payload_row(self, row: object) -> None:
        """Append one row. It is converted at once, and checked and sent with a later batch."""
        try:
            line = rawsink.dumps(row)
        except TypeError:
            # The writer converts it, counts it as refused, or raises.
            await self._flush()
            await _call(lambda: self._writer.write_payload_row(row), self._writer.cancel)
            return
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= _BATCH_BYTES:
            await self._flush()

    async def write_rows(self, rows: Iterable[object] | AsyncIterable[object]) -> None:
        """Append the rows of an iterable. One that is not asynchronous runs in the other thread."""
        if isinstance(rows, AsyncIterable):
            try:
                async for row in rows:
                    await self.write_payload_row(row)
            except BaseException:
                # Rows may be missing.
                await self.abort()
                raise
            return
        await self._flush()
        await _call(lambda: self._writer.write_rows(rows), self._writer.cancel)

    async def write_lines(self, lines: object) -> None:
        """Append lines of JSON, as they are."""
        await self._flush()
        await _call(lambda: self._writer.write_lines(lines), self._writer.cancel)

    async def finalize(
        self, metadata: Mapping[str, Any] | None = None, /, **fields: Any
    ) -> Sealed:
        """Seal the partition."""
        await self._flush()
        return await _call(
            lambda: self._writer.finalize(metadata, **fields), self._writer.cancel
        )

    async def abort(self) -> None:
        """Abort the attempt, unless it is sealed."""
        self._lines.clear()
        await _call(self._writer.abort, self._writer.cancel)

    @property
    def record_count(self) -> int:
        """The number of rows so far."""
        return self._writer.record_count + len(self._lines)

    async def _flush(self) -> None:
        if self._lines:
            lines = b"\n".join(self._lines) + b"\n"
            self._lines.clear()
            self._bytes = 0
            await _call(lambda: self._writer.write_lines(lines), self._writer.cancel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.abort()


class PartitionReader:
    """Reads one sealed run, see :class:`rawsink.PartitionReader`."""

    def __init__(self, reader: rawsink.PartitionReader) -> None:
        self._reader = reader

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield the rows as JSON text."""
        native = await _call(self._reader._start)
        while (lines := await _call(native._next_lines, native.close)) is not None:
            for line in lines:
                yield line

    async def rows(self, loads: Callable[[bytes], Any] = json.loads) -> AsyncIterator[Any]:
        """Yield the rows as dicts."""
        async for line in self.lines():
            yield loads(line)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.rows()

    async def read_bytes(self) -> bytes:
        """Return the whole payload, verified."""
        return await _call(self._reader.read_bytes)

    def read_metadata(self) -> dict[str, Any]:
        """Return the metadata that was given to ``finalize``."""
        return self._reader.read_metadata()

    @property
    def seal(self) -> Seal | None:
        """The seal; ``None`` if other software sealed the run."""
        return self._reader.seal

    @property
    def run_id(self) -> str:
        """The run."""
        return self._reader.run_id


class RawSink:
    """Writes and reads partitions, see :class:`rawsink.RawSink`."""

    def __init__(self, sink: rawsink.RawSink) -> None:
        self.sink = sink
        """The same sink for code that blocks."""

    async def write_partition(
        self, key: PartitionKey, run_id: str, **options: Any
    ) -> PartitionWriter:
        """Start writing a partition."""
        opened: list[rawsink.PartitionWriter] = []

        def open_writer() -> rawsink.PartitionWriter:
            opened.append(self.sink.write_partition(key, run_id, **options))
            return opened[0]

        try:
            return PartitionWriter(await _call(open_writer))
        except asyncio.CancelledError:
            for writer in opened:
                await _call(writer.abort)
            raise

    async def open_partition(self, key: PartitionKey, run_id: str) -> PartitionReader:
        """Open a sealed run."""
        return PartitionReader(await _call(lambda: self.sink.open_partition(key, run_id)))

    async def open_current(self, key: PartitionKey) -> PartitionReader:
        """Open the run that has authority."""
        return PartitionReader(await _call(lambda: self.sink.open_current(key)))

    async def current(self, key: PartitionKey) -> str | None:
        """Return the run that has authority; ``None`` if none has."""
        return await _call(lambda: self.sink.current(key))

    async def list_partitions(self, key: PartitionKey) -> list[str]:
        """Return the ids of all runs."""
        return await _call(lambda: self.sink.list_partitions(key))

    async def list_runs(self, key: PartitionKey) -> list[Run]:
        """Return all runs."""
        return await _call(lambda: self.sink.list_runs(key))

    async def validate_partition(
        self, key: PartitionKey, run_id: str, **rules: bool
    ) -> Validation:
        """Validate a run and record the verdict."""
        return await _call(lambda: self.sink.validate_partition(key, run_id, **rules))
