"""Jobs past their time: gone with all that belongs to them, counted once, and nothing else touched."""

import asyncio
import os
import time

import pytest

from shared.files.blobs import new_key
from shared.jobs import retention_store
from shared.jobs.transitions import JobState
from tests.integration.cli.processes import until
from tests.integration.retention.conftest import DAY_MS, Archive
from workers.scheduler import leader, retention


async def test_what_is_past_goes_whole_and_the_rest_stays_whole(archive: Archive) -> None:
    kept = {await archive.add_job(days_ago=29.9) for _ in range(2)}
    kept |= {await archive.add_job(days_ago=20, state=JobState.QUEUED, finished_at=None)}
    for _ in range(3):
        await archive.add_job(days_ago=30.1)

    await archive.prune()

    assert await archive.ids() == kept
    assert await archive.owners_of_belongings() == kept
    assert await archive.keys() == {f"results/{each}/1-1.json" for each in kept}


async def test_what_is_left_is_counts_and_cost_by_day(archive: Archive) -> None:
    that_day = 31.0
    for state in (JobState.COMPLETED, JobState.COMPLETED, JobState.FAILED, JobState.EXPIRED):
        await archive.add_job(days_ago=that_day, state=state)
    other_day = await archive.add_job(days_ago=45, cost_nanousd=None, input_tokens=None)
    ended = {row["id"]: row["finished_at"] for row in await archive.rows("job")}

    await archive.prune()
    await archive.add_job(days_ago=that_day, state=JobState.CANCELLED)
    await archive.prune()

    rows = {row["day"]: row for row in await archive.rows("purged")}
    older = rows.pop(ended[other_day] // DAY_MS)
    assert (older["completed"], older["cost_nanousd"], older["input_tokens"]) == (1, 0, 0)
    sums = {name: sum(row[name] for row in rows.values()) for name in older if name != "tenant_id"}
    assert (sums["completed"], sums["failed"], sums["expired"], sums["cancelled"]) == (2, 1, 1, 1)
    assert (sums["cost_nanousd"], sums["input_tokens"], sums["output_tokens"]) == (3500, 50, 10)
    assert {row["tenant_id"] for row in rows.values()} == {"ten_1"}


async def test_a_tenants_own_time_goes_before_the_setting(archive: Archive) -> None:
    mine = await archive.add_job(days_ago=2)
    await archive.add_job(days_ago=2, tenant="ten_2")
    theirs = await archive.add_job(days_ago=0.5, tenant="ten_2")

    await archive.prune()

    assert await archive.ids() == {mine, theirs}


async def test_a_line_stays_as_long_as_its_batch(archive: Archive) -> None:
    await archive.add_batch(2, days_ago=29.5)

    await archive.prune()

    # They ended a day before it did.
    assert len(await archive.ids()) == 2


async def test_what_is_still_to_be_delivered_is_delivered(archive: Archive) -> None:
    job_id = await archive.add_job(days_ago=31)
    await archive.add_delivery("del_due", "ten_1", state="pending", next_try_at=1, job_id=job_id)

    await archive.prune()

    assert await archive.ids("webhook_delivery") == {"del_due"}
    assert await archive.ids() == set()


async def test_many_go_chunk_by_chunk(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        await archive.add_job(days_ago=31)
    monkeypatch.setattr(retention, "JOBS_AT_ONCE", 2)

    await archive.prune()

    assert await archive.ids() == set()
    assert sum(row["completed"] for row in await archive.rows("purged")) == 5


async def test_two_leaders_count_a_job_once(archive: Archive) -> None:
    for _ in range(20):
        await archive.add_job(days_ago=31)

    await asyncio.gather(*(archive.prune() for _ in range(3)))

    assert await archive.ids() == set()
    assert sum(row["completed"] for row in await archive.rows("purged")) == 20


async def test_the_leader_of_the_schedulers_does_it(archive: Archive) -> None:
    await archive.add_job(days_ago=31)
    await archive.add_batch(2, days_ago=31)
    key = new_key("files")
    orphan = archive.resources.settings.data_dir / "blobs" / key
    await archive.blobs.put(key, b"x")
    os.utime(orphan, (time.time() - 90_000,) * 2)
    stopping = asyncio.Event()
    leading = asyncio.create_task(leader.run(archive.resources.settings, stopping))

    await until(lambda: not orphan.exists())
    async with asyncio.timeout(30):
        while await archive.ids():  # noqa: ASYNC110  the leader tells nobody
            await asyncio.sleep(0.05)

    stopping.set()
    await leading


async def test_one_that_was_opened_again_stays(archive: Archive) -> None:
    job_id = await archive.add_job(days_ago=31, state=JobState.FAILED)
    async with archive.database.reading() as db:
        ids = await retention_store.past(db, "ten_1", older_than_ms=DAY_MS, limit=10)
    assert list(ids) == [job_id]
    async with archive.database.transaction() as db:
        await db.exec_driver_sql("UPDATE job SET state = 'queued', finished_at = NULL")

    async with archive.database.transaction() as db:
        removed = await retention_store.remove_single(db, ids)

    assert (removed.jobs, list(removed.blobs)) == (0, [])
    assert await archive.ids() == {job_id}
    assert await archive.rows("purged") == []
    assert await archive.owners_of_belongings() == {job_id}
