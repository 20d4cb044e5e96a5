"""SQL of the pulse: how much waits and runs, over all tenants."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import now_ms
from shared.jobs.model import Job, in_state
from shared.jobs.transitions import JobState
from shared.outbox import OutboxMessage

MOST_GROUPS = 2000


@dataclass(frozen=True, slots=True)
class Depth:
    """Queued jobs that are alike: `waits` tells those with a `not_before`; ages in milliseconds."""

    priority: int
    model: str
    waits: bool
    lane: str | None
    reason: str | None
    jobs: int
    oldest_ms: int


@dataclass(frozen=True, slots=True)
class Running:
    """Jobs in workers' hands, and those of them whose lease is over."""

    jobs: int
    overdue: int


@dataclass(frozen=True, slots=True)
class Outbox:
    """Wake-ups that are promised and not known to be sent."""

    messages: int
    oldest_ms: int


async def depths(db: AsyncConnection) -> Sequence[Depth]:
    """Return the queue by priority, model, lane and reason, the largest groups first."""
    waits = col(Job.not_before).is_not(None)
    groups = (col(Job.priority), col(Job.model), waits, col(Job.lane), col(Job.reason))
    begun = func.min(func.coalesce(col(Job.scheduled_at), col(Job.created_at)))
    query = (
        select(*groups, func.count(), now_ms() - begun)
        .where(in_state(JobState.QUEUED))
        .group_by(*groups)
        .order_by(func.count().desc())
        .limit(MOST_GROUPS)
    )
    return [
        Depth(*row[:2], bool(row[2]), *row[3:5], row[5], max(0, row[6]))
        for row in await db.execute(query)
    ]


async def scheduled(db: AsyncConnection) -> int:
    """Count the jobs whose time has not come."""
    query = select(func.count()).select_from(Job).where(in_state(JobState.SCHEDULED))
    return int((await db.execute(query)).scalar_one())


async def running(db: AsyncConnection) -> Running:
    """Count the jobs in workers' hands."""
    late = func.count().filter(col(Job.lease_expires_at) <= now_ms())
    query = select(func.count(), late).select_from(Job).where(in_state(JobState.RUNNING))
    return Running(*(await db.execute(query)).one())


async def outbox(db: AsyncConnection) -> Outbox:
    """Count the wake-ups that are promised."""
    oldest = func.coalesce(now_ms() - func.min(col(OutboxMessage.created_at)), 0)
    return Outbox(
        *(await db.execute(select(func.count(), oldest).select_from(OutboxMessage))).one()
    )
