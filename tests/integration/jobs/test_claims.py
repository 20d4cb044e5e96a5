"""Claims, leases and the fence, on both databases."""

import asyncio
from collections.abc import Sequence

from shared.clock import now_ms
from shared.database import Database, Row
from shared.inference.usage import Usage
from shared.jobs import attempt_store, claim_store, store
from shared.jobs.claims import (
    AttemptEnd,
    AttemptStart,
    ClaimedJob,
    ClaimEnd,
    Result,
    Standing,
)
from shared.jobs.transitions import AttemptStatus, JobState, Reason
from tests.integration.jobs.conftest import AddJob

LEASE_MS = 60_000


async def claim(
    database: Database, ids: Sequence[str], *, owner: str = "a", lease_ms: int = LEASE_MS
) -> list[ClaimedJob]:
    async with database.transaction() as db:
        return await claim_store.claim(db, ids, owner=owner, lease_ms=lease_ms)


async def row(database: Database, job_id: str) -> Row:
    async with database.reading() as db:
        found = await store.get(db, "ten_1", job_id)
    assert found is not None
    return found


async def attempts(database: Database, job_id: str) -> Sequence[Row]:
    async with database.reading() as db:
        return await store.attempts_of(db, [job_id])


async def finish(database: Database, job: ClaimedJob, *, owner: str = "a") -> bool:
    """End a claim as the journal does: behind the fence."""
    call = AttemptEnd(1, AttemptStatus.OK, 200, usage=Usage(9, 3), cost_nanousd=5)
    end = ClaimEnd(job, JobState.COMPLETED, result=Result(200, b'{"a":1}'), attempts=[call])
    async with database.transaction() as db:
        held = await claim_store.fence(db, [job], owner=owner)
        await attempt_store.end_attempts(db, [end], held)
        if held:
            await claim_store.end_claims(db, [end])
    return bool(held)


async def begin(database: Database, job: ClaimedJob, *, owner: str = "a") -> None:
    async with database.transaction() as db:
        await attempt_store.start_attempts(db, [AttemptStart(job, 1, "d", "lane", 0)], owner)


async def test_a_claim_takes_what_is_ready_and_nothing_else(
    database: Database, add_job: AddJob
) -> None:
    ready = await add_job()
    later = await add_job(not_before=now_ms() + 60_000)
    overdue = await add_job(complete_by=now_ms() - 1)
    done = await add_job(state=JobState.COMPLETED)

    jobs = await claim(database, [ready, later, overdue, done, "job_none"])

    assert [ready] == [job.id for job in jobs]
    assert jobs[0].body == b"{}"
    assert jobs[0].claim_number == 1
    assert 3_000_000 < jobs[0].time_left_ms <= 3_600_000
    claimed = await row(database, ready)
    assert claimed["state"] == JobState.RUNNING
    assert claimed["lease_expires_at"] > now_ms() + 50_000


async def test_a_duplicate_message_claims_nothing(database: Database, add_job: AddJob) -> None:
    ids = [await add_job() for _ in range(20)]

    claims = await asyncio.gather(*(claim(database, ids, owner=str(n)) for n in range(10)))

    taken = [job.id for jobs in claims for job in jobs]
    assert sorted(ids) == sorted(taken)


async def test_a_slice_comes_best_rank_and_oldest_first(
    database: Database, add_job: AddJob
) -> None:
    bulk = await add_job(priority=2, created_at=1)
    young = await add_job(priority=0, created_at=3)
    old = await add_job(priority=0, created_at=2)

    jobs = await claim(database, [bulk, young, old])

    assert [old, young, bulk] == [job.id for job in jobs]


async def test_the_end_is_written_once_with_its_cost(database: Database, add_job: AddJob) -> None:
    (job,) = await claim(database, [await add_job()])
    await begin(database, job)

    assert await finish(database, job)

    ended = await row(database, job.id)
    assert ended["state"] == JobState.COMPLETED
    assert (ended["input_tokens"], ended["output_tokens"], ended["cost_nanousd"]) == (9, 3, 5)
    assert ended["finished_at"] is not None
    assert ended["owner"] is None
    assert not await finish(database, job), "a second end must not be written"


