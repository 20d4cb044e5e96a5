"""Rows of files: seen by their tenant until they expire or go, then swept away with their bytes."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from shared.batches.model import Batch, BatchInput
from shared.clock import now_ms
from shared.database import Database
from shared.files import removal, store
from shared.files.blobs import BlobStore
from shared.files.model import StoredFile


async def add(database: Database, number: int, **changes: Any) -> str:
    row = {
        "id": f"file-{number:026}",
        "tenant_id": "ten_one",
        "filename": "a.txt",
        "purpose": "user_data",
        "content_type": "text/plain",
        "bytes": 1,
        "sha256": "0" * 64,
        "blob": f"files/ab/{number}",
        "created_at": 1000 + number,
        "expires_at": None,
        **changes,
    }
    async with database.transaction() as db:
        await store.insert_file(db, row)
    return str(row["id"])


async def count(database: Database) -> int:
    async with database.reading() as db:
        return int((await db.execute(select(func.count()).select_from(StoredFile))).scalar_one())


async def ids(database: Database, **options: Any) -> list[str]:
    asked = {"purpose": None, "after": None, "ascending": True, "limit": 10, **options}
    async with database.reading() as db:
        return [row["id"] for row in await store.page(db, "ten_one", **asked)]


async def test_a_file_is_seen_by_its_own_tenant_only(database: Database) -> None:
    file_id = await add(database, 1)

    async with database.reading() as db:
        mine = await store.get(db, "ten_one", file_id)
        theirs = await store.get(db, "ten_two", file_id)
    async with database.transaction() as db:
        assert await store.mark_deleted(db, "ten_two", file_id) is None

    assert mine is not None
    assert (mine.blob, mine.filename, mine.content_type) == ("files/ab/1", "a.txt", "text/plain")
    assert theirs is None


async def test_pages_go_on_behind_a_file_in_both_orders(database: Database) -> None:
    made = [await add(database, number, created_at=1000 + number // 2) for number in range(6)]
    await add(database, 9, purpose="batch")
    await add(database, 10, tenant_id="ten_two")

    assert await ids(database, purpose="user_data") == made
    third = (1001, made[2])
    assert await ids(database, purpose="user_data", after=third, limit=2) == made[3:5]
    assert await ids(database, after=third, ascending=False) == [made[1], made[0]]


async def test_an_expired_or_deleted_file_is_out_of_sight(database: Database) -> None:
    expired = await add(database, 1, expires_at=now_ms() - 1)
    lasting = await add(database, 2, expires_at=now_ms() + 3_600_000)
    deleted = await add(database, 3)
    async with database.transaction() as db:
        assert await store.mark_deleted(db, "ten_one", deleted) == "files/ab/3"
        assert await store.mark_deleted(db, "ten_one", deleted) is None

    assert await ids(database) == [lasting]
    async with database.reading() as db:
        assert await store.get(db, "ten_one", expired) is None
        assert await store.get(db, "ten_one", deleted) is None


async def test_removal_takes_row_and_bytes(database: Database, blobs: BlobStore) -> None:
    file_id = await add(database, 1)
    await blobs.put("files/ab/1", b"x")

    assert not await removal.remove(database, blobs, tenant_id="ten_two", file_id=file_id)
    assert await blobs.get("files/ab/1") == b"x"
    assert await removal.remove(database, blobs, tenant_id="ten_one", file_id=file_id)
    assert not await removal.remove(database, blobs, tenant_id="ten_one", file_id=file_id)

    assert await count(database) == 0
    with pytest.raises(FileNotFoundError):
        await blobs.get("files/ab/1")


async def test_the_sweep_finishes_what_a_crash_left(database: Database, blobs: BlobStore) -> None:
    half_gone = await add(database, 1)
    await add(database, 2, expires_at=now_ms() - 1)
    kept = await add(database, 3)
    for number in (1, 2, 3):
        await blobs.put(f"files/ab/{number}", b"x")
    async with database.transaction() as db:
        await store.mark_deleted(db, "ten_one", half_gone)

    assert await removal.sweep(database, blobs) == 2
    assert await removal.sweep(database, blobs) == 0

    assert await ids(database) == [kept]
    assert await blobs.get("files/ab/3") == b"x"
    with pytest.raises(FileNotFoundError):
        await blobs.get("files/ab/2")


async def test_a_blob_that_cannot_be_removed_keeps_its_row_for_the_next_sweep(
    database: Database, tmp_path: Path
) -> None:
    blobs = BlobStore(tmp_path / "data" / "blobs")
    file_id = await add(database, 1, blob="files/ab")
    await blobs.put("files/ab/inside", b"a folder is no blob to remove")

    assert await removal.remove(database, blobs, tenant_id="ten_one", file_id=file_id)

    assert await ids(database) == []
    assert await count(database) == 1


async def read_by(database: Database, number: int, *, stored: bool, ended: bool) -> None:
    """Have a batch whose lines are in the file of this number."""
    batch = Batch(
        id=f"batch_{number}",
        tenant_id="ten_one",
        state="in_progress",
        completion_window="24h",
        complete_by=1,
        created_at=1,
        finished_at=1 if ended else None,
    )
    rows = {
        Batch: batch.model_dump() | {"tags": {}},
        BatchInput: BatchInput(
            batch_id=batch.id, number=0, blob=f"files/ab/{number}", bytes=1, stored=stored
        ).model_dump(),
    }
    async with database.transaction() as db:
        for table, row in rows.items():
            await db.execute(insert(table).values(**row))


@pytest.mark.parametrize(
    ("stored", "ended", "stays"),
    [(False, False, True), (True, False, False), (False, True, False)],
)
async def test_what_a_batch_still_reads_stays(
    database: Database, blobs: BlobStore, *, stored: bool, ended: bool, stays: bool
) -> None:
    """Deleted or expired, it is out of sight at once; its bytes go when they were read."""
    deleted, expired = await add(database, 1), await add(database, 2, expires_at=1)
    for number in (1, 2):
        await blobs.put(f"files/ab/{number}", b"1\n")
        await read_by(database, number, stored=stored, ended=ended)

    assert await removal.remove(database, blobs, tenant_id="ten_one", file_id=deleted)
    await removal.sweep(database, blobs)

    async with database.transaction() as db:
        assert await store.get_many(db, "ten_one", [deleted, expired], hold=True) == {}
    assert await count(database) == (2 if stays else 0)
    for number in (1, 2):
        if stays:
            assert await blobs.get(f"files/ab/{number}") == b"1\n"
        else:
            with pytest.raises(FileNotFoundError):
                await blobs.get(f"files/ab/{number}")


async def test_files_are_held_for_their_own_tenant_only(database: Database) -> None:
    one, other = await add(database, 1), await add(database, 2, tenant_id="ten_two")

    async with database.transaction() as db:
        found = await store.get_many(db, "ten_one", [one, other, one, "file-none"], hold=True)

    assert list(found) == [one]
