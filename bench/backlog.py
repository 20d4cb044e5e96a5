"""Lines of one batch, stored while it is paused, so that a drain starts when they are let go."""

from typing import Any

from sqlalchemy import select, text, update
from sqlmodel import col

from bench import prompts
from bench.service import MODEL
from shared.batches import store as batch_store
from shared.batches.lifecycle_store import PAUSED
from shared.batches.model import Batch, BatchState
from shared.clock import now_ms
from shared.database import Database, chunks
from shared.ids import new_id
from shared.jobs import store as job_store
from shared.jobs.draft import Endpoint, JobDraft
from shared.jobs.model import Job
from shared.jobs.rows import job_row, request_row
from shared.jobs.transitions import Priority

AT_ONCE = 1000
LIFE_MS = 24 * 3600 * 1000
TOKENS = 500


async def put(database: Database, *, lane: str, lines: int) -> str:
    """Store a batch of so many chat requests, all of them held; return its id."""
    batch_id, at = new_id("batch"), now_ms()
    async with database.transaction() as db:
        tenant_id = (await db.execute(text("SELECT id FROM tenant"))).scalars().first()
        batch: dict[str, Any] = {
            "id": batch_id,
            "tenant_id": tenant_id,
            "state": BatchState.IN_PROGRESS,
            "held": True,
            "paused": True,
            "completion_window": "24h",
            "complete_by": at + LIFE_MS,
            "options": {},
            "metadata": {},
            "total": lines,
            "created_at": at,
            "in_progress_at": at,
        }
        await batch_store.insert_batch(db, batch, [])
    bodies = list(enumerate(prompts.chats(lines, model=MODEL)))
    for some in chunks(bodies, AT_ONCE):
        drafts = [
            JobDraft(
                tenant_id=str(tenant_id),
                endpoint=Endpoint.CHAT,
                model=MODEL,
                body=body,
                request_bytes=len(body),
                created_at=at,
                complete_by=at + LIFE_MS,
                priority=Priority.BULK,
                custom_id=f"line-{number}",
                lane=lane,
                tokens=TOKENS,
            )
            for number, body in some
        ]
        ids = [new_id("job") for _ in some]
        line = {"batch_id": batch_id, "held": PAUSED, "wakeup_at": None}
        rows = [
            {**job_row(job_id, draft), **line, "line": number}
            for job_id, draft, (number, _) in zip(ids, drafts, some, strict=True)
        ]
        requests = [request_row(job_id, draft) for job_id, draft in zip(ids, drafts, strict=True)]
        async with database.transaction() as db:
            await job_store.insert_jobs(db, rows, requests)
    return batch_id


async def let_go(database: Database, batch_id: str) -> None:
    """Resume the batch."""
    resume = update(Batch).where(col(Batch.id) == batch_id).values(held=False, paused=False)
    free = update(Job).where(col(Job.batch_id) == batch_id).values(held=None)
    async with database.transaction() as db:
        await db.execute(resume)
        await db.execute(free)


async def ended(database: Database, batch_id: str) -> int:
    """Count the lines that have ended."""
    query = select(col(Batch.outcomes)).where(col(Batch.id) == batch_id)
    async with database.reading() as db:
        return int((await db.execute(query)).scalar_one())
