"""What the scheduler finds: due, forgotten, abandoned and overdue jobs, on both databases."""

import pytest

from shared import outbox
from shared.clock import now_ms
from shared.database import Database
from shared.enqueue import ActorName, QueueName, Wakeup
from shared.jobs import attempt_store, timer_store
from shared.jobs.changes import Change
from shared.jobs.claims import AttemptStart
from shared.jobs.timer_store import Verdict
from shared.jobs.transitions import AttemptStatus, JobState, Reason
from shared.processes import store as process_store
from shared.processes.store import Life
from tests.integration.jobs.conftest import AddJob
from tests.integration.jobs.test_claims import attempts, claim, row


def judged(job_id: str, state: JobState, reason: Reason) -> Verdict:
    return Verdict(Change(job_id, "ten_1", 3, state, reason))


async def test_a_scheduled_job_enters_the_queue_in_its_time(
    database: Database, add_job: AddJob
) -> None:
    ripe = await add_job(state=JobState.SCHEDULED, not_before=now_ms() - 5, wakeup_at=None)
    later = await add_job(state=JobState.SCHEDULED, not_before=now_ms() + 60_000, wakeup_at=None)

    async with database.transaction() as db:
        assert await timer_store.any_ripe(db)
        (queued,) = await timer_store.queue_scheduled(db, limit=10)
        assert not await timer_store.any_ripe(db)

    assert (queued.job_id, queued.number, queued.type) == (ripe, 2, "job.queued")
    assert (await row(database, ripe))["state"] == JobState.QUEUED
    assert (await row(database, later))["state"] == JobState.SCHEDULED


async def test_a_forgotten_job_is_woken_again(database: Database, add_job: AddJob) -> None:
    silent = await add_job(wakeup_at=now_ms() - 10_000)
    await add_job(wakeup_at=now_ms())
    await add_job(wakeup_at=now_ms() - 10_000, priority=0)

    async with database.transaction() as db:
        found = await timer_store.take_forgotten(db, priority=1, silent_ms=5000, limit=10)
        again = await timer_store.take_forgotten(db, priority=1, silent_ms=5000, limit=10)

    assert [silent] == [job.id for job in found]
    assert not again


async def test_an_abandoned_job_is_reclaimed_and_its_call_unknown(
    database: Database, add_job: AddJob
) -> None:
    job_id = await add_job()
    (job,) = await claim(database, [job_id], lease_ms=-1)
    async with database.transaction() as db:
        await attempt_store.start_attempts(db, [AttemptStart(job, 1, "d", "lane", 0)], "a")
    held = await add_job()
    await claim(database, [held])

    async with database.transaction() as db:
        (found,) = await timer_store.abandoned(db, limit=10)
        await timer_store.reclaim(db, [judged(job_id, JobState.QUEUED, Reason.RESCUED)])

    assert (job_id, True) == (found["id"], bool(found["calling"]))
    back = await row(database, job_id)
    assert (back["state"], back["crashes"], back["wakeup_at"]) == (JobState.QUEUED, 1, None)
    (call,) = await attempts(database, job_id)
    assert (call["status"], call["possibly_billed"]) == (AttemptStatus.UNKNOWN, True)
    assert (await row(database, held))["state"] == JobState.RUNNING


@pytest.mark.parametrize(
    ("endpoint", "failures"), [("/v1/chat/completions", 1), ("/v1/documents", 0)]
)
async def test_of_two_calls_that_are_lost_one_was_a_hedge(
    database: Database, add_job: AddJob, endpoint: str, failures: int
) -> None:
    # Parts of a document are called for side by side, and that is no second try.
    job_id = await add_job(endpoint=endpoint)
    for _ in range(2):
        (job,) = await claim(database, [job_id], lease_ms=-1)
        starts = [AttemptStart(job, number, "d", "lane", 0) for number in (1, 2)]
        async with database.transaction() as db:
            await attempt_store.start_attempts(db, starts, "a")
            await timer_store.reclaim(db, [judged(job_id, JobState.QUEUED, Reason.RESCUED)])

    assert (await row(database, job_id))["failures"] == 2 * failures


async def test_a_job_that_ended_meanwhile_is_not_reclaimed(
    database: Database, add_job: AddJob
) -> None:
    job_id = await add_job(state=JobState.COMPLETED)

    async with database.transaction() as db:
        await timer_store.reclaim(db, [judged(job_id, JobState.FAILED, Reason.POISON)])

    assert (await row(database, job_id))["state"] == JobState.COMPLETED


async def test_what_waits_past_its_deadline_expires(database: Database, add_job: AddJob) -> None:
    late = await add_job(complete_by=now_ms() - 1)
    running = await add_job(complete_by=now_ms() - 1, state=JobState.RUNNING)
    await add_job()

    async with database.transaction() as db:
        (expired,) = await timer_store.expire(db, limit=10)

    assert (expired.job_id, expired.type) == (late, "job.expired")
    assert (
        (await row(database, late))["state"],
        (await row(database, late))["reason"],
    ) == (JobState.EXPIRED, Reason.DEADLINE)
    assert (await row(database, running))["state"] == JobState.RUNNING


async def test_calls_under_way_are_named_as_the_limiter_knows_them(
    database: Database, add_job: AddJob
) -> None:
    (job,) = await claim(database, [await add_job()])
    async with database.transaction() as db:
        await attempt_store.start_attempts(db, [AttemptStart(job, 1, "d", "lane", 0)], "a")

    async with database.reading() as db:
        assert {"lane": [f"{job.id}:1:1"]} == await timer_store.calls_under_way(db)


async def test_the_office_has_one_holder(database: Database) -> None:
    async with database.transaction() as db:
        assert await process_store.hold(db, "scheduler", "a", ttl_ms=60_000)
        assert not await process_store.hold(db, "scheduler", "b", ttl_ms=60_000)
        assert await process_store.hold(db, "scheduler", "a", ttl_ms=60_000)
        await process_store.resign(db, "scheduler", "a")
        assert await process_store.hold(db, "scheduler", "b", ttl_ms=-1)
        assert await process_store.hold(db, "scheduler", "c", ttl_ms=60_000)


async def test_workers_are_seen_until_they_leave(database: Database) -> None:
    async with database.transaction() as db:
        await process_store.record_life(db, Life("w1", "h", 1, 20, 3, draining=False))
        await process_store.record_life(db, Life("w1", "h", 1, 4000, 5, draining=True))

    async with database.reading() as db:
        (seen,) = await process_store.lives(db, within_ms=30_000)
    assert (seen["in_flight"], bool(seen["draining"])) == (5, True)
    assert seen["silent_ms"] >= 4000
    async with database.transaction() as db:
        await process_store.bid_farewell(db, "w1")
        assert not await process_store.lives(db, within_ms=30_000)


async def test_the_outbox_keeps_a_promise_until_it_is_removed(database: Database) -> None:
    wakeup = Wakeup(ActorName.RUN_JOBS, QueueName.BULK, {"ids": ["a"], "queue": "bulk"})
    async with database.transaction() as db:
        (promise,) = await outbox.add(db, [wakeup])

    async with database.transaction() as db:
        assert not await outbox.overdue(db, older_than_ms=60_000, limit=10)
        assert [promise] == await outbox.overdue(db, older_than_ms=0, limit=10)
        await outbox.remove(db, [promise.id])
        assert not await outbox.overdue(db, older_than_ms=0, limit=10)
