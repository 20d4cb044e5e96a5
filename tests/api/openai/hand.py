"""A worker in a test's hands: it claims, says and ends what it is told to, step by step."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from sqlalchemy import text

from shared.events.deltas import Delta, DeltaLog
from shared.events.notices import Channel, Listener
from shared.jobs import claim_store
from shared.jobs.changes import Change
from shared.jobs.claims import AttemptStart, ClaimedJob, ClaimEnd, Result
from shared.jobs.transitions import JobState, Reason
from shared.resources import Resources, open_resources
from shared.settings import Settings
from workers.journal import Journal

OWNER = "the-hand"
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def chunk(content: str | None = None, *, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chunk as a provider sends it."""
    delta = {"role": "assistant", "content": ""} if content is None else {"content": content}
    choices = [{"index": 0, "delta": {} if finish else delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    return {**head, "choices": choices, **more}


def completion(content: str, **more: Any) -> bytes:
    """Return the whole answer that a stream's result is."""
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m"}
    return orjson.dumps({**head, "choices": choices, "usage": USAGE, **more})


class Hand:
    """One worker process, of which the test is the runner."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.deltas = DeltaLog(resources.redis)
        self.journal = Journal(resources.database, resources.announcer, owner=OWNER)
        self.cancelled: list[str] = []
        self._seen: set[str] = set()

    async def job(self) -> str:
        """Return the next job that is stored."""
        async with asyncio.timeout(10):
            while True:
                for job_id in await self._column("SELECT id FROM job ORDER BY id"):
                    if job_id not in self._seen:
                        self._seen.add(job_id)
                        return str(job_id)
                await asyncio.sleep(0.002)

    async def claim(self, job_id: str | None = None) -> ClaimedJob:
        """Take a job, or the next one that is stored."""
        job_id = job_id or await self.job()
        async with self.resources.database.transaction() as db:
            (job,) = await claim_store.claim(db, [job_id], owner=OWNER, lease_ms=60_000)
            began = Change(job.id, job.tenant_id, job.version, JobState.RUNNING)
            await self.resources.announcer.announce(db, [began])
        await self.journal.start(AttemptStart(job, 1, "d", "lane", 0))
        return job

    async def say(
        self,
        job: ClaimedJob,
        number: int,
        *chunks: dict[str, Any],
        last: bool = False,
        dropped: tuple[str, ...] = (),
    ) -> None:
        """Append one entry to the log of deltas."""
        raw = orjson.dumps(chunks)
        await self.deltas.append([Delta(job.id, job.version, number, raw, last, dropped)])

    async def end(
        self,
        job: ClaimedJob,
        state: JobState = JobState.COMPLETED,
        reason: Reason | None = None,
        *,
        answer: bytes | None = None,
        status: int = 200,
        **more: Any,
    ) -> None:
        """Let go of a job."""
        result = None if answer is None else Result(status, answer)
        assert await self.journal.end(ClaimEnd(job, state, reason, result=result, **more))

    async def state(self, job_id: str) -> str:
        """Return what stands in the database."""
        return str((await self._column("SELECT state FROM job WHERE id = :id", id=job_id))[0])

    async def value(self, job_id: str, column: str) -> Any:
        """Return one column of a job's row."""
        return (await self._column(f"SELECT {column} FROM job WHERE id = :id", id=job_id))[0]

    async def stopped(self, job_id: str) -> None:
        """Return once the job was cancelled, or its worker was told to close the call."""
        async with asyncio.timeout(10):
            while job_id not in self.cancelled and await self.state(job_id) != "cancelled":  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    async def _column(self, query: str, **values: Any) -> list[Any]:
        async with self.resources.database.reading() as db:
            return list((await db.execute(text(query), values)).scalars())


@asynccontextmanager
async def a_hand(settings: Settings) -> AsyncIterator[Hand]:
    """Open what a worker has; nothing is done by itself."""
    async with open_resources(settings) as resources:
        hand = Hand(resources)
        ready = asyncio.Event()
        listener = Listener(
            resources.redis,
            [Channel.CANCEL],
            lambda _channel, message: hand.cancelled.extend(message.decode().split()),
            lambda _channel: ready.set(),
        )
        listener.start()
        await asyncio.wait_for(ready.wait(), 10)
        yield hand
        await hand.journal.close()
        await listener.close()
