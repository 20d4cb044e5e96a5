"""The life of a batch on both databases: ended once, cancelled, paused, retried, cut off in time."""

import asyncio
from itertools import pairwise

import pytest

from shared.batches.model import BatchState
from shared.clock import now_ms
from shared.jobs.transitions import JobState
from tests.integration.batches.piles import Piles, chat, jsonl
from tests.integration.batches.yard import Yard
from workers.batches import turns

COUNTS = ("completed", "failed", "cancelled", "expired")


async def _ids(yard: Yard, batch_id: str) -> list[str]:
    return [line["id"] for line in await yard.lines(batch_id)]


async def test_a_batch_ends_when_its_last_line_has(yard: Yard) -> None:
    batch_id = await yard.batch(3)
    ids = await _ids(yard, batch_id)
    await yard.finish(ids[:2])
    await yard.lead()
    before = await yard.row(batch_id)

    await yard.finish(ids[2:], JobState.FAILED)
    await yard.lead()

    after = await yard.row(batch_id)
    assert (before["state"], before["finished_at"]) == (BatchState.IN_PROGRESS, None)
    assert after["state"] == BatchState.COMPLETED
    assert after["finalizing_at"] <= after["finished_at"]
    events = await yard.events(batch_id)
    assert [each["type"] for each in events] == ["batch.progress", "batch.completed"]
    assert events[-1]["number"] == after["version"]
    assert events[-1]["data"]["output_file_id"] == after["output_file_id"]
    assert events[-1]["data"]["request_counts"] == {"total": 3, "completed": 2, "failed": 1}


async def test_nothing_is_told_twice_and_little_is_told_of_progress(yard: Yard) -> None:
    batch_id = await yard.batch(100)
    ids = await _ids(yard, batch_id)

    for first in range(0, 99, 3):
        await yard.finish(ids[first : first + 3])
        await yard.lead()
        await yard.lead()

    events = await yard.events(batch_id)
    told = [each["data"]["counts"]["completed"] for each in events]
    steps = [b - a for a, b in pairwise(told)]
    assert {each["type"] for each in events} == {"batch.progress"}
    assert min(steps) >= 5


async def test_slow_progress_is_told_every_ten_seconds(yard: Yard) -> None:
    batch_id = await yard.batch(100)
    ids = await _ids(yard, batch_id)
    await yard.finish(ids[:1])
    await yard.lead()
    silent = await yard.events(batch_id)

    await yard.change(batch_id, in_progress_at=now_ms() - 10_001)
    await yard.lead()

    assert silent == []
    assert len(await yard.events(batch_id)) == 1


async def test_what_is_finished_survives_a_cancellation(yard: Yard) -> None:
    batch_id = await yard.batch(1200)
    ids = await _ids(yard, batch_id)
    await yard.finish(ids[:5])
    running = await yard.claim(ids[5:7])

    await yard.cancel(batch_id)
    await yard.lead()
    meanwhile, claimed = await yard.row(batch_id), await yard.claim(ids)
    for job in running:
        await yard.end(job, JobState.CANCELLED)
    await yard.lead()

    after = await yard.row(batch_id)
    assert (meanwhile["state"], meanwhile["cancelled"]) == (BatchState.CANCELLING, 1193)
    assert claimed == []
    assert after["state"] == BatchState.CANCELLED
    assert [after[each] for each in COUNTS] == [5, 0, 1195, 0]
    _, output = await yard.file(after["output_file_id"])
    _, errors = await yard.file(after["error_file_id"])
    assert (len(output), len(errors)) == (5, 1195)
    assert {each["error"]["code"] for each in errors} == {"batch_cancelled"}
    assert [each["type"] for each in await yard.events(batch_id)][-1] == "batch.cancelled"


