"""A zip file as an input: every file in it becomes a stored file and a request about it."""

import asyncio
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from lzma import LZMAError
from typing import Any, cast

import orjson

from shared.batches.archive import Entry, open_archive, read_directory
from shared.batches.envelope import Flaw
from shared.batches.lines import Line, LineError
from shared.batches.outputs import unpacked_file_id
from shared.batches.reading import Check, Place, Reading, Skipped
from shared.database import Row
from shared.files.blobs import READ_BYTES, BlobStore
from shared.settings import Settings

AT_ONCE = 32
BYTES_AT_ONCE = 16 * 1024 * 1024
"""Other batches wait meanwhile."""
Opened = tuple[zipfile.ZipFile, Sequence[Entry]]
BROKEN = (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError, NotImplementedError)
PURPOSE = "user_data"


class ArchiveSource:
    """A zip file in the blob store, read in threads."""

    def __init__(
        self, blobs: BlobStore, settings: Settings, batch: Row, number: int, blob: str
    ) -> None:
        self._blobs = blobs
        self._settings = settings
        self._batch = batch
        self._number = number
        self._blob = blob
        self._keeping: AsyncExitStack | None = None
        self._opened: Opened | None = None

    async def read(
        self, check: Check, *, start: Place, first_line: int, skipped: Skipped
    ) -> AsyncIterator[Reading]:
        """Yield the files, a few at a time; each has been unpacked once, to see that it is whole."""
        async with self._open() as (archive, entries):
            for some in _handfuls(entries[start.lines :]):
                wanted = [each for each in some if not skipped.covers(first_line + each.number - 1)]
                items = [
                    await self._item(archive, each, check, first_line + each.number - 1)
                    for each in wanted
                ]
                yield Reading(items, Place(some[-1].number, 0))
            yield Reading((), Place(len(entries), 0))

    async def unpack(self, lines: Sequence[Line], first_line: int) -> list[dict[str, Any]]:
        """Put the files of these lines into the blob store; return their rows, not stored yet.

        A second time it writes the same bytes under the same keys.
        """
        async with self._open() as (archive, entries):
            return [
                await self._store(archive, entries[line.number - first_line], line)
                for line in lines
            ]

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep the archive open from its first use on: to open one of many files takes a second."""
        async with AsyncExitStack() as keeping:
            self._keeping = keeping
            try:
                yield
            finally:
                self._keeping = self._opened = None

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Opened]:
        if self._keeping is None:
            async with self._opening() as opened:
                yield opened
            return
        if self._opened is None:
            self._opened = await self._keeping.enter_async_context(self._opening())
        yield self._opened

    @asynccontextmanager
    async def _opening(self) -> AsyncIterator[Opened]:
        async with self._blobs.local_path(self._blob) as path:
            archive = await asyncio.to_thread(open_archive, path, self._settings)
            try:
                size = path.stat().st_size
                yield (
                    archive,
                    await asyncio.to_thread(read_directory, archive, size, self._settings),
                )
            finally:
                archive.close()

    async def _item(
        self, archive: zipfile.ZipFile, entry: Entry, check: Check, number: int
    ) -> Line | LineError:
        flaw = entry.flaw or await asyncio.to_thread(_read_through, archive, entry)
        if flaw is not None:
            return LineError(number, flaw.code, flaw.message)
        line = {"custom_id": entry.name, "file_id": self._file_id(entry)}
        return check(orjson.dumps(line), number)

    def _file_id(self, entry: Entry) -> str:
        batch = self._batch
        return unpacked_file_id(batch["id"], batch["created_at"], self._number, entry.number)

    async def _store(self, archive: zipfile.ZipFile, entry: Entry, line: Line) -> dict[str, Any]:
        file_id = cast("str", line.file_id)
        blob = f"files/{file_id[-2:]}/{file_id}"
        size, digest = await self._blobs.put_stream(
            blob, _pieces(archive, entry), self._settings.max_file_bytes
        )
        return {**self._row(entry, file_id), "blob": blob, "bytes": size, "sha256": digest}

    def _row(self, entry: Entry, file_id: str) -> Mapping[str, Any]:
        kept_s = self._batch["retention_s"] or self._settings.result_retention_s
        return {
            "id": file_id,
            "tenant_id": self._batch["tenant_id"],
            "filename": entry.filename,
            "purpose": PURPOSE,
            "content_type": None,
            "lines": None,
            "created_at": self._batch["created_at"],
            # They are the batch's own, and kept as long as its results are.
            "expires_at": self._batch["complete_by"] + round(kept_s * 1000),
        }


def _handfuls(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    some: list[Entry] = []
    size = 0
    for entry in entries:
        some.append(entry)
        size += entry.info.file_size
        if len(some) == AT_ONCE or size >= BYTES_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def _read_through(archive: zipfile.ZipFile, entry: Entry) -> Flaw | None:
    try:
        with archive.open(entry.info) as file:
            while file.read(READ_BYTES):
                pass
    except (*BROKEN, RuntimeError) as error:
        message = f"`{entry.name}` cannot be unpacked ({error}): pack it again."
        return Flaw("invalid_archive_entry", message)
    return None


async def _pieces(archive: zipfile.ZipFile, entry: Entry) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(archive.open, entry.info)
    try:
        while piece := await asyncio.to_thread(file.read, READ_BYTES):
            yield piece
    finally:
        file.close()
