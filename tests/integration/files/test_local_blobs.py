"""Blobs on the disk: durable when acknowledged, flat in memory, and no folder is left behind."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.files.blobs import BlobStore

MIB = 1024 * 1024


async def pieces(*sizes: int) -> AsyncIterator[bytes]:
    for number, size in enumerate(sizes):
        yield bytes([number % 251]) * size


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


async def test_a_folder_goes_with_the_last_blob_in_it(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    await store.put("results/job_1/1-1.json", b"x")
    await store.put("results/job_2/1-1.json", b"x")

    await store.delete("results/job_1/1-1.json")

    assert [each.name for each in (tmp_path / "blobs" / "results").iterdir()] == ["job_2"]