async def test_a_running_call_of_a_cancelled_batch_is_asked_to_stop(yard: Yard) -> None:
    batch_id = await yard.batch(2)
    ids = await _ids(yard, batch_id)
    await yard.claim(ids)
    heard: list[bytes] = []
    async with yard.resources.redis.pubsub() as pubsub:
        await pubsub.subscribe("penstock:cancel")
        await pubsub.get_message(timeout=5)

        await yard.cancel(batch_id)
        await yard.lead()

        while (message := await pubsub.get_message(timeout=0.5)) is not None:
            heard.append(message["data"])

    assert set(b" ".join(heard).decode().split()) == set(ids)
    assert all(line["cancel_requested"] for line in await yard.lines(batch_id))


async def test_a_paused_batch_rests_and_goes_on(yard: Yard) -> None:
    batch_id = await yard.batch(1100)
    ids = await _ids(yard, batch_id)

    await yard.change(batch_id, paused=True, held=True)
    at_once = await yard.claim(ids[:2])
    await yard.lead()
    marked = [line["held"] for line in await yard.lines(batch_id)]
    await yard.change(batch_id, paused=False, held=False)
    await yard.lead()

    assert at_once == []
    assert marked == ["paused"] * 1100
    assert [line["held"] for line in await yard.lines(batch_id)] == [None] * 1100
    assert len(await yard.claim(ids[:2])) == 2


async def test_a_line_that_comes_back_to_a_paused_batch_is_marked_too(yard: Yard) -> None:
    batch_id = await yard.batch(2)
    ids = await _ids(yard, batch_id)
    await yard.change(batch_id, paused=True, held=True)
    await yard.lead()

    await yard.add_lines(batch_id, 1)
    await yard.lead()

    assert {line["held"] for line in await yard.lines(batch_id)} == {"paused"}
    assert len(ids) == 2


async def test_a_retry_opens_what_failed_or_expired_and_nothing_else(yard: Yard) -> None:
    batch_id = await yard.batch(6)
    ids = await _ids(yard, batch_id)
    await yard.finish(ids[:2])
    await yard.finish(ids[2:5], JobState.FAILED)
    await yard.finish(ids[5:], JobState.EXPIRED)
    await yard.lead()
    first = await yard.row(batch_id)

    await yard.retry(batch_id)
    await yard.lead()
    opened = await yard.row(batch_id)
    lines = await yard.lines(batch_id)
    await yard.finish(ids[2:5])
    await yard.finish(ids[5:], JobState.FAILED)
    await yard.lead()

    last = await yard.row(batch_id)
    assert first["state"] == BatchState.EXPIRED
    assert [opened[each] for each in COUNTS] == [2, 0, 0, 0]
    assert [line["generation"] for line in lines] == [1, 1, 2, 2, 2, 2]
    assert [line["outcome_number"] for line in lines[2:]] == [None] * 4
    assert last["state"] == BatchState.COMPLETED
    assert [last[each] for each in COUNTS] == [5, 1, 0, 0]
    assert last["output_file_id"] != first["output_file_id"]
    assert len((await yard.file(last["output_file_id"]))[1]) == 5
    assert len((await yard.file(first["output_file_id"]))[1]) == 2
    assert [each["number"] for each in await yard.results(batch_id, after=6)] == [7, 8, 9, 10]


async def test_what_fails_again_during_a_retry_is_not_opened_once_more(yard: Yard) -> None:
    batch_id = await yard.batch(1100)
    ids = await _ids(yard, batch_id)
    await yard.finish(ids, JobState.FAILED)
    await yard.lead()

    await yard.retry(batch_id)
    await yard.lifecycle._round()
    reopened = [line["id"] for line in await yard.lines(batch_id) if line["generation"] == 2]
    await yard.finish(reopened, JobState.FAILED)
    await yard.lead()

    assert len(reopened) == 250
    assert {line["generation"] for line in await yard.lines(batch_id)} == {2}
    assert not (await yard.row(batch_id))["retrying"]


