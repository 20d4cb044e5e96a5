"""Events as they are read for who follows a job: on both databases, and once for many."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert

from api.events.reader import EventReader
from shared import migrate
from shared.database import Database
from shared.errors import Gone, NotFound
from shared.events import store as event_store
from shared.events.event import EventType
from shared.jobs.store import JOBS

TENANT = "ten_1"
TYPES = (EventType.QUEUED, EventType.STARTED, EventType.COMPLETED)


def job(job_id: str, version: int, **more: Any) -> dict[str, Any]:
    wanted = {"max_attempts": 1, "on_unknown": "fail", "complete_by": 9, "request_bytes": 1}
    row = {"id": job_id, "tenant_id": TENANT, "endpoint": "e", "model": "m", "state": "running"}
    counts = dict.fromkeys(("claim_number", "failures", "waits", "crashes"), 0)
    flags = {"generation": 1, "cancel_requested": False, "cached": False, "metadata": {}}
    return {
        **row,
        **wanted,
        **counts,
        **flags,
        "priority": 1,
        "created_at": 1,
        "version": version,
    } | more


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await migrate.upgrade(database)
    async with database.transaction() as db:
        for row in (job("job_1", 2), job("job_2", 1), job("job_3", 1, deleted_at=5)):
            await db.execute(insert(JOBS).values(**row))
        rows = [
            {"job_id": name, "number": number, "type": kind, "reason": None, "created_at": number}
            for name, kinds in (("job_1", TYPES), ("job_2", TYPES[:1]))
            for number, kind in enumerate(kinds, start=1)
        ]
        await event_store.add(db, rows)
    yield database
    await database.close()


async def test_a_job_comes_with_the_events_up_to_what_it_is(database: Database) -> None:
    reader = EventReader(database)

    row, events = await reader.after(TENANT, "job_1", 0)

    # The third event was committed after the job was looked at.
    assert (row["version"], [each["number"] for each in events]) == (2, [1, 2])
    assert [each["type"] for each in events] == ["job.queued", "job.started"]
    assert (await reader.after(TENANT, "job_1", 2))[1] == []


async def test_strangers_and_the_deleted_are_not_read(database: Database) -> None:
    reader = EventReader(database)
    for tenant_id, job_id, error in (
        ("ten_2", "job_1", NotFound),
        (TENANT, "job_9", NotFound),
        (TENANT, "job_3", Gone),
    ):
        with pytest.raises(error):
            await reader.after(tenant_id, job_id, 0)


async def test_many_who_ask_the_same_ask_once(database: Database) -> None:
    reader = EventReader(database)

    found = await asyncio.gather(*(reader.after(TENANT, "job_1", 0) for _ in range(20)))

    assert len({id(row) for row, _ in found}) == 1
    later = await reader.after(TENANT, "job_1", 0)
    assert later[0] is not found[0][0], "an old answer must not be given again"


async def test_one_who_leaves_takes_the_answer_from_nobody(database: Database) -> None:
    reader = EventReader(database)
    one = asyncio.create_task(reader.after(TENANT, "job_1", 0))
    other = asyncio.create_task(reader.after(TENANT, "job_1", 0))
    await asyncio.sleep(0)

    one.cancel()

    assert (await other)[0]["id"] == "job_1"


async def test_the_newest_events_of_many(database: Database) -> None:
    async with database.reading() as db:
        newest = await event_store.newest_of(db, ["job_1", "job_2", "job_3"])
        assert await event_store.newest_of(db, []) == {}

    assert newest == {"job_1": 3, "job_2": 1}
