"""What is asked for in the middle of something else: retry upon retry, a pause when time is over."""

from shared.batches.model import BatchState
from shared.clock import now_ms
from shared.jobs.transitions import JobState
from tests.integration.batches.yard import HOUR_MS, Yard

COUNTS = ("completed", "failed", "cancelled", "expired")


async def _ids(yard: Yard, batch_id: str) -> list[str]:
    return [line["id"] for line in await yard.lines(batch_id)]


async def _consistent(yard: Yard, batch_id: str) -> None:
    """Hold the counts against the lines that can be had."""
    row, lines, results = (
        await yard.row(batch_id),
        await yard.lines(batch_id),
        await yard.results(batch_id),
    )
    states = [line["state"] for line in lines]
    assert [row[each] for each in COUNTS] == [states.count(each) for each in COUNTS]
    assert len(results) == sum(row[each] for each in COUNTS)


async def test_a_retry_right_behind_another_is_done_too(yard: Yard) -> None:
    batch_id = await yard.batch(3)
    ids = await _ids(yard, batch_id)
    await yard.finish(ids, JobState.FAILED)
    await yard.lead()
    await yard.retry(batch_id)
    while (await yard.row(batch_id))["retrying"]:
        await yard.lifecycle._round()
    await yard.finish(ids, JobState.FAILED)

    # Before the leader has looked at the batch once more.
    await yard.change(batch_id, retrying=True, complete_by=now_ms() + 2 * HOUR_MS)
    await yard.lead()

    await _consistent(yard, batch_id)
    row = await yard.row(batch_id)
    assert (row["state"], row["retrying"], row["failed"]) == (BatchState.IN_PROGRESS, False, 0)
    assert {line["state"] for line in await yard.lines(batch_id)} == {JobState.QUEUED}
    assert len(await yard.claim(ids)) == 3


async def test_a_paused_batch_whose_time_is_over_waits_to_be_let_go(yard: Yard) -> None:
    """Its lines have their own time, which a retry with a shorter window leaves them."""
    batch_id = await yard.batch(3, open=True)
    ids = await _ids(yard, batch_id)
    await yard.change(batch_id, paused=True, held=True)
    await yard.lead()

    await yard.change(batch_id, complete_by=now_ms() - 1)
    await yard.lead()
    over, claimed = await yard.row(batch_id), await yard.claim(ids)
    await yard.change(batch_id, paused=False, held=False)
    await yard.lead()

    assert (over["open"], over["paused"], over["held"]) == (False, True, True)
    assert claimed == []
    assert len(await yard.claim(ids)) == 3
    await _consistent(yard, batch_id)


async def test_cancelled_in_the_middle_of_a_retry(yard: Yard) -> None:
    batch_id = await yard.batch(600)
    ids = await _ids(yard, batch_id)
    await yard.finish(ids[:500], JobState.FAILED)
    await yard.finish(ids[500:])
    await yard.lead()
    await yard.retry(batch_id)
    await yard.lifecycle._round()
    await _consistent(yard, batch_id)
    half = (await yard.row(batch_id))["failed"]

    await yard.cancel(batch_id)
    await yard.change(batch_id, retrying=False)
    await yard.lead()

    row = await yard.row(batch_id)
    assert 0 < half < 500
    assert row["state"] == BatchState.CANCELLED
    assert [row[each] for each in COUNTS] == [100, half, 500 - half, 0]
    await _consistent(yard, batch_id)
    await yard.retry(batch_id)
    await yard.lead()
    assert (await yard.row(batch_id))["failed"] == 0
    await _consistent(yard, batch_id)
