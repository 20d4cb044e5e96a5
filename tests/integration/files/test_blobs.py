"""Bytes in and out of both kinds of store: whole, bounded, durable, flat in memory."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from shared.errors import TooLarge
from shared.files.blobs import BlobStore

MIB = 1024 * 1024


async def pieces(*sizes: int) -> AsyncIterator[bytes]:
    for number, size in enumerate(sizes):
        yield bytes([number % 251]) * size


def everything_below(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


async def test_what_is_put_comes_back(blobs: BlobStore) -> None:
    await blobs.put("jobs/ab/one.json", b"content")

    assert await blobs.get("jobs/ab/one.json") == b"content"
    assert [each async for each in blobs.stream("jobs/ab/one.json")] == [b"content"]


@pytest.mark.parametrize("sizes", [(), (0,), (1,), (3 * MIB, 7, 4 * MIB), (65536,) * 130])
async def test_a_stream_comes_back_with_its_size_and_hash(
    blobs: BlobStore, sizes: tuple[int, ...]
) -> None:
    whole = b"".join([each async for each in pieces(*sizes)])

    size, digest = await blobs.put_stream("a/b", pieces(*sizes), len(whole))

    assert (size, digest) == (len(whole), sha256(whole).hexdigest())
    assert await blobs.get("a/b") == whole
    assert b"".join([each async for each in blobs.stream("a/b")]) == whole


async def test_one_byte_too_many_leaves_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(TooLarge) as caught:
        await blobs.put_stream("a/b", pieces(2 * MIB, 1), 2 * MIB)

    assert caught.value.extra["limit"] == 2 * MIB
    with pytest.raises(FileNotFoundError):
        await blobs.get("a/b")
    assert not everything_below(tmp_path)


async def test_a_stream_that_breaks_off_leaves_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 3 * MIB
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.put_stream("a/b", broken(), 10 * MIB)

    assert not everything_below(tmp_path)


async def test_a_cancelled_upload_leaves_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    begun, forever = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 3 * MIB
        begun.set()
        await forever.wait()

    upload = asyncio.create_task(blobs.put_stream("a/b", endless(), 10 * MIB))
    await begun.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload

    forever.set()

    async with asyncio.timeout(10):
        # The store tidies up on a thread of its own, which tells nobody.
        while everything_below(tmp_path):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_is_not_there_is_said_to_be_missing(blobs: BlobStore) -> None:
    with pytest.raises(FileNotFoundError):
        await blobs.get("no/such")
    with pytest.raises(FileNotFoundError):
        await anext(blobs.stream("no/such"))
    with pytest.raises(FileNotFoundError):
        async with blobs.local_path("no/such"):
            pass


async def test_deleting_twice_does_no_harm(blobs: BlobStore) -> None:
    await blobs.put("a/b", b"x")

    await blobs.delete("a/b")
    await blobs.delete("a/b")

    with pytest.raises(FileNotFoundError):
        await blobs.get("a/b")


async def test_a_local_path_can_be_read_and_a_copy_goes_away(blobs: BlobStore) -> None:
    await blobs.put_stream("a/b", pieces(MIB, 5), 2 * MIB)

    async with blobs.local_path("a/b") as path:
        assert path.stat().st_size == MIB + 5
    local = blobs.free_bytes() is not None

    assert path.exists() == local


async def test_an_acknowledged_blob_is_on_the_disk_with_all_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data" / "blobs"
    store, synced, real = BlobStore(root), set(), os.fsync

    def watched(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.add((status.st_dev, status.st_ino))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)

    for key in ("jobs/ab/one", "files/cd/two"):
        synced.clear()
        if key.startswith("jobs"):
            await store.put(key, b"x")
        else:
            await store.put_stream(key, pieces(MIB, MIB), 3 * MIB)
        path = root / key
        needed = (path, path.parent, path.parent.parent, root)
        assert {(each.stat().st_dev, each.stat().st_ino) for each in needed} <= synced


SCRIPT = """
import asyncio, resource, sys
from pathlib import Path
from shared.files.blobs import BlobStore

async def chunks():
    for _ in range(200 * 16):
        yield bytes(65536)

async def main():
    store = BlobStore(Path(sys.argv[1]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size, _ = await store.put_stream("a/b", chunks(), 1 << 30)
    read = sum([len(piece) async for piece in store.stream("a/b")])
    assert size == read == 200 * 1024 * 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

asyncio.run(main())
"""


def test_memory_stays_flat_for_200_megabytes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )

    assert int(done.stdout) < 32 * 1024
