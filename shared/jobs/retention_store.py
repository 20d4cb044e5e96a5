"""SQL of the end of a job's time: its rows go, its counts and cost stay."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import Row, fetch, insert_on_conflict, now_ms
from shared.events import store as event_store
from shared.jobs.model import (
    Attempt,
    IdempotencyKey,
    Job,
    JobRequest,
    JobResult,
)
from shared.jobs.part_model import JobPart
from shared.jobs.purged_model import Purged
from shared.webhooks import fanout_store

DAY_MS = 86_400_000
_COUNTED = ("input_tokens", "output_tokens", "cached_tokens", "cost_nanousd")


@dataclass(frozen=True, slots=True)
class Removed:
    """What a chunk took away: how many jobs, and the blobs to delete after the commit."""

    jobs: int
    blobs: Sequence[str]


async def past(
    db: AsyncConnection, tenant_id: str, *, older_than_ms: int, limit: int
) -> Sequence[str]:
    """Return single jobs of a tenant that ended so long ago, the oldest first.

    Lines of batches are left out: they go with their batch.
    """
    wanted = {"tenant": tenant_id, "older_than": older_than_ms, "most": limit}
    return (await db.execute(_PAST, wanted)).scalars().all()


_PAST = (
    select(col(Job.id))
    .where(
        col(Job.tenant_id) == bindparam("tenant"),
        col(Job.batch_id).is_(None),
        col(Job.finished_at) < now_ms() - bindparam("older_than", type_=BigInteger),
    )
    .order_by(col(Job.finished_at))
    .limit(bindparam("most"))
)


async def remove_single(db: AsyncConnection, ids: Sequence[str]) -> Removed:
    """Remove ended jobs with all that belongs to them; add what they were to `purged`."""
    await _lock(db, ids)
    single = (col(Job.batch_id).is_(None), col(Job.finished_at).is_not(None))
    rows = await fetch(db, _take(ids).where(*single))
    await _count(db, rows)
    return Removed(len(rows), await _remove_belongings(db, [row["id"] for row in rows]))


async def remove_lines(db: AsyncConnection, ids: Sequence[str]) -> Removed:
    """Remove lines of a batch with all that belongs to them: their batch has counted them."""
    await _lock(db, ids)
    rows = await fetch(db, _take(ids))
    return Removed(len(rows), await _remove_belongings(db, [row["id"] for row in rows]))


async def _lock(db: AsyncConnection, ids: Sequence[str]) -> None:
    # In the order in which all lock: another one may be at the same jobs.
    if db.dialect.name == "postgresql":
        locked = select(col(Job.id)).where(col(Job.id).in_(ids)).order_by(col(Job.id))
        await db.execute(locked.with_for_update())


def _take(ids: Sequence[str]) -> Any:
    counted = (getattr(Job, name) for name in _COUNTED)
    return (
        delete(Job)
        .where(col(Job.id).in_(ids))
        .returning(col(Job.id), col(Job.tenant_id), col(Job.state), col(Job.finished_at), *counted)
    )


async def _remove_belongings(db: AsyncConnection, ids: Sequence[str]) -> Sequence[str]:
    blobs: list[str | None] = []
    for table in (JobRequest, JobResult):
        gone = delete(table).where(col(table.job_id).in_(ids)).returning(col(table.blob))
        blobs += (await db.execute(gone)).scalars()
    for other in (JobPart, Attempt, IdempotencyKey):
        await db.execute(delete(other).where(col(other.job_id).in_(ids)))
    await event_store.forget(db, ids)
    await fanout_store.forget(db, ids)
    return [key for key in blobs if key is not None]


async def _count(db: AsyncConnection, rows: Iterable[Row]) -> None:
    days: dict[tuple[str, int], Counter[str]] = {}
    for row in rows:
        sums = days.setdefault((row["tenant_id"], row["finished_at"] // DAY_MS), Counter())
        sums[row["state"]] += 1
        sums.update({name: row[name] or 0 for name in _COUNTED})
    if days:
        # Locked in one order by all, or two could wait for each other.
        await _add(db, [_purged(key, sums) for key, sums in sorted(days.items())])


def _purged(key: tuple[str, int], sums: Counter[str]) -> dict[str, Any]:
    return {"tenant_id": key[0], "day": key[1], **{name: sums[name] for name in _SUMMED}}


_SUMMED = ("completed", "failed", "cancelled", "expired", *_COUNTED)


async def _add(db: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    statement = insert_on_conflict(db, Purged).values(list(rows))
    more = {name: getattr(Purged, name) + statement.excluded[name] for name in _SUMMED}
    key = ("tenant_id", "day")
    await db.execute(statement.on_conflict_do_update(index_elements=key, set_=more))
