"""Whatever happens to the lines of a batch: its counts are its numbered rows are its readable lines."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import update
from sqlmodel import col

from shared.batches.model import BatchState
from shared.clock import now_ms
from shared.jobs.model import Job
from shared.jobs.transitions import FINAL, JobState
from tests.integration.batches.yard import Yard

LINES, STEPS = 12, 25
ENDS = (JobState.COMPLETED, JobState.FAILED, JobState.EXPIRED)


class Chaos:
    """Does to a batch what can happen, in any order."""

    def __init__(self, yard: Yard, batch_id: str, seed: int) -> None:
        self._yard = yard
        self._batch_id = batch_id
        self._random = random.Random(seed)
        self._acts: tuple[Callable[[], Awaitable[None]], ...] = (
            self._work,
            self._work,
            self._work_at_once,
            self._expire_one,
            self._cancel,
            self._pause,
            self._retry,
            self._lead,
        )

    async def step(self) -> str:
        act = self._random.choice(self._acts)
        await act()
        return act.__name__

    async def _some(self) -> list[str]:
        lines = [each["id"] for each in await self._yard.lines(self._batch_id)]
        return self._random.sample(lines, 3)

    async def _work(self) -> None:
        await self._yard.finish(await self._some(), self._random.choice(ENDS))

    async def _work_at_once(self) -> None:
        # A worker ends lines while the leader does what it does.
        await asyncio.gather(self._work(), self._yard.lifecycle.perform(), self._work())

    async def _expire_one(self) -> None:
        late = update(Job).where(col(Job.id).in_(await self._some()))
        async with self._yard.resources.database.transaction() as db:
            await db.execute(late.values(complete_by=now_ms() - 1))
        await self._yard.desk.expire()

    async def _cancel(self) -> None:
        row = await self._yard.row(self._batch_id)
        if row["state"] == BatchState.IN_PROGRESS and not self._random.randrange(4):
            await self._yard.cancel(self._batch_id)

    async def _pause(self) -> None:
        row = await self._yard.row(self._batch_id)
        if row["state"] == BatchState.IN_PROGRESS:
            paused = not row["paused"]
            await self._yard.change(self._batch_id, paused=paused, held=paused)

    async def _retry(self) -> None:
        row = await self._yard.row(self._batch_id)
        if row["finished_at"] is not None or row["state"] == BatchState.IN_PROGRESS:
            await self._yard.retry(self._batch_id)

    async def _lead(self) -> None:
        await self._yard.lead()


@pytest.mark.parametrize("seed", range(4))
async def test_counts_are_rows_are_lines_at_every_step(yard: Yard, seed: int) -> None:
    batch_id = await yard.batch(LINES)
    chaos = Chaos(yard, batch_id, seed)
    said: dict[int, str] = {}

    for _ in range(STEPS):
        act = await chaos.step()
        await _check(yard, batch_id, said, act)


async def _check(yard: Yard, batch_id: str, said: dict[int, str], act: str) -> None:
    row = await yard.row(batch_id)
    lines = await yard.lines(batch_id)
    numbered = [line for line in lines if line["outcome_number"] is not None]
    results = await yard.results(batch_id)
    assert len(lines) == row["total"] == LINES
    assert {line["id"] for line in numbered} == {x["id"] for x in lines if x["state"] in FINAL}, act
    states = Counter(line["state"] for line in numbered)
    assert states == +Counter({state.value: row[state] for state in FINAL}), act
    assert [each["number"] for each in results] == sorted(x["outcome_number"] for x in numbered)
    assert Counter(each["status"] for each in results) == states
    assert row["outcomes"] >= max((each["number"] for each in results), default=0)
    # What was once read under a number never changes; at most it is replaced by a later one.
    for each in results:
        assert said.setdefault(each["number"], each["job_id"]) == each["job_id"]
    if row["finished_at"] is not None:
        assert len(numbered) == LINES
        in_files = 0
        for name in ("output_file_id", "error_file_id"):
            in_files += len((await yard.file(row[name]))[1]) if row[name] else 0
        assert in_files == LINES
