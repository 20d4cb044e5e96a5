"""A tenant's wishes in any order, several at once, while lines are read, run, coalesced and expire."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.batches import creation, purge, store
from shared.batches.creation import BatchDraft, Source
from shared.batches.model import ENDED, InputKind
from shared.batches.options import BatchOptions, OnInvalid
from shared.clock import now_ms
from shared.ids import new_id
from shared.jobs.transitions import FINAL, JobState
from tests.integration.batches.piles import Piles, chat, jsonl
from tests.integration.batches.yard import HOUR_MS, TENANT, Yard
from workers.batches import turns
from workers.batches.coalescing import Coalescing

STEPS = 40
ENDS = (JobState.COMPLETED, JobState.COMPLETED, JobState.FAILED, JobState.EXPIRED)
Act = Callable[[], Awaitable[Any]]


class Tenant:
    """Wishes anything of two batches, by the statements of the API; `answers` are theirs."""

    def __init__(self, yard: Yard, seed: int) -> None:
        self.yard = yard
        self.random = random.Random(seed)
        self.batches: list[str] = []
        self.added: Counter[str] = Counter()
        # Of the leader, and of one who has not noticed yet that he is none any more.
        self._readers = [(asyncio.Lock(), turns.Turns(yard.resources)) for _ in range(2)]
        self._leading = asyncio.Lock()
        self._coalescing = Coalescing(yard.resources)
        self._other = yard.another()
        self._named = 0

    async def begin(self) -> None:
        now = now_ms()
        for _ in range(2):
            draft = BatchDraft(
                id=new_id("batch"),
                tenant_id=TENANT,
                created_at=now,
                completion_window="24h",
                complete_by=now + HOUR_MS,
                options=BatchOptions(coalesce=True, on_invalid=OnInvalid.SKIP),
                open=True,
            )
            made = await creation.create(self.yard.resources.database, draft, key_ttl_s=60)
            self.batches.append(made.batch["id"])
        await asyncio.gather(*(self._append(each) for each in self.batches))

    async def step(self) -> list[str]:
        """Do up to three things at once."""
        acts: tuple[Act, ...] = (
            *(self._wish(self._append),) * 3,
            *(self._wish(self._work),) * 4,
            *(self._read,) * 4,
            *(self._lead,) * 3,
            self._wish(self._pause),
            self._wish(self._resume),
            self._wish(self._retry),
            self._wish(self._close),
            self._wish(self._expire),
            self._wish(self._cancel),
            self._coalesce,
        )
        chosen = self.random.choices(acts, k=self.random.randint(1, 3))
        await asyncio.gather(*(act() for act in chosen))
        return [getattr(act, "__name__", "?") for act in chosen]

    async def end(self) -> None:
        """Wish for nothing more, and see both batches to their ends."""
        for each in self.batches:
            await self._resume(each)
            await self._close(each)
        rows: list[Any] = []
        for _ in range(60):
            while await self._read():
                pass
            await self._lead()
            await self._coalesce()
            for each in self.batches:
                await self._work(each, most=1000)
            rows = [await self.yard.row(each) for each in self.batches]
            if all(row["finished_at"] is not None for row in rows):
                return
        left = [
            (line["id"], line["state"], line["held"], line["follows"])
            for each in self.batches
            for line in await self.yard.lines(each)
            if line["state"] not in FINAL
        ]
        raise AssertionError(f"they come to no end: {left} of {rows}")

    def _wish(self, act: Callable[[str], Awaitable[Any]]) -> Act:
        batch_id = self.random.choice(self.batches)

        async def wish() -> Any:
            return await act(batch_id)

        wish.__name__ = f"{act.__name__} {self.batches.index(batch_id)}"
        return wish

    async def _append(self, batch_id: str) -> None:
        lines: list[dict[str, Any]] = []
        for _ in range(self.random.randint(1, 6)):
            self._named += 1
            # Some ask the same, some cannot be done.
            lines.append(chat(f"line-{self._named}", self.random.choice("abc")))
        if not self.random.randrange(3):
            lines.append({"custom_id": "wrong"})
        raw, blob = jsonl(lines), f"batches/{new_id('in')}"
        await self.yard.resources.blobs.put(blob, raw)
        source = Source(InputKind.JSONL, blob, len(raw), len(lines))
        batch = await self.yard.row(batch_id)
        await creation.append(
            self.yard.resources.database, batch, source, idempotency=None, key_ttl_s=60
        )

    async def _work(self, batch_id: str, most: int = 4) -> None:
        lines = [line["id"] for line in await self.yard.lines(batch_id)]
        some = self.random.sample(lines, min(len(lines), most))
        if some:
            await self.yard.finish(some, self.random.choice(ENDS))

    async def _pause(self, batch_id: str) -> None:
        await self._change(store.pause, batch_id, paused=True)

    async def _resume(self, batch_id: str) -> None:
        await self._change(store.pause, batch_id, paused=False)

    async def _close(self, batch_id: str) -> None:
        await self._change(store.close, batch_id)

    async def _retry(self, batch_id: str) -> None:
        await self._change(store.retry, batch_id, lifetime_ms=HOUR_MS)

    async def _cancel(self, batch_id: str) -> None:
        if not self.random.randrange(4):
            await self._change(store.cancel, batch_id)

    async def _change(self, act: Callable[..., Any], batch_id: str, **more: Any) -> None:
        async with self.yard.resources.database.transaction() as db:
            await act(db, TENANT, batch_id, **more)

    async def _expire(self, batch_id: str) -> None:
        if not self.random.randrange(4):
            await self.yard.expire_all(batch_id)

    async def _read(self) -> bool:
        lock, reader = self.random.choice(self._readers)
        async with lock:
            return await reader.perform()

    async def _lead(self) -> None:
        async with self._leading:
            await asyncio.gather(self.yard.lifecycle.perform(), self._other.lifecycle.perform())
            await self.yard.desk.expire()
            await self.yard.composer.perform()
            while self.yard.composer._tasks:
                await asyncio.wait(self.yard.composer._tasks.values())

    async def _coalesce(self) -> None:
        while await self._coalescing.perform():
            pass


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_wished_for(
    yard: Yard, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Short turns: a batch is read in pieces, and things happen in between.
    monkeypatch.setattr(turns, "monotonic", iter(range(10**9)).__next__)
    monkeypatch.setattr(turns, "TURN_S", 2)
    monkeypatch.setattr("workers.batches.coalescing.COST_SHARE", 0)
    monkeypatch.setattr("workers.batches.lifecycle.TURN_S", 0.01)
    monkeypatch.setattr("workers.batches.lifecycle.LINES_AT_ONCE", 3)
    monkeypatch.setattr("workers.batches.lifecycle.REOPENED_AT_ONCE", 3)
    tenant = Tenant(yard, seed)
    await tenant.begin()
    did: list[list[str]] = []
    for _ in range(STEPS):
        did.append(await tenant.step())
        for batch_id in tenant.batches:
            await _check(yard, batch_id, did[-3:])
    await tenant.end()
    for batch_id in tenant.batches:
        await _check_end(yard, batch_id)
        row = await yard.row(batch_id)
        assert await purge.purge(yard.resources.database, yard.resources.blobs, row)
        assert await yard.lines(batch_id) == []
        assert await Piles(yard).inputs(batch_id) == []
        after = await yard.row(batch_id)
        assert [after[each] for each in FINAL] == [row[each] for each in FINAL]


async def _check(yard: Yard, batch_id: str, did: Any) -> None:
    row, lines = await yard.row(batch_id), await yard.lines(batch_id)
    results = await yard.results(batch_id)
    states = Counter(line["state"] for line in lines if line["state"] in FINAL)
    numbers = [each["outcome_number"] for each in lines if each["state"] in FINAL]
    counted = +Counter({state.value: row[state] for state in FINAL})
    assert states == counted == Counter(each["status"] for each in results), did
    assert None not in numbers, did
    assert sorted(numbers) == [each["number"] for each in results], did
    assert sum(counted.values()) <= row["total"], did
    assert len(lines) <= row["total"], did
    if row["state"] in ENDED:
        assert len(lines) == row["total"] == sum(counted.values()), did
        assert row["finished_at"] is not None, did


async def _check_end(yard: Yard, batch_id: str) -> None:
    row = await yard.row(batch_id)
    assert row["state"] in ENDED
    in_files = 0
    for name in ("output_file_id", "error_file_id"):
        in_files += len((await yard.file(row[name]))[1]) if row[name] else 0
    assert in_files == row["total"]
    assert all(each["stored"] for each in await Piles(yard).inputs(batch_id))
    lines = [each["line"] for each in await yard.lines(batch_id)]
    assert len(set(lines)) == len(lines), "no line has the number of another"
