"""The leader's retention on a migrated database of each kind, with jobs and batches that ended."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from shared import migrate
from shared.auth.model import Tenant
from shared.batches.model import Batch, BatchEvent, BatchInput
from shared.clock import now_ms
from shared.database import Database, Row
from shared.events.model import Event
from shared.files.blobs import BlobStore
from shared.files.model import StoredFile
from shared.ids import new_id
from shared.jobs import store
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.model import Attempt, IdempotencyKey, JobResult
from shared.jobs.part_model import JobPart
from shared.jobs.rows import job_row, request_row
from shared.jobs.transitions import JobState
from shared.resources import Resources, open_resources
from shared.settings import Settings
from shared.webhooks.model import WebhookDelivery, WebhookTry
from workers.scheduler.retention import Retention

DAY_MS = 86_400_000
KEEPS_S = 30 * 86_400.0
BELONGINGS = (
    "job_request",
    "job_result",
    "job_part",
    "attempt",
    "event",
    "idempotency_key",
    "webhook_delivery",
    "webhook_try",
)


@dataclass
class Archive:
    """What has ended, and who removes it."""

    resources: Resources

    @property
    def database(self) -> Database:
        return self.resources.database

    @property
    def blobs(self) -> BlobStore:
        return self.resources.blobs

    async def prune(self) -> None:
        """Do what the leader does every few seconds."""
        await Retention(self.resources).prune()

    async def add_tenant(self, name: str, **more: Any) -> None:
        await self._insert(Tenant, id=name, name=name, created_at=now_ms() - 100 * DAY_MS, **more)

    async def add_job(self, *, days_ago: float, tenant: str = "ten_1", **changes: Any) -> str:
        """Store a job that ended so many days ago, with a row of everything that a job may have."""
        now = now_ms()
        draft = JobDraft(tenant, Endpoint.CHAT, "m", b"{}", 2, now, now + 3_600_000)
        job_id = new_id("job")
        ended_at = now - round(days_ago * DAY_MS)
        row = {
            **job_row(job_id, draft),
            "state": JobState.COMPLETED,
            "finished_at": ended_at,
            "wakeup_at": None,
            "input_tokens": 10,
            "output_tokens": 2,
            "cost_nanousd": 700,
            **changes,
        }
        async with self.database.transaction() as db:
            await store.insert_jobs(db, [row], [request_row(job_id, draft)])
        await self._add_belongings(job_id, tenant, ended_at)
        return job_id

    async def _add_belongings(self, job_id: str, tenant: str, at: int) -> None:
        blob = f"results/{job_id}/1-1.json"
        await self.blobs.put(blob, b"{}")
        of_job: dict[str, Any] = {"job_id": job_id, "generation": 1}
        await self._insert(JobResult, **of_job, status_code=200, blob=blob, created_at=at)
        await self._insert(JobPart, **of_job, number=0, body=b"{}")
        called = {"claim_number": 1, "call": 1, "deployment": "m", "lane": "m", "owner": "w"}
        await self._insert(Attempt, **of_job, **called, status="ok", started_at=at)
        await self._insert(Event, job_id=job_id, number=1, type="job.completed", created_at=at)
        key = {"tenant_id": tenant, "key": job_id, "fingerprint": "f", "expires_at": at}
        await self._insert(IdempotencyKey, job_id=job_id, **key)
        await self.add_delivery(f"del_{job_id}", tenant, state="delivered", job_id=job_id)
        told = {"delivery_id": f"del_{job_id}", "number": 1, "started_at": at, "total_ms": 1}
        await self._insert(WebhookTry, **told)

    async def add_delivery(self, delivery_id: str, tenant: str, **more: Any) -> None:
        where = {"target": "t", "url": "https://t", "event_id": "e", "event_type": "t"}
        row = {"id": delivery_id, "tenant_id": tenant, "body": b"", "created_at": 1, **where}
        await self._insert(WebhookDelivery, **row, **more)

    async def add_batch(
        self, lines: int, *, days_ago: float, tenant: str = "ten_1", **more: Any
    ) -> str:
        """Store a batch that ended so many days ago, its input in a blob of its own."""
        batch_id, ended_at = new_id("batch"), now_ms() - round(days_ago * DAY_MS)
        for number in range(1, lines + 1):
            of_batch = {"batch_id": batch_id, "line": number, "outcome_number": number}
            await self.add_job(days_ago=days_ago + 1, tenant=tenant, **of_batch)
        row = {
            "id": batch_id,
            "tenant_id": tenant,
            "state": "completed",
            "completion_window": "24h",
            "complete_by": ended_at,
            "created_at": ended_at,
            "finished_at": ended_at,
            "total": lines,
            "completed": lines,
            "outcomes": lines,
            "cost_nanousd": 700 * lines,
            "metadata": {"secret": "of the tenant"},
            "webhook": {"url": "https://secret", "events": []},
        }
        await self._insert(Batch, **{**row, **more})
        blob = f"inputs/{batch_id}"
        await self.blobs.put(blob, b"{}")
        await self._insert(BatchInput, batch_id=batch_id, number=0, blob=blob, bytes=2)
        told = {"batch_id": batch_id, "number": 1, "type": "batch.completed", "data": {}}
        await self._insert(BatchEvent, **told, created_at=ended_at)
        return batch_id

    async def add_file(self, *, tenant: str = "ten_1", expires_at: int | None = None) -> str:
        """Store a file with its bytes; return its id."""
        file_id = new_id("file")
        row = {"id": file_id, "tenant_id": tenant, "filename": "f", "purpose": "batch_output"}
        content = {"bytes": 1, "sha256": "0", "blob": f"files/ab/{file_id}", "created_at": 1}
        await self._insert(StoredFile, **row, **content, expires_at=expires_at)
        await self.blobs.put(str(content["blob"]), b"x")
        return file_id

    async def rows(self, table: str) -> list[Row]:
        """Return every row of a table."""
        async with self.database.reading() as db:
            found = (await db.execute(text(f"SELECT * FROM {table}"))).mappings().all()
        return [dict(row) for row in found]

    async def ids(self, table: str = "job") -> set[str]:
        """Return the ids that a table has."""
        return {str(row["id"]) for row in await self.rows(table)}

    async def keys(self) -> set[str]:
        """Return the keys of all blobs."""
        return {each.key async for page in self.blobs.pages() for each in page}

    async def owners_of_belongings(self) -> set[str]:
        """Return the jobs that any row beside theirs speaks of."""
        found: set[str] = set()
        for table in BELONGINGS:
            rows = await self.rows(table)
            found |= {str(row.get("job_id") or row.get("delivery_id", "")[4:]) for row in rows}
        return found

    async def _insert(self, table: Any, **values: Any) -> None:
        async with self.database.transaction() as db:
            await db.execute(insert(table.__table__).values(**values))


@pytest.fixture
async def archive(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Archive]:
    """An archive of two tenants, kept for thirty days unless they say otherwise."""
    settings = Settings(
        data_dir=tmp_path,
        redis_url=redis_url,
        database_url=database_url,
        result_retention_s=KEEPS_S,
    )
    async with open_resources(settings) as resources:
        await migrate.upgrade(resources.database)
        made = Archive(resources)
        await made.add_tenant("ten_1")
        await made.add_tenant("ten_2", retention_s=86_400)
        yield made
