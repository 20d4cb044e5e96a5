"""A database as it looks after weeks of work: most has ended, little waits, a few run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, text

from shared.batches.model import Batch, BatchInput
from shared.clock import now_ms
from shared.database import Database, chunks
from shared.events.model import Event
from shared.files.model import StoredFile
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.model import Attempt, Job, JobRequest, JobResult
from shared.jobs.rows import job_row, request_row
from shared.webhooks.model import WebhookDelivery

TENANTS = ("ten_big",) * 14 + ("ten_other",) * 5 + ("ten_small",)
LANES = ("lane_a", "lane_b", "lane_c")
HOUR_MS = 3_600_000
ENDS = ("completed",) * 94 + ("failed",) * 4 + ("cancelled", "expired")
ENDED_LINES, RUNNING_LINES, WAITING_LINES = 5000, 30, 800


@dataclass
class Crowd:
    """The rows to store, and the ids that a test asks for."""

    size: int = 24_000
    now: int = field(default_factory=now_ms)
    jobs: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.jobs = list(self._jobs())

    def ids(self, **like: Any) -> list[str]:
        """Return the ids of the jobs that have these values."""
        return [
            str(job["id"])
            for job in self.jobs
            if all(job[name] == value for name, value in like.items())
        ]

    async def store(self, database: Database) -> None:
        """Put all of it into an empty database, and have the planner look at it."""
        await _insert(database, Job, self.jobs)
        await _insert(database, JobRequest, [self._request(job) for job in self.jobs])
        called = [job for job in self.jobs if job["finished_at"] or job["owner"]]
        await _insert(database, Attempt, [_attempt(job) for job in called])
        ended = [job for job in self.jobs if job["finished_at"]]
        await _insert(database, JobResult, [_result(job) for job in ended])
        await _insert(database, Event, [_event(job) for job in self.jobs])
        await _insert(database, WebhookDelivery, [_delivery(job) for job in self.jobs[::5]])
        await _insert(database, StoredFile, [_file(number, self.now) for number in range(3000)])
        await _insert(database, Batch, list(self._batches()))
        await _insert(database, BatchInput, [_input(batch) for batch in self._batches()])
        async with database.transaction() as db:
            await db.execute(text("ANALYZE"))

    def _jobs(self) -> Iterator[dict[str, Any]]:
        waiting, running = 2000, 100
        for number in range(self.size):
            draft = JobDraft(
                tenant_id=TENANTS[number % len(TENANTS)],
                endpoint=Endpoint.EMBEDDINGS if number % 50 == 0 else Endpoint.CHAT,
                model="m",
                body=b"{}",
                request_bytes=2,
                created_at=self.now - (self.size - number) * 100,
                complete_by=self.now + HOUR_MS,
                lane=LANES[number % 3],
                tokens=100,
            )
            job = job_row(f"job_{number:026}", draft)
            left = self.size - number
            if left > waiting + running:
                self._end(job, number)
            elif left > waiting:
                self._run(job, number)
            else:
                _wait(job, number, self.now)
            yield job

    def _end(self, job: dict[str, Any], number: int) -> None:
        job |= {
            "state": ENDS[number % len(ENDS)],
            "finished_at": job["created_at"] + 50,
            "input_tokens": 10,
            "output_tokens": 2,
            "cost_nanousd": 7,
        }
        if number < ENDED_LINES:
            _enter(job, "batch_old", number, outcome=number + 1)
        elif number < ENDED_LINES + 4000:
            _enter(job, f"batch_{number % 20:02}", number, outcome=number)
        elif number % 9 == 0:
            _enter(job, "batch_now", number, outcome=number)

    def _run(self, job: dict[str, Any], number: int) -> None:
        late = number % 20 == 0
        job |= {
            "state": "running",
            "owner": "worker-1",
            "claim_number": 1,
            "lease_expires_at": self.now + (-1000 if late else HOUR_MS),
            "started_at": self.now - 1000,
        }
        if number % 3 == 0:
            _enter(job, "batch_now", number)

    def _request(self, job: dict[str, Any]) -> dict[str, Any]:
        draft = JobDraft("t", Endpoint.CHAT, "m", b"{}", 2, 0, 0)
        row = request_row(job["id"], draft)
        large = int(job["id"][-3:]) % 100 == 0
        return {**row, "body": None, "blob": f"requests/{job['id']}"} if large else row

    def _batches(self) -> Iterator[dict[str, Any]]:
        for name in ("batch_old", "batch_now", *(f"batch_{number:02}" for number in range(300))):
            alive = name == "batch_now"
            yield {
                "id": name,
                "tenant_id": "ten_big",
                "state": "in_progress" if alive else "completed",
                "completion_window": "24h",
                "complete_by": self.now + HOUR_MS,
                "created_at": self.now - HOUR_MS,
                "finished_at": None if alive else self.now - 1000,
            }


def _enter(job: dict[str, Any], batch: str, line: int, *, outcome: int | None = None) -> None:
    job |= {"batch_id": batch, "line": line, "outcome_number": outcome, "tenant_id": "ten_big"}


def _wait(job: dict[str, Any], number: int, now: int) -> None:
    job |= {"state": "queued", "wakeup_at": None}
    if number % 5 < 2:
        _enter(job, "batch_now", number)
    kind = number % 40
    if kind == 0:
        job |= {"state": "scheduled", "not_before": now + HOUR_MS}
    elif kind < 4:
        job |= {"wakeup_at": now - 10_000}
    elif kind == 4:
        job |= {"not_before": now + HOUR_MS, "reason": "backoff"}
    elif kind == 5:
        job |= {"held": "coalesced", "follows": f"job_{number - 1:026}"}
    elif kind == 6:
        job |= {"complete_by": now - 1}
    elif kind == 7:
        job |= {"twin_key": f"twin-{number}"}


def _attempt(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "job_id": job["id"],
        "claim_number": 1,
        "call": 1,
        "generation": 1,
        "deployment": "m",
        "lane": job["lane"],
        "owner": "worker-1",
        "status": "ok" if job["finished_at"] else "started",
        "started_at": job["created_at"],
    }


def _result(job: dict[str, Any]) -> dict[str, Any]:
    large = int(job["id"][-3:]) % 100 == 1
    return {
        "job_id": job["id"],
        "generation": 1,
        "status_code": 200,
        "body": None if large else b"{}" * 100,
        "blob": f"results/{job['id']}/1-1.json" if large else None,
        "created_at": job["finished_at"],
    }


def _event(job: dict[str, Any]) -> dict[str, Any]:
    return {"job_id": job["id"], "number": 1, "type": "t", "created_at": job["created_at"]}


def _delivery(job: dict[str, Any]) -> dict[str, Any]:
    due = job["state"] == "queued"
    return {
        "id": f"del_{job['id']}",
        "tenant_id": job["tenant_id"],
        "target": f"host-{job['id'][-1]}",
        "url": "https://receiver",
        "event_id": "e",
        "event_type": "t",
        "job_id": job["id"],
        "body": b"{}",
        "state": "pending" if due else "delivered",
        "next_try_at": job["created_at"] if due else None,
        "created_at": job["created_at"],
        "finished_at": None if due else job["created_at"],
    }


def _file(number: int, now: int) -> dict[str, Any]:
    return {
        "id": f"file-{number:026}",
        "tenant_id": TENANTS[number % len(TENANTS)],
        "filename": "f",
        "purpose": "batch",
        "bytes": 1,
        "sha256": "0",
        "blob": f"files/ab/{number}",
        "created_at": now - number,
        "expires_at": now - 1 if number % 200 == 0 else None,
    }


def _input(batch: dict[str, Any]) -> dict[str, Any]:
    stored = batch["finished_at"] is not None
    return {"batch_id": batch["id"], "number": 0, "blob": batch["id"], "bytes": 1, "stored": stored}


async def _insert(database: Database, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    async with database.transaction() as db:
        for some in chunks(rows, 5000):
            await db.execute(insert(table.__table__), list(some))
