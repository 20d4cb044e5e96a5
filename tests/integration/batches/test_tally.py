"""The counters of a batch: numbered without gaps, in the order of the commits, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlmodel import col

from shared import migrate
from shared.batches import tally
from shared.batches.model import Batch, BatchState
from shared.clock import now_ms
from shared.database import Database, Row, fetch
from shared.ids import new_id
from shared.inference.usage import Usage
from shared.jobs.changes import Change
from shared.jobs.claims import AttemptEnd, AttemptStart
from shared.jobs.transitions import AttemptStatus, JobState
from tests.integration.batches.yard import Yard


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    await migrate.upgrade(opened)
    yield opened
    await opened.close()


async def _batch(database: Database) -> str:
    batch_id = new_id("batch")
    row = {
        "id": batch_id,
        "tenant_id": "ten_1",
        "state": BatchState.IN_PROGRESS,
        "completion_window": "24h",
        "complete_by": now_ms() + 3_600_000,
        "created_at": now_ms(),
        "total": 1000,
    }
    async with database.transaction() as db:
        await db.execute(insert(Batch).values(**row))
    return batch_id


async def _row(database: Database, batch_id: str) -> Row:
    table = Batch.__table__  # type: ignore[attr-defined]
    async with database.reading() as db:
        return (await fetch(db, select(table).where(col(Batch.id) == batch_id)))[0]


def _line(batch_id: str, state: JobState | None, **more: Any) -> tally.Contribution:
    return tally.Contribution(new_id("job"), batch_id, state, **more)


async def test_each_end_takes_the_next_number(database: Database) -> None:
    batch_id = await _batch(database)
    first = [_line(batch_id, JobState.COMPLETED), _line(batch_id, JobState.FAILED)]
    second = [_line(batch_id, JobState.EXPIRED), _line(batch_id, JobState.CANCELLED)]

    async with database.transaction() as db:
        numbers = await tally.add(db, first)
    async with database.transaction() as db:
        more = await tally.add(db, second)

    row = await _row(database, batch_id)
    assert [numbers[each.job_id] for each in first] == [1, 2]
    assert [more[each.job_id] for each in second] == [3, 4]
    assert row["outcomes"] == 4
    assert [row[state] for state in ("completed", "failed", "expired", "cancelled")] == [1] * 4


async def test_a_try_that_ends_nothing_is_billed_and_takes_no_number(database: Database) -> None:
    batch_id = await _batch(database)
    tries = [_line(batch_id, None, usage=[Usage(5, 7, 1)], cost_nanousd=30)]

    async with database.transaction() as db:
        numbers = await tally.add(db, tries)
        await tally.add(db, [_line(batch_id, JobState.FAILED)])

    row = await _row(database, batch_id)
    assert not numbers
    assert (row["input_tokens"], row["output_tokens"], row["cached_tokens"]) == (5, 7, 1)
    assert (row["cost_nanousd"], row["outcomes"]) == (30, 1)


async def test_what_nobody_knows_stays_unknown(database: Database) -> None:
    batch_id = await _batch(database)

    async with database.transaction() as db:
        await tally.add(db, [_line(batch_id, JobState.COMPLETED)])

    row = await _row(database, batch_id)
    assert (row["input_tokens"], row["cost_nanousd"]) == (None, None)


async def test_a_transaction_that_fails_counts_nothing(database: Database) -> None:
    batch_id = await _batch(database)

    async def fail() -> None:
        async with database.transaction() as db:
            await tally.add(db, [_line(batch_id, JobState.COMPLETED)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert (await _row(database, batch_id))["outcomes"] == 0


async def test_many_writers_at_once_leave_no_gap_and_give_no_number_twice(
    database: Database,
) -> None:
    batches = [await _batch(database) for _ in range(3)]
    given: dict[str, list[int]] = {each: [] for each in batches}

    async def write(turn: int) -> None:
        # In ever another order: what is locked must not depend on it.
        mixed = [_line(batches[(turn + n) % 3], JobState.COMPLETED) for n in range(9)]
        async with database.transaction() as db:
            numbers = await tally.add(db, mixed)
        for each in mixed:
            given[each.batch_id].append(numbers[each.job_id])

    await asyncio.gather(*(write(turn) for turn in range(40)))

    for numbers in given.values():
        assert sorted(numbers) == list(range(1, 121))


async def test_only_final_changes_of_lines_are_counted(database: Database) -> None:
    batch_id = await _batch(database)
    changes = [
        Change("job_1", "ten_1", 2, JobState.CANCELLED, batch_id=batch_id),
        Change("job_2", "ten_1", 2, JobState.QUEUED, batch_id=batch_id),
        Change("job_3", "ten_1", 2, JobState.EXPIRED),
    ]

    async with database.transaction() as db:
        await tally.end_lines(db, changes)

    row = await _row(database, batch_id)
    assert (row["cancelled"], row["expired"], row["outcomes"]) == (1, 0, 1)


async def test_what_an_earlier_call_of_a_line_cost_is_in_the_batch_at_once(yard: Yard) -> None:
    batch_id = await yard.batch(1)
    (line,) = await yard.lines(batch_id)
    (job,) = await yard.claim([line["id"]])
    refused = AttemptEnd(1, AttemptStatus.ERROR, 500, usage=Usage(10, 2), cost_nanousd=5)
    await yard.journal.start(AttemptStart(job, 1, "primary", "lane-a", 0))

    await yard.journal.start(
        AttemptStart(job, 2, "backup", "lane-b", 0, earlier=(refused,), failures=1)
    )

    batch = await yard.row(batch_id)
    assert (batch["cost_nanousd"], batch["input_tokens"], batch["completed"]) == (5, 10, 0)