async def test_an_overdue_batch_expires_with_what_is_done_kept(yard: Yard) -> None:
    batch_id = await yard.batch(1300, complete_by=now_ms() + 60_000)
    ids = await _ids(yard, batch_id)
    await yard.finish(ids[:400])
    await yard.expire_all(batch_id)

    await yard.desk.expire()
    await yard.lead()

    row = await yard.row(batch_id)
    assert row["state"] == BatchState.EXPIRED
    assert [row[each] for each in COUNTS] == [400, 0, 0, 900]
    finals = [
        each["type"] for each in await yard.events(batch_id) if "progress" not in each["type"]
    ]
    assert finals == ["batch.expired"]
    assert {each["error"]["code"] for each in (await yard.file(row["error_file_id"]))[1]} == {
        "batch_expired"
    }


@pytest.mark.parametrize("read", [0, 4])
async def test_a_batch_whose_time_is_over_before_all_is_checked_ends_too(
    yard: Yard, read: int
) -> None:
    state = BatchState.IN_PROGRESS if read else BatchState.VALIDATING
    batch_id = await yard.batch(read, state=state, complete_by=now_ms() - 1)
    await yard.add_input(batch_id)

    await yard.lead()
    await yard.desk.expire()
    await yard.lead()

    row = await yard.row(batch_id)
    assert (row["state"], row["total"], row["expired"]) == (BatchState.EXPIRED, read, read)
    assert [each["code"] for each in row["errors"]] == ["batch_expired"]
    assert (row["output_file_id"], row["error_file_id"] is None) == (None, not read)


async def test_a_batch_that_is_cancelled_before_all_is_checked_ends_with_what_there_is(
    yard: Yard,
) -> None:
    batch_id = await yard.batch(4, open=True)
    await yard.add_input(batch_id)

    await yard.cancel(batch_id)
    await yard.lead()

    row = await yard.row(batch_id)
    assert (row["state"], row["total"], row["cancelled"]) == (BatchState.CANCELLED, 4, 4)
    assert row["errors"] is None


async def test_what_was_checked_expires_where_time_is_over_before_it_is_stored(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    piles = Piles(yard)
    batch_id = await piles.create(jsonl(chat(f"c{i}") for i in range(3000)))
    leader = turns.Turns(yard.resources)
    monkeypatch.setattr(turns, "monotonic", iter(range(10**9)).__next__)
    monkeypatch.setattr(turns, "TURN_S", 2)
    while not (stored := len(await yard.lines(batch_id))):
        await leader.perform()

    await yard.expire_all(batch_id)
    await yard.lead()
    await piles.expand()
    await yard.desk.expire()
    await yard.lead()

    row = await yard.row(batch_id)
    assert stored < 3000
    assert (row["state"], row["total"], row["expired"]) == (BatchState.EXPIRED, 3000, 3000)
    assert row["errors"] is None


async def test_an_open_batch_waits_for_more_until_its_time_is_over(yard: Yard) -> None:
    batch_id = await yard.batch(2, open=True)
    await yard.finish(await _ids(yard, batch_id))
    await yard.lead()
    waiting = await yard.row(batch_id)

    await yard.change(batch_id, complete_by=now_ms() - 1)
    await yard.lead()

    after = await yard.row(batch_id)
    assert waiting["state"] == BatchState.IN_PROGRESS
    assert (after["state"], after["open"]) == (BatchState.COMPLETED, False)


async def test_two_leaders_end_a_batch_once(yard: Yard) -> None:
    batch_ids = [await yard.batch(3) for _ in range(5)]
    for batch_id in batch_ids:
        await yard.finish(await _ids(yard, batch_id))
    other = yard.another()

    for _ in range(3):
        await asyncio.gather(yard.lifecycle.perform(), other.lifecycle.perform())
        await asyncio.gather(yard.composer.perform(), other.composer.perform())
        tasks = [*yard.composer._tasks.values(), *other.composer._tasks.values()]
        if tasks:
            await asyncio.wait(tasks)

    for batch_id in batch_ids:
        assert [each["type"] for each in await yard.events(batch_id)] == ["batch.completed"]
        row = await yard.row(batch_id)
        assert len((await yard.file(row["output_file_id"]))[1]) == 3
