"""Cancel, retry and delete, on both databases."""

import asyncio

import pytest

from shared.database import Database
from shared.jobs import change_store, store
from shared.jobs.transitions import JobState
from tests.integration.jobs.conftest import AddJob
from tests.integration.jobs.test_claims import claim, finish, row


async def cancel(database: Database, job_id: str, tenant: str = "ten_1") -> JobState | None:
    async with database.transaction() as db:
        state, _ = await change_store.cancel(db, tenant, job_id)
    return state


async def test_a_waiting_job_is_cancelled_at_once(database: Database, add_job: AddJob) -> None:
    job_id = await add_job()

    assert await cancel(database, job_id) == JobState.CANCELLED
    assert (await row(database, job_id))["state"] == JobState.CANCELLED
    assert not await claim(database, [job_id])


async def test_a_running_job_is_asked(database: Database, add_job: AddJob) -> None:
    job_id = await add_job()
    await claim(database, [job_id])

    assert await cancel(database, job_id) == JobState.RUNNING
    assert (await row(database, job_id))["cancel_requested"]


async def test_an_ended_job_stays_as_it_is(database: Database, add_job: AddJob) -> None:
    job_id = await add_job(state=JobState.COMPLETED)

    assert await cancel(database, job_id) == JobState.COMPLETED
    assert await cancel(database, job_id, "ten_2") is None


async def test_cancel_and_completion_race_to_one_end(database: Database, add_job: AddJob) -> None:
    for _ in range(25):
        job_id = await add_job()
        (job,) = await claim(database, [job_id])
        ended, state = await asyncio.gather(finish(database, job), cancel(database, job_id))

        final = (await row(database, job_id))["state"]
        assert ended
        assert final == JobState.COMPLETED
        assert state in {JobState.RUNNING, JobState.COMPLETED}


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED])
async def test_a_retry_opens_a_new_generation(
    database: Database, add_job: AddJob, state: JobState
) -> None:
    job_id = await add_job(state=state, failures=5, crashes=3, cancel_requested=True)

    async with database.transaction() as db:
        assert await change_store.retry(db, "ten_1", job_id, lifetime_ms=60_000)

    again = await row(database, job_id)
    assert tuple(again[name] for name in ("state", "generation", "failures", "crashes")) == (
        JobState.QUEUED,
        2,
        0,
        0,
    )
    assert again["wakeup_at"] is None, "the scheduler wakes it"


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.RUNNING, JobState.QUEUED])
async def test_other_jobs_are_not_retried(
    database: Database, add_job: AddJob, state: JobState
) -> None:
    job_id = await add_job(state=state)

    async with database.transaction() as db:
        assert not await change_store.retry(db, "ten_1", job_id, lifetime_ms=60_000)
        assert not await change_store.retry(db, "ten_2", job_id, lifetime_ms=60_000)


async def test_deleting_leaves_a_tombstone_with_its_cost(
    database: Database, add_job: AddJob
) -> None:
    (job,) = await claim(database, [await add_job(custom_id="mine")])
    await finish(database, job)

    async with database.transaction() as db:
        assert await change_store.erase(db, "ten_2", job.id) is None
        assert await change_store.erase(db, "ten_1", job.id) == []
        assert await change_store.erase(db, "ten_1", job.id) is None
        assert not await store.results_of(db, [job.id])

    tomb = await row(database, job.id)
    assert (tomb["cost_nanousd"], tomb["custom_id"]) == (5, None)
    assert tomb["deleted_at"] is not None


async def test_a_job_under_way_is_not_deleted(database: Database, add_job: AddJob) -> None:
    job_id = await add_job()

    async with database.transaction() as db:
        assert await change_store.erase(db, "ten_1", job_id) is None
