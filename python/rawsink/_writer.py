"""Writes one partition."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _process, _rawsink
from ._types import PartitionKey, Reject, Sealed

if TYPE_CHECKING:
    from typing_extensions import Self


class PartitionWriter(_rawsink.PartitionWriter):
    """Writes the rows of one partition and seals it.

    Nothing is visible before :meth:`finalize`. Leaving a ``with`` block without it aborts the
    attempt, and so does dropping the writer. Any error ends the writer: a run with a refused row is
    never sealed, unless ``on_reject`` is given.

    Rows are collected and sent in batches of 256 KiB, without holding the interpreter. Threads may
    share a writer; their rows are mixed.
    """

    key: PartitionKey

    @classmethod
    def _open(
        cls,
        sink: _rawsink.Sink,
        key: PartitionKey,
        run_id: str,
        *,
        default: Callable[[Any], Any] | None,
        on_reject: Callable[[Reject], object] | None,
        max_rejects: int | None,
        skip_blank: bool,
        require_members: list[str],
    ) -> Self:
        def take(line: int, reason: str, text: bytes) -> None:
            if on_reject is not None:
                on_reject(Reject(line, reason, text))

        writer = cls(
            sink,
            key,
            run_id,
            default=default,
            on_reject=None if on_reject is None else take,
            max_rejects=max_rejects,
            skip_blank=skip_blank,
            require_members=require_members,
        )
        writer.key = key
        _process.watch(writer)
        return writer

    def finalize(self, metadata: Mapping[str, Any] | None = None, /, **fields: Any) -> Sealed:
        """Seal the partition: the payload first, ``metadata.json`` last.

        ``metadata`` is stored exactly as given. Without it, the names of the partition,
        ``extracted_at`` (now), ``schema_version`` (``v1``) and ``record_count`` are filled in, and
        ``fields`` are added or replace them::

            writer.finalize(api_version="v21", query_hash=digest)

        Ctrl-C and :meth:`cancel` end it, with nothing sealed, until the seal is written. Writing
        the seal is never interrupted.

        Raises :class:`AlreadySealed` or :class:`Conflict` if another writer was first,
        :class:`Invalid` if the metadata contradicts the partition or the rows, and
        :class:`Unknown` if the seal may exist.
        """
        if metadata is not None and fields:
            raise TypeError("pass the metadata, or fields to complete it, not both")
        if metadata is not None:
            if not isinstance(metadata, Mapping):
                raise TypeError("metadata must be a mapping")
            metadata = dict(metadata)
        return Sealed(**json.loads(self._finalize(metadata, fields or None)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def __del__(self) -> None:
        self.abort()

    def __repr__(self) -> str:
        return f"<PartitionWriter {self.path}: {self.record_count} rows>"
