"""A migrated database of each kind, and jobs in it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from shared import migrate
from shared.clock import now_ms
from shared.database import Database
from shared.enqueue import Enqueuer
from shared.ids import new_id
from shared.jobs import store
from shared.jobs.announcer import Announcer
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.rows import job_row, request_row
from shared.publisher import Publisher
from workers.journal import Journal

AddJob = Callable[..., Awaitable[str]]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    await migrate.upgrade(opened)
    yield opened
    await opened.close()


@pytest.fixture
def add_job(database: Database) -> AddJob:
    """Return a function that stores a job, with columns changed as asked; returns its id."""

    async def add(**changes: Any) -> str:
        now = now_ms()
        draft = JobDraft("ten_1", Endpoint.CHAT, "m", b"{}", 2, now, now + 3_600_000)
        job_id = new_id("job")
        row = {**job_row(job_id, draft), **changes}
        async with database.transaction() as db:
            await store.insert_jobs(db, [row], [request_row(job_id, draft)])
        return job_id

    return add


@pytest.fixture
async def journal(database: Database, redis_url: str) -> AsyncIterator[Journal]:
    redis = Redis.from_url(redis_url)
    announcer = Announcer(redis, Publisher(database, Enqueuer(redis_url)))
    opened = Journal(database, announcer, owner="a")
    yield opened
    await opened.close()
    await redis.aclose()
