"""Creating and steering batches on each kind of database, also by many at once."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from shared.batches import creation, store
from shared.batches.creation import BatchDraft, Creation, Source
from shared.batches.model import ENDED, Batch, BatchInput, BatchState, InputKind
from shared.batches.options import BatchOptions
from shared.clock import now_ms
from shared.errors import Unprocessable
from shared.files import removal
from shared.ids import new_id
from shared.jobs.draft import IdempotencyClaim
from tests.integration.batches.piles import Piles
from tests.integration.batches.yard import TENANT, Yard

KEY = IdempotencyClaim("key-1", "fingerprint-1")
DAY_MS = 86_400_000


def draft(**changes: Any) -> BatchDraft:
    now = now_ms()
    made: dict[str, Any] = {
        "id": new_id("batch"),
        "tenant_id": TENANT,
        "created_at": now,
        "completion_window": "24h",
        "complete_by": now + DAY_MS,
        "options": BatchOptions(),
    }
    return BatchDraft(**{**made, **changes})


async def create(yard: Yard, **changes: Any) -> Creation:
    return await creation.create(yard.resources.database, draft(**changes), key_ttl_s=60)


async def count(yard: Yard, table: Any) -> int:
    async with yard.resources.database.reading() as db:
        return int((await db.execute(select(func.count()).select_from(table))).scalar_one())


async def test_a_key_stands_for_one_batch(yard: Yard) -> None:
    made = await asyncio.gather(*(create(yard, idempotency=KEY) for _ in range(6)))
    database = yard.resources.database

    assert len({each.batch["id"] for each in made}) == 1
    assert sorted(each.replayed for each in made) == [False] + [True] * 5
    again = await creation.earlier(database, TENANT, KEY)
    assert again is not None
    assert again.batch["id"] == made[0].batch["id"]
    assert await creation.earlier(database, "ten_2", KEY) is None
    with pytest.raises(Unprocessable):
        await create(yard, idempotency=IdempotencyClaim("key-1", "another"))
    assert await count(yard, Batch) == 1


async def test_what_is_added_at_once_is_numbered(yard: Yard) -> None:
    batch = (await create(yard, open=True)).batch
    database = yard.resources.database

    async def add(number: int) -> Creation | None:
        source = Source(InputKind.JSONL, f"files/{number}", 10, 2)
        return await creation.append(database, batch, source, idempotency=None, key_ttl_s=60)

    await asyncio.gather(*(add(number) for number in range(8)))
    async with database.transaction() as db:
        await store.close(db, TENANT, batch["id"])

    assert await add(9) is None
    async with database.reading() as db:
        query = select(col(BatchInput.number)).order_by(col(BatchInput.number))
        assert list((await db.execute(query)).scalars()) == list(range(8))
        assert await store.unread(db) == {TENANT: (16, 80, 26)}


async def test_what_ended_or_was_read_is_not_unread(yard: Yard) -> None:
    source = Source(InputKind.JSONL, "files/1", 3000, 10)
    batch_id = (await create(yard, source=source)).batch["id"]
    database = yard.resources.database
    async with database.reading() as db:
        assert await store.unread(db) == {TENANT: (10, 3000, 1000)}

    await yard.change(batch_id, state=BatchState.FAILED, finished_at=1)

    async with database.reading() as db:
        assert await store.unread(db) == {}


async def test_a_file_that_goes_and_the_batch_that_comes(yard: Yard) -> None:
    """Whoever is first: either the batch finds no file, or its bytes stay."""
    piles, resources = Piles(yard), yard.resources
    for _ in range(10):
        file_id = await piles.put_file(b"1\n")
        blob = next(row["blob"] for row in await piles.files() if row["id"] == file_id)
        source = Source(InputKind.JSONL, blob, 2, 1, file_id)
        removing = removal.remove(
            resources.database, resources.blobs, tenant_id=TENANT, file_id=file_id
        )
        made, removed = await asyncio.gather(
            create(yard, source=source), removing, return_exceptions=True
        )
        assert removed is True
        if isinstance(made, Creation):
            assert await resources.blobs.get(blob) == b"1\n"
        else:
            assert getattr(made, "code", None) == "file_not_found"


async def test_flags_by_state(yard: Yard) -> None:
    """Each change is one statement that says whether it was possible."""
    database = yard.resources.database
    for state in BatchState:
        batch_id = (await create(yard, open=True)).batch["id"]
        ended = {"finished_at": 1} if state in ENDED else {}
        await yard.change(batch_id, state=state, failed=1, total=1, **ended)
        async with database.transaction() as db:
            paused = await store.pause(db, TENANT, batch_id, paused=True)
            closed = await store.close(db, TENANT, batch_id)
            theirs = await store.cancel(db, "ten_2", batch_id)
            again = await store.retry(db, TENANT, batch_id, lifetime_ms=1000)
            cancelled = await store.cancel(db, TENANT, batch_id)
        runs, over = state in store.TAKING, state in ENDED
        retried = over or state is BatchState.IN_PROGRESS
        assert theirs is None
        assert (paused is not None, closed is not None) == (runs, runs), state
        assert (again is not None) == retried, state
        # What is retried runs again.
        assert (cancelled is not None) == (runs or retried), state


async def test_pages_of_one_tenant(yard: Yard) -> None:
    made = [(await create(yard, created_at=number)).batch["id"] for number in (1, 2, 3)]
    await create(yard, tenant_id="ten_2")
    await yard.change(made[1], state=BatchState.COMPLETED)

    async def ids(**asked: Any) -> list[str]:
        usual = {"status": None, "after": None, "ascending": False, "limit": 10}
        async with yard.resources.database.reading() as db:
            return [row["id"] for row in await store.page(db, TENANT, **{**usual, **asked})]

    assert await ids() == made[::-1]
    assert await ids(ascending=True, limit=2) == made[:2]
    assert await ids(after=(2, made[1])) == [made[0]]
    assert await ids(status="completed") == [made[1]]
