"""Bytes under a key: a local folder, or any object store that obstore knows."""

import asyncio
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore

from shared.clock import now_ms
from shared.errors import TooLarge
from shared.ids import new_id

READ_BYTES = 256 * 1024
PARTS_AT_ONCE = 2
LISTED_AT_ONCE = 500
_LOCAL_PART_BYTES = 1024 * 1024
# The least that S3 takes for a part of an upload.
_REMOTE_PART_BYTES = 5 * 1024 * 1024
_NO_BUCKET = "NoSuchBucket"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob that is there, and when it was written by the clock of whoever stores it."""

    key: str
    written_at: int


def new_key(folder: str) -> str:
    """Return a new key in `folder`, spread over sub-folders so that none grows without bound."""
    name = new_id("blob")
    return f"{folder}/{name[-2:]}/{name}"


def too_large(max_bytes: int) -> TooLarge:
    """Return the refusal of a file that is longer than `max_bytes`."""
    detail = f"The file is larger than {max_bytes} bytes: split it."
    return TooLarge(detail, code="file_too_large", param="file", extra={"limit": max_bytes})


class BlobStore:
    """Write-once blobs. When a write returns, the bytes survive a power cut.

    Memory stays flat whatever the size of a stream. Keys are words of `A-Za-z0-9._-` between
    slashes, so none leads out of the store.

    Every method raises ValueError for another key, FileNotFoundError for one that is not there
    (except `delete`), and OSError when the disk is full or the store out of reach.
    """

    def __init__(self, root: Path, *, store: ObjectStore | None = None) -> None:
        """Keep blobs below `root`, or in `store` when the bytes shall be somewhere else."""
        self._root = root if store is None else None
        # A folder goes with the last blob in it: there is one for every job with a large result.
        self._store = store or LocalStore(root, mkdir=True, automatic_cleanup=True)
        self._part_bytes = _LOCAL_PART_BYTES if store is None else _REMOTE_PART_BYTES
        if store is None:
            # The folder may be new, and so may the one that it is in.
            for folder in root.absolute().parents[:2]:
                _sync(folder)

    async def put(self, key: str, data: bytes) -> None:
        """Store bytes that are in memory anyway."""
        with _os_errors():
            await obstore.put_async(self._store, _checked(key), data, use_multipart=False)
        await self._settle(key)

    async def put_stream(
        self, key: str, chunks: AsyncIterator[bytes], max_bytes: int
    ) -> tuple[int, str]:
        """Store a stream; return its size in bytes and its SHA-256 in hexadecimal.

        Raises:
            TooLarge: there are more than `max_bytes`; nothing is kept.
            Exception: whatever `chunks` raises; nothing is kept.
        """
        counter = _Counter(chunks, max_bytes)
        with _os_errors():
            await obstore.put_async(
                self._store,
                _checked(key),
                counter.read(),
                chunk_size=self._part_bytes,
                max_concurrency=PARTS_AT_ONCE,
            )
        await self._settle(key)
        return counter.size, counter.hash.hexdigest()

    async def get(self, key: str) -> bytes:
        """Return the whole blob."""
        with _os_errors():
            found = await obstore.get_async(self._store, _checked(key))
            return bytes(await found.bytes_async())

    async def stream(self, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the blob in pieces, from byte `start` on; a missing one raises before the first.

        `start` must not be behind the last byte.
        """
        with _os_errors():
            # A range of an empty blob would be an error.
            found = await obstore.get_async(
                self._store,
                _checked(key),
                options={"range": {"offset": start}} if start else None,
            )
            async for piece in found.stream(min_chunk_size=READ_BYTES):
                yield bytes(piece)

    async def delete(self, key: str) -> None:
        """Remove a blob, if it is there."""
        with _os_errors(), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, _checked(key))

    async def pages(self) -> AsyncIterator[Sequence[StoredBlob]]:
        """List every blob, page by page and in no order, at the pace of who reads."""
        with _os_errors():
            async for page in obstore.list(self._store, chunk_size=LISTED_AT_ONCE):
                yield [
                    StoredBlob(each["path"], round(each["last_modified"].timestamp() * 1000))
                    for each in page
                ]

    async def remove_unfinished(self, *, older_than_s: float) -> int:
        """Remove what writers that died left half-written; return how many.

        On object storage that is the bucket's own business: a rule of its life cycle.
        """
        if self._root is None:
            return 0
        return await asyncio.to_thread(_remove_staged, self._root, now_ms() / 1000 - older_than_s)

    @asynccontextmanager
    async def local_path(self, key: str) -> AsyncIterator[Path]:
        """Give the blob as a file to read: its own when it is local, else a copy while it is needed."""
        if self._root is not None:
            path = self._root / _checked(key)
            if not await asyncio.to_thread(path.is_file):
                raise FileNotFoundError(key)
            yield path
            return
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="penstock-"))
        try:
            yield await self._download(key, folder / "blob")
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _download(self, key: str, path: Path) -> Path:
        with path.open("wb") as file:
            async for piece in self.stream(key):
                await asyncio.to_thread(file.write, piece)
        return path

    def free_bytes(self) -> int | None:
        """Return the room that is left, None when nobody knows."""
        return None if self._root is None else shutil.disk_usage(self._root).free

    async def _settle(self, key: str) -> None:
        # obstore renames a finished file into place without asking for it to reach the disk.
        if self._root is not None:
            await asyncio.to_thread(_sync_up, self._root, self._root / key)


@contextmanager
def _os_errors() -> Iterator[None]:
    # To obstore a full disk is an error of its own kind, to everyone else it is an OSError.
    try:
        yield
    except FileNotFoundError as error:
        if _NO_BUCKET not in str(error):
            raise
        # Not one blob is missing but the whole store: that may pass.
        message = "the object store knows no such bucket"
        raise OSError(message) from error
    except BaseError as error:
        raise OSError(str(error).partition("\n")[0]) from error


class _Counter:
    def __init__(self, chunks: AsyncIterator[bytes], max_bytes: int) -> None:
        self._chunks = chunks
        self._max_bytes = max_bytes
        self.size = 0
        self.hash = hashlib.sha256()

    async def read(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            self.size += len(chunk)
            if self.size > self._max_bytes:
                raise too_large(self._max_bytes)
            self.hash.update(chunk)
            yield chunk


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        message = f"{key!r} is no key of a blob"
        raise ValueError(message)
    return key


def _remove_staged(root: Path, before: float) -> int:
    removed = 0
    for folder, _, names in os.walk(root):
        # How obstore names what it has not finished; no key looks like it.
        for path in (Path(folder, name) for name in names if "#" in name):
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()
                    removed += 1
    return removed


def _sync_up(root: Path, path: Path) -> None:
    # The name must be on disk as well as the bytes, and so must each folder that is new.
    for each in (path, *path.parents):
        _sync(each)
        if each == root:
            return


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
