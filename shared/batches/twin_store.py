"""SQL of lines that ask the same: which one asks, and which of the others wait for its answer."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, insert, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased
from sqlmodel import col

from shared.batches.twins import COALESCED
from shared.database import Row, fetch, now_ms
from shared.jobs.changes import Change, change_of
from shared.jobs.model import CHANGED, Job, JobResult, in_state
from shared.jobs.transitions import FINAL, JobState

_QUEUED: ColumnElement[str] = literal_column("'queued'")
_COALESCED: ColumnElement[str] = literal_column(f"'{COALESCED}'")
ENDED = sorted(FINAL)


async def askers(db: AsyncConnection, keys: Collection[str]) -> Mapping[str, str]:
    """Return the job that asks, for each of these twin keys for which one is under way."""
    # The tenant is in the key; named here, it would have all that he has be read.
    query = select(col(Job.twin_key), col(Job.id)).where(
        col(Job.twin_key).in_(keys),
        in_state(JobState.QUEUED, JobState.SCHEDULED, JobState.RUNNING),
        col(Job.held).is_(None),
        col(Job.cancel_requested).is_(False),
    )
    # The oldest is the last of them, and stays.
    found = await db.execute(query.order_by(col(Job.id).desc()))
    return {row.twin_key: row.id for row in found}


async def deserted(db: AsyncConnection, *, limit: int) -> Sequence[Row]:
    """Return jobs that others follow although they ask no more, as `asker_id`, `state`, `generation`.

    It has ended, or is gone (`state` None), or is paused and followed by lines of other batches.
    """
    return await fetch(db, _DESERTED.limit(limit))


async def followers(
    db: AsyncConnection, asker_ids: Collection[str], *, limit: int, not_of: str | None = None
) -> Sequence[Row]:
    """Return lines that wait for these jobs' answers, oldest first; none of the batch `not_of`."""
    columns = (col(Job.id), col(Job.twin_key), col(Job.generation), col(Job.follows))
    query = select(*columns).where(*_following(asker_ids, not_of))
    return await fetch(db, query.order_by(col(Job.id)).limit(limit))


async def complete(
    db: AsyncConnection, asker_ids: Collection[str], results: Mapping[str, Mapping[str, Any]]
) -> list[Change]:
    """End followers with copies of an answer, by job id; return the changes of those that waited."""
    end = (
        update(Job)
        .where(col(Job.id).in_(sorted(results)), *_following(asker_ids))
        .values(
            state=JobState.COMPLETED,
            reason=None,
            held=None,
            cached=True,
            cost_nanousd=0,
            finished_at=now_ms(),
            version=Job.version + 1,
        )
        .returning(*CHANGED)
    )
    changes = [change_of(row) for row in await fetch(db, end)]
    if changes:
        await db.execute(insert(JobResult), [dict(results[each.job_id]) for each in changes])
    return changes


async def let_go(db: AsyncConnection, asker_id: str, job_id: str) -> bool:
    """Have a follower ask itself; False when it does not wait any more."""
    free = update(Job).where(col(Job.id) == job_id, *_following([asker_id]))
    freed = await db.execute(free.values(held=None, follows=None, wakeup_at=None))
    return bool(freed.rowcount)


async def point_to(
    db: AsyncConnection, asker_id: str, other: str, *, limit: int, not_of: str | None = None
) -> int:
    """Let followers of a job follow another; return how many."""
    some = select(col(Job.id)).where(*_following([asker_id], not_of)).limit(limit)
    move = update(Job).where(col(Job.id).in_(some), *_following([asker_id])).values(follows=other)
    return int((await db.execute(move)).rowcount)


def _follower(job: Any) -> ColumnElement[bool]:
    # As the partial index has it.
    return and_(col(job.state) == _QUEUED, col(job.held) == _COALESCED)


def _following(asker_ids: Collection[str], not_of: str | None = None) -> list[ColumnElement[bool]]:
    mine = [_follower(Job), col(Job.follows).in_(asker_ids)]
    if not_of is not None:
        mine.append(col(Job.batch_id) != not_of)
    return mine


def _select_deserted() -> Select[Any]:
    asker = aliased(Job)
    waiting = _follower(Job)
    followed = select(col(Job.follows).label("asker_id")).where(waiting).distinct().subquery()
    joined = followed.outerjoin(asker, col(asker.id) == followed.c.asker_id)
    elsewhere = aliased(Job)
    held_from_others = and_(
        col(asker.held).is_not(None),
        select(col(elsewhere.id))
        .where(
            _follower(elsewhere),
            col(elsewhere.follows) == col(asker.id),
            col(elsewhere.batch_id) != col(asker.batch_id),
        )
        .exists(),
    )
    over = or_(col(asker.id).is_(None), col(asker.state).in_(ENDED), held_from_others)
    query = select(
        followed.c.asker_id,
        col(asker.state).label("state"),
        col(asker.generation).label("generation"),
        col(asker.batch_id).label("batch_id"),
    )
    return query.select_from(joined).where(over)


# Asked at every tick: that it is built costs more than the answer.
_DESERTED = _select_deserted()
