"""Lines that a worker of an older version has ended: it knows no batches, and counts nothing."""

import asyncio

from sqlalchemy import update
from sqlmodel import col

from shared.clock import now_ms
from shared.database import Row
from shared.inference.usage import Usage
from shared.jobs.claims import AttemptEnd, ClaimEnd
from shared.jobs.model import Job
from shared.jobs.transitions import AttemptStatus, JobState
from tests.integration.batches.yard import Yard
from workers.batches import recount as module
from workers.batches.recount import recount

COST = 30


async def _end_as_of_old(yard: Yard, line: Row, state: JobState, *, cost: int) -> None:
    """End a line as the version before batches did: no counters, no outcome number."""
    values = {
        "state": state,
        "finished_at": now_ms(),
        "owner": None,
        "input_tokens": 5,
        "output_tokens": 5,
        "cost_nanousd": (line["cost_nanousd"] or 0) + cost,
    }
    async with yard.resources.database.transaction() as db:
        await db.execute(update(Job).where(col(Job.id) == line["id"]).values(**values))


async def test_what_an_old_worker_ended_is_counted_and_the_batch_ends(yard: Yard) -> None:
    batch_id = await yard.batch(6)
    lines = await yard.lines(batch_id)
    await yard.finish([lines[0]["id"]])
    for line in lines[1:4]:
        await _end_as_of_old(yard, line, JobState.COMPLETED, cost=COST)
    await _end_as_of_old(yard, lines[4], JobState.FAILED, cost=0)
    await yard.finish([lines[5]["id"]])
    await yard.lead()
    assert (await yard.row(batch_id))["finished_at"] is None

    assert await recount(yard.resources) is False
    await yard.lead()

    row = await yard.row(batch_id)
    assert (row["state"], row["completed"], row["failed"]) == ("completed", 5, 1)
    assert (row["input_tokens"], row["cost_nanousd"]) == (20, 3 * COST)
    numbers = sorted(line["outcome_number"] for line in await yard.lines(batch_id))
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert len(await yard.results(batch_id)) == 6


async def test_an_earlier_try_that_was_counted_is_not_counted_again(yard: Yard) -> None:
    batch_id = await yard.batch(2)
    first, second = await yard.lines(batch_id)
    (claimed,) = await yard.claim([first["id"]])
    usage = Usage(1, 1, 0)
    attempt = AttemptEnd(1, AttemptStatus.ERROR, usage=usage, cost_nanousd=COST)
    await yard.journal.end(
        ClaimEnd(claimed, JobState.QUEUED, failures=1, delay_ms=0, attempts=(attempt,))
    )
    assert (await yard.row(batch_id))["cost_nanousd"] == COST
    first, second = await yard.lines(batch_id)
    await _end_as_of_old(yard, first, JobState.COMPLETED, cost=COST)
    await yard.finish([second["id"]])

    await recount(yard.resources)

    assert (await yard.row(batch_id))["cost_nanousd"] == 2 * COST


async def test_two_leaders_count_each_line_once(yard: Yard) -> None:
    batch_id = await yard.batch(module.AT_ONCE + 20)
    async with yard.resources.database.transaction() as db:
        ended = update(Job).where(col(Job.batch_id) == batch_id)
        await db.execute(ended.values(state=JobState.COMPLETED, finished_at=now_ms()))

    more = list(await asyncio.gather(recount(yard.resources), recount(yard.resources)))
    while any(more):
        more = [await recount(yard.resources)]

    row = await yard.row(batch_id)
    assert row["completed"] == row["outcomes"] == module.AT_ONCE + 20
