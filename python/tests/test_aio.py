"""The same operations, awaited."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator

import pytest
from conftest import KEY, RUNS, open_sink

import rawsink
import rawsink.aio


def test_rows_are_written_and_read(sink: rawsink.RawSink) -> None:
    async def pages() -> AsyncIterator[dict[str, int]]:
        for number in range(2_000):
            yield {"n": number}

    async def main() -> None:
        landing = rawsink.aio.RawSink(sink)
        async with await landing.write_partition(KEY, RUNS[0]) as writer:
            await writer.write_payload_row({"first": True})
            await writer.write_rows(pages())
            await writer.write_rows([{"a": 1}])
            await writer.write_lines(b'{"b":2}\n')
            sealed = await writer.finalize(api_version="v21")
        assert sealed.record_count == 2_003
        assert (await landing.validate_partition(KEY, RUNS[0])).passed
        assert await landing.current(KEY) == RUNS[0]
        reader = await landing.open_current(KEY)
        rows = [row async for row in reader]
        assert rows[0] == {"first": True} and rows[-1] == {"b": 2} and len(rows) == 2_003
        assert len(await reader.read_bytes()) == sealed.payload_bytes
        assert await landing.list_partitions(KEY) == [RUNS[0]]
        assert [run.sealed for run in await landing.list_runs(KEY)] == [True]
        with pytest.raises(FileNotFoundError):
            await landing.open_partition(KEY, RUNS[1])

    asyncio.run(main())


def test_a_refused_row_ends_the_writer(sink: rawsink.RawSink) -> None:
    async def main() -> None:
        landing = rawsink.aio.RawSink(sink)
        async with await landing.write_partition(KEY, RUNS[0]) as writer:
            await writer.write_payload_row({"n": 1})
            with pytest.raises(rawsink.NotSerialisable) as refused:
                await writer.write_payload_row({"when": datetime.date(2024, 6, 1)})
            assert refused.value.line == 2
            with pytest.raises(rawsink.Closed):
                await writer.finalize()

    asyncio.run(main())
    assert sink.list_runs(KEY) == []


def test_a_source_that_fails_is_not_sealed(sink: rawsink.RawSink) -> None:
    async def pages() -> AsyncIterator[dict[str, int]]:
        yield {"n": 1}
        raise ConnectionResetError

    async def main() -> None:
        landing = rawsink.aio.RawSink(sink)
        async with await landing.write_partition(KEY, RUNS[0]) as writer:
            with pytest.raises(ConnectionResetError):
                await writer.write_rows(pages())
            with pytest.raises(rawsink.Closed):
                await writer.finalize()

    asyncio.run(main())
    assert sink.list_runs(KEY) == []


def test_cancelling_a_task_cancels_the_grace(
    bucket: object, program: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_waiting import DIE

    settings = bucket(RAW_SINK_LEFTOVER_GRACE_S="60", RAW_SINK_PART_BYTES="5MiB")  # type: ignore[operator]
    assert program(DIE, settings, RUNS[0]).wait(60) < 0  # type: ignore[operator]
    sink = open_sink(settings, monkeypatch)

    async def main() -> None:
        landing = rawsink.aio.RawSink(sink)
        async with await landing.write_partition(KEY, RUNS[0]) as writer:
            await writer.write_payload_row({"n": 1})
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(writer.finalize(), 1)

    asyncio.run(asyncio.wait_for(main(), 30))
    assert not any(run.sealed for run in sink.list_runs(KEY))
