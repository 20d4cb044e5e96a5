"""Batches on a migrated database of each kind: their lines, a worker's ends, and the leader's care."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson
from pydantic import JsonValue
from sqlalchemy import insert, select, update
from sqlmodel import col

from shared.batches import lifecycle_store
from shared.batches.model import Batch, BatchEvent, BatchInput, BatchState
from shared.batches.outcomes import Outcomes
from shared.batches.results import stream_line
from shared.clock import now_ms
from shared.database import Row, chunks, fetch
from shared.files.model import StoredFile
from shared.ids import new_id
from shared.jobs import claim_store, store
from shared.jobs.claims import ClaimedJob, ClaimEnd, Result
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.model import Job
from shared.jobs.rows import job_row, request_row
from shared.jobs.transitions import JobState
from shared.limiter.limiter import Limiter
from shared.resources import Resources
from shared.telemetry.metrics import SchedulerMetrics
from workers.batches.compose import Composer
from workers.batches.lifecycle import Lifecycle
from workers.batches.steps import next_step
from workers.journal import Journal
from workers.scheduler.duties import Desk

HOUR_MS = 3_600_000
OWNER = "w"
ANSWER = b'{"choices":[{"message":{"role":"assistant","content":"ok"}}]}'
TENANT = "ten_1"


@dataclass
class Yard:
    """What a test does with batches."""

    resources: Resources
    lifecycle: Lifecycle
    composer: Composer
    desk: Desk
    journal: Journal
    tenant_id: str = TENANT

    async def batch(self, lines: int = 3, **changes: Any) -> str:
        """Store a batch whose lines are all stored and wait; return its id."""
        batch_id, now = new_id("batch"), now_ms()
        row = {
            "id": batch_id,
            "tenant_id": self.tenant_id,
            "state": BatchState.IN_PROGRESS,
            "completion_window": "24h",
            "complete_by": now + HOUR_MS,
            "created_at": now,
            "in_progress_at": now,
            "total": lines,
            **changes,
        }
        async with self.resources.database.transaction() as db:
            await db.execute(insert(Batch).values(**row))
        await self.add_lines(batch_id, lines, complete_by=row["complete_by"])
        return batch_id

    async def add_lines(self, batch_id: str, lines: int, **changes: Any) -> None:
        """Store lines as expansion does."""
        now = now_ms()
        draft = JobDraft(
            self.tenant_id, Endpoint.CHAT, "sandbox/echo", b"{}", 2, now, now + HOUR_MS
        )
        jobs, requests = [], []
        for number in range(1, lines + 1):
            job_id = new_id("job")
            its = {"batch_id": batch_id, "line": number, "custom_id": f"line-{number}"}
            its |= {"lane": "sandbox/echo", "wakeup_at": None, **changes}
            jobs.append({**job_row(job_id, draft), **its})
            requests.append(request_row(job_id, draft))
        for some, bodies in zip(chunks(jobs, 2000), chunks(requests, 2000), strict=True):
            async with self.resources.database.transaction() as db:
                await store.insert_jobs(db, some, bodies)

    async def row(self, batch_id: str) -> Row:
        """Return a batch's row."""
        async with self.resources.database.reading() as db:
            query = select(lifecycle_store.BATCHES).where(col(Batch.id) == batch_id)
            return (await fetch(db, query))[0]

    async def change(self, batch_id: str, **values: Any) -> None:
        """Change a batch's row, as its tenant's wishes do."""
        async with self.resources.database.transaction() as db:
            await db.execute(update(Batch).where(col(Batch.id) == batch_id).values(**values))

    async def cancel(self, batch_id: str) -> None:
        """Do what the API does to cancel a batch."""
        await self.change(
            batch_id, state=BatchState.CANCELLING, held=True, cancelling_at=now_ms(), paused=False
        )

    async def retry(self, batch_id: str) -> None:
        """Do what the API does to retry the failed and expired lines of an ended batch."""
        await self.change(
            batch_id,
            state=BatchState.IN_PROGRESS,
            retrying=True,
            held=False,
            complete_by=now_ms() + HOUR_MS,
            finalizing_at=None,
            cancelling_at=None,
            finished_at=None,
            output_file_id=None,
            error_file_id=None,
        )

    async def add_input(self, batch_id: str) -> None:
        """Give a batch an input that is not read yet."""
        row = {"batch_id": batch_id, "number": 0, "blob": "batches/xy/input", "bytes": 100}
        async with self.resources.database.transaction() as db:
            await db.execute(insert(BatchInput).values(**row))

    async def expire_all(self, batch_id: str) -> None:
        """Let a batch's time be over."""
        past = {"complete_by": now_ms() - 1}
        await self.change(batch_id, **past)
        async with self.resources.database.transaction() as db:
            await db.execute(update(Job).where(col(Job.batch_id) == batch_id).values(**past))

    def another(self) -> "Yard":
        """Return the same yard under another leader."""
        lifecycle = Lifecycle(self.resources, SchedulerMetrics())
        return replace(self, lifecycle=lifecycle, composer=Composer(self.resources))

    async def lines(self, batch_id: str) -> Sequence[Row]:
        """Return the rows of a batch's lines, in their order."""
        async with self.resources.database.reading() as db:
            query = select(store.JOBS).where(col(Job.batch_id) == batch_id)
            return await fetch(db, query.order_by(col(Job.line)))

    async def claim(self, ids: Sequence[str]) -> list[ClaimedJob]:
        """Claim lines for the one worker that there is."""
        async with self.resources.database.transaction() as db:
            return await claim_store.claim(db, ids, owner=OWNER, lease_ms=60_000)

    async def end(self, job: ClaimedJob, state: JobState, body: bytes = ANSWER) -> None:
        """End a claim as a worker does."""
        done = state is JobState.COMPLETED
        error: dict[str, JsonValue] | None = None
        if not done:
            error = {"code": "bad_request", "message": "No such thing."}
        result = Result(200, body) if done else None
        await self.journal.end(ClaimEnd(job, state, result=result, error=error))

    async def finish(self, ids: Sequence[str], state: JobState = JobState.COMPLETED) -> None:
        """Claim lines and end them."""
        await asyncio.gather(*(self.end(job, state) for job in await self.claim(ids)))

    async def lead(self) -> None:
        """Do what the leader does at each tick, until there is nothing left to do at once."""
        for _ in range(1000):
            await self.lifecycle.perform()
            await self.composer.perform()
            while self.composer._tasks:
                await asyncio.wait(self.composer._tasks.values())
            async with self.resources.database.reading() as db:
                alive = await lifecycle_store.alive(db)
            if not any(next_step(each) or each["finalizing_at"] for each in alive):
                return
            if all(next_step(each) == "cancel" for each in alive if next_step(each)):
                # What still runs has been asked to stop.
                return
        raise AssertionError("the leader comes to no end")

    async def events(self, batch_id: str) -> list[Row]:
        """Return what was told of a batch, oldest first."""
        async with self.resources.database.reading() as db:
            table = BatchEvent.__table__  # type: ignore[attr-defined]
            query = select(table).where(col(BatchEvent.batch_id) == batch_id)
            return list(await fetch(db, query.order_by(col(BatchEvent.number))))

    async def results(self, batch_id: str, *, after: int = 0) -> list[dict[str, Any]]:
        """Return the ended lines as the stream of results shows them."""
        outcomes = Outcomes(
            self.resources.database,
            self.resources.blobs,
            batch_id,
            stream_line,
            until=(await self.row(batch_id))["outcomes"],
        )
        text = b"".join([piece async for piece in outcomes.read(after=after)])
        return [orjson.loads(line) for line in text.splitlines()]

    async def file(self, file_id: str | None) -> tuple[Row, list[dict[str, Any]]]:
        """Return a file's row and its lines."""
        async with self.resources.database.reading() as db:
            table = StoredFile.__table__  # type: ignore[attr-defined]
            (row,) = await fetch(db, select(table).where(col(StoredFile.id) == file_id))
        data = await self.resources.blobs.get(row["blob"])
        assert len(data) == row["bytes"]
        assert data.isascii()
        assert data.endswith(b"\n")
        return row, [orjson.loads(line) for line in data.splitlines()]


@asynccontextmanager
async def a_yard(resources: Resources, tenant_id: str = TENANT) -> AsyncIterator[Yard]:
    """Give a yard over these resources, whose database is migrated."""
    metrics = SchedulerMetrics()
    desk = Desk(resources, Limiter(resources.redis), metrics)
    journal = Journal(resources.database, resources.announcer, owner=OWNER)
    async with aclosing(Composer(resources)) as composer:
        yield Yard(resources, Lifecycle(resources, metrics), composer, desk, journal, tenant_id)
        await journal.close()
