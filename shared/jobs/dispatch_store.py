"""SQL of the dispatcher: which lanes and tenants have due jobs, the first of them, what runs already.

None of it costs more when more waits: it jumps from tenant to tenant in the index of due jobs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    Integer,
    String,
    bindparam,
    column,
    func,
    literal_column,
    or_,
    select,
    table,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import chunks, now_ms
from shared.jobs.model import Job, in_state
from shared.jobs.transitions import JobState, Priority

IDS_PER_STATEMENT = 500


@dataclass(frozen=True, slots=True)
class Candidate:
    """A due job. `mark` is the same for as long as nobody has claimed it."""

    id: str
    tenant_id: str
    priority: int
    created_at: int
    tokens: int
    crashes: int
    model: str
    not_before: int | None

    @property
    def mark(self) -> tuple[int | None, int]:
        """Tell this wait of the job from an earlier one."""
        return self.not_before, self.crashes


_DUE = (in_state(JobState.QUEUED), col(Job.wakeup_at).is_(None), col(Job.held).is_(None))
_RIPE = func.coalesce(col(Job.not_before), 0) <= now_ms()
# A batch that is paused or being cancelled holds all its lines, long before each is marked.
_NOT_HELD = or_(
    col(Job.batch_id).is_(None),
    col(Job.batch_id).not_in(
        select(column("id")).select_from(table("batch")).where(literal_column("held"))
    ),
)

_PAIRS = text(
    """
    WITH RECURSIVE lanes(lane) AS (
      SELECT min(lane) FROM job
      WHERE state = 'queued' AND wakeup_at IS NULL AND held IS NULL
      UNION ALL
      SELECT (SELECT min(job.lane) FROM job
              WHERE state = 'queued' AND wakeup_at IS NULL AND held IS NULL
              AND job.lane > lanes.lane)
      FROM lanes WHERE lanes.lane IS NOT NULL
    ), pairs(lane, tenant) AS (
      SELECT lane, (SELECT min(tenant_id) FROM job
                    WHERE state = 'queued' AND wakeup_at IS NULL AND held IS NULL
                    AND job.lane = lanes.lane)
      FROM lanes WHERE lane IS NOT NULL
      UNION ALL
      SELECT lane, (SELECT min(tenant_id) FROM job
                    WHERE state = 'queued' AND wakeup_at IS NULL AND held IS NULL
                    AND job.lane = pairs.lane AND job.tenant_id > pairs.tenant)
      FROM pairs WHERE tenant IS NOT NULL
    )
    SELECT lane, tenant FROM pairs WHERE tenant IS NOT NULL
    """
)


async def waiting_tenants(db: AsyncConnection) -> dict[str, list[str]]:
    """Return the tenants that have jobs in the queue, by lane; some of these may not be due yet."""
    lanes: dict[str, list[str]] = {}
    for lane, tenant in await db.execute(_PAIRS):
        lanes.setdefault(lane, []).append(tenant)
    return lanes


_LANE: BindParameter[Any] = bindparam("in_lane", type_=String)
_LIMIT: BindParameter[Any] = bindparam("most", type_=Integer)
_FIRST = (
    select(
        col(Job.id),
        col(Job.tenant_id),
        col(Job.priority),
        col(Job.created_at),
        col(Job.tokens),
        col(Job.crashes),
        col(Job.model),
        col(Job.not_before),
    )
    .where(*_DUE, col(Job.lane) == _LANE, col(Job.tenant_id) == bindparam("of"), _RIPE, _NOT_HELD)
    .order_by(col(Job.priority), col(Job.created_at), col(Job.id))
    .limit(_LIMIT)
)
_FIRST_BULK = _FIRST.where(col(Job.priority) == Priority.BULK.rank)


async def first_due(
    db: AsyncConnection, lane: str, tenant_id: str, *, limit: int
) -> list[Candidate]:
    """Return a tenant's first due jobs in a lane, the best rank first, then the oldest.

    Where those of better ranks fill the limit, as many of the lowest rank come along.
    """
    wanted = {"in_lane": lane, "of": tenant_id, "most": limit}
    found = [Candidate(*row) for row in await db.execute(_FIRST, wanted)]
    better = [job for job in found if job.priority < Priority.BULK.rank]
    if better and len(found) == limit:
        return better + [Candidate(*row) for row in await db.execute(_FIRST_BULK, wanted)]
    return found


_STILL_DUE = select(col(Job.id), col(Job.not_before), col(Job.crashes)).where(
    col(Job.id).in_(bindparam("ids", expanding=True)), *_DUE
)


async def still_due(db: AsyncConnection, ids: Sequence[str]) -> dict[str, tuple[int | None, int]]:
    """Return the marks of those of the jobs that nobody has claimed."""
    found: dict[str, tuple[int | None, int]] = {}
    for some in chunks(ids, IDS_PER_STATEMENT):
        for row in await db.execute(_STILL_DUE, {"ids": some}):
            found[row.id] = (row.not_before, row.crashes)
    return found


_RUNNING = (
    select(col(Job.lane), func.count()).where(in_state(JobState.RUNNING)).group_by(col(Job.lane))
)


async def running(db: AsyncConnection) -> Mapping[str | None, int]:
    """Count the jobs in workers' hands, by lane."""
    return {lane: int(count) for lane, count in await db.execute(_RUNNING)}


_LANELESS = select(col(Job.id), col(Job.model)).where(*_DUE, col(Job.lane).is_(None)).limit(_LIMIT)


async def without_lane(db: AsyncConnection, *, limit: int) -> Mapping[str, str]:
    """Return the models of jobs in the queue that have no lane: retried ones, and old ones."""
    rows = await db.execute(_LANELESS, {"most": limit})
    return {row.id: row.model for row in rows}


_OTHERS = (
    select(col(Job.id), col(Job.model))
    .where(*_DUE, col(Job.lane) == _LANE, col(Job.model).not_in(bindparam("those", expanding=True)))
    .limit(_LIMIT)
)


async def of_other_models(
    db: AsyncConnection, lane: str, models: Sequence[str], *, limit: int
) -> Mapping[str, str]:
    """Return the models of jobs that wait in a lane and are of none of these models, by their ids."""
    wanted = {"in_lane": lane, "those": list(models), "most": limit}
    return {row.id: row.model for row in await db.execute(_OTHERS, wanted)}


async def set_lane(db: AsyncConnection, ids: Sequence[str], lane: str) -> None:
    """Give waiting jobs that have none, or one that is no more, their lane."""
    for some in chunks(ids, IDS_PER_STATEMENT):
        await db.execute(update(Job).where(col(Job.id).in_(some), *_DUE).values(lane=lane))