async def test_the_fence_keeps_out_who_lost_the_lease(database: Database, add_job: AddJob) -> None:
    job_id = await add_job()
    (late,) = await claim(database, [job_id], owner="late")
    await begin(database, late, owner="late")
    await take_away(database, job_id)
    (winner,) = await claim(database, [job_id], owner="winner")
    await begin(database, winner, owner="winner")

    assert not await finish(database, late, owner="late")

    assert (await row(database, job_id))["state"] == JobState.RUNNING
    assert await finish(database, winner, owner="winner")
    first, second = await attempts(database, job_id)
    assert (first["status"], first["cost_nanousd"], first["late"]) == (AttemptStatus.OK, 5, True)
    assert (second["status"], second["late"]) == (AttemptStatus.OK, False)
    assert (await row(database, job_id))["cost_nanousd"] == 5, "the winner's cost alone"


async def take_away(database: Database, job_id: str) -> None:
    """Do what the rescue does."""
    async with database.transaction() as db:
        await db.exec_driver_sql(
            "UPDATE job SET state = 'queued', owner = NULL, lease_expires_at = NULL"
            f" WHERE id = '{job_id}'"
        )


async def test_the_same_owner_with_an_older_claim_is_kept_out_too(
    database: Database, add_job: AddJob
) -> None:
    job_id = await add_job()
    (first,) = await claim(database, [job_id])
    await take_away(database, job_id)
    (second,) = await claim(database, [job_id])

    assert not await finish(database, first)
    assert await finish(database, second)


async def test_a_cancelled_job_is_fenced_as_such(database: Database, add_job: AddJob) -> None:
    (job,) = await claim(database, [await add_job()])
    async with database.transaction() as db:
        await db.exec_driver_sql(f"UPDATE job SET cancel_requested = true WHERE id = '{job.id}'")

    async with database.transaction() as db:
        held = await claim_store.fence(db, [job], owner="a")

    assert {job.claim: Standing.CANCELLED} == held


async def test_renewal_extends_what_is_held_and_names_it(
    database: Database, add_job: AddJob
) -> None:
    mine, other = await add_job(), await add_job()
    await claim(database, [mine], lease_ms=1000)
    await claim(database, [other], owner="b")

    async with database.transaction() as db:
        held = await claim_store.renew(db, [mine, other, "job_x"], owner="a", lease_ms=LEASE_MS)

    assert {mine: False} == held
    assert (await row(database, mine))["lease_expires_at"] > now_ms() + 50_000


async def test_a_wait_gives_the_job_back_without_a_failure(
    database: Database, add_job: AddJob
) -> None:
    (job,) = await claim(database, [await add_job()])
    end = ClaimEnd(
        job, JobState.QUEUED, Reason.RATE_LIMITED, delay_ms=5000, waited=True, lane="lane"
    )

    async with database.transaction() as db:
        await claim_store.end_claims(db, [end])

    waiting = await row(database, job.id)
    assert (waiting["state"], waiting["reason"]) == (JobState.QUEUED, Reason.RATE_LIMITED)
    assert (waiting["failures"], waiting["waits"], waiting["lane"]) == (0, 1, "lane")
    assert now_ms() + 3000 < waiting["not_before"] <= now_ms() + 5000
    assert waiting["wakeup_at"] is None
    assert not await claim(database, [job.id])


async def test_many_ends_of_many_kinds_go_in_one_transaction(
    database: Database, add_job: AddJob
) -> None:
    jobs = await claim(database, [await add_job() for _ in range(60)])
    for job in jobs:
        await begin(database, job)
    kinds = [
        (JobState.COMPLETED, None, Result(200, b"{}")),
        (JobState.FAILED, Reason.REJECTED, None),
        (JobState.QUEUED, Reason.BACKOFF, None),
    ]
    ends = [
        ClaimEnd(
            job,
            kinds[n % 3][0],
            kinds[n % 3][1],
            delay_ms=1 if n % 3 == 2 else None,
            failures=int(n % 3 != 0),
            error={"code": "x", "message": "y"} if n % 3 else None,
            result=kinds[n % 3][2],
            attempts=[AttemptEnd(1, AttemptStatus.ERROR, 500, "x", "y")],
        )
        for n, job in enumerate(jobs)
    ]

    async with database.transaction() as db:
        held = await claim_store.fence(db, jobs, owner="a")
        await attempt_store.end_attempts(db, ends, held)
        await claim_store.end_claims(db, ends)

    states = [(await row(database, job.id))["state"] for job in jobs]
    assert [kinds[n % 3][0] for n in range(60)] == states
    for job in jobs:
        assert [each["status"] for each in await attempts(database, job.id)] == ["error"]
