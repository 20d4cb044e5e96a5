"""Orders of events that once went wrong, on both databases."""

import pytest

from shared.database import Database, is_unavailable
from shared.inference.usage import Usage
from shared.jobs import attempt_store, change_store, claim_store
from shared.jobs.claims import AttemptEnd, AttemptStart, ClaimedJob, ClaimEnd, Result, Standing
from shared.jobs.transitions import AttemptStatus, JobState, Reason
from tests.integration.jobs.conftest import AddJob
from tests.integration.jobs.test_claims import attempts, claim, row, take_away
from workers.journal import Journal


def ended(job: ClaimedJob, state: JobState = JobState.COMPLETED, **rest: object) -> ClaimEnd:
    result = Result(200, b"{}") if state is JobState.COMPLETED else None
    return ClaimEnd(job, state, result=result, **rest)  # type: ignore[arg-type]


async def test_an_old_claim_does_not_pass_beside_a_new_one_in_one_group(
    database: Database, add_job: AddJob
) -> None:
    job_id = await add_job()
    (old,) = await claim(database, [job_id])
    await take_away(database, job_id)
    (new,) = await claim(database, [job_id])

    async with database.transaction() as db:
        held = await claim_store.fence(db, [old, new, old], owner="a")

    assert {new.claim: Standing.HELD} == held


async def test_a_start_written_twice_is_one_attempt(database: Database, add_job: AddJob) -> None:
    (job,) = await claim(database, [await add_job()])

    for _ in range(2):
        async with database.transaction() as db:
            await attempt_store.start_attempts(db, [AttemptStart(job, 1, "d", "lane", 0)], "a")

    assert len(await attempts(database, job.id)) == 1


async def test_a_cancelled_job_does_not_go_back_to_wait(
    database: Database, add_job: AddJob, journal: Journal
) -> None:
    (job,) = await claim(database, [await add_job()])
    async with database.transaction() as db:
        await change_store.cancel(db, "ten_1", job.id)

    assert await journal.end(ended(job, JobState.QUEUED, delay_ms=300_000))

    assert (await row(database, job.id))["state"] == JobState.CANCELLED


async def test_a_completion_that_comes_first_beats_the_cancel(
    database: Database, add_job: AddJob, journal: Journal
) -> None:
    (job,) = await claim(database, [await add_job()])
    async with database.transaction() as db:
        await change_store.cancel(db, "ten_1", job.id)

    assert await journal.end(ended(job))

    assert (await row(database, job.id))["state"] == JobState.COMPLETED


async def test_waiting_for_the_limiter_keeps_the_backoff(
    database: Database, add_job: AddJob
) -> None:
    (job,) = await claim(database, [await add_job(waits=3)])
    wait = ended(job, JobState.QUEUED, reason=Reason.RATE_LIMITED, delay_ms=0)

    async with database.transaction() as db:
        await claim_store.end_claims(db, [wait])
    assert (await row(database, job.id))["waits"] == 3

    (job,) = await claim(database, [job.id])
    answered = AttemptEnd(1, AttemptStatus.ERROR, 500)
    async with database.transaction() as db:
        await claim_store.end_claims(
            db, [ended(job, JobState.QUEUED, failures=1, delay_ms=0, attempts=[answered])]
        )
    assert (await row(database, job.id))["waits"] == 0


async def test_numbers_as_large_as_a_provider_may_report_are_stored(
    database: Database, add_job: AddJob, journal: Journal
) -> None:
    (job,) = await claim(database, [await add_job()])
    call = AttemptEnd(1, AttemptStatus.OK, 200, usage=Usage(2_000_000_000, 2_000_000_000))
    await journal.start(AttemptStart(job, 1, "d", "lane", 0))

    assert await journal.end(ended(job, attempts=[call]))
    assert (await row(database, job.id))["input_tokens"] == 2_000_000_000


async def test_a_deadlock_is_a_database_that_is_away_for_now(postgres_url: str) -> None:
    database = Database(postgres_url)
    try:
        with pytest.raises(Exception, match="deadlock") as caught:
            async with database.transaction() as db:
                await db.exec_driver_sql(
                    "DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"
                )
        assert is_unavailable(caught.value)
        with pytest.raises(Exception, match="nonsense") as caught:
            async with database.transaction() as db:
                await db.exec_driver_sql("SELECT nonsense")
        assert not is_unavailable(caught.value)
    finally:
        await database.close()
