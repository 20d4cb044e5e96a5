"""SQL of what the leader does to the lines of a batch, some at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.batches.lifecycle_store import ENDED_LINES, PAUSED
from shared.batches.model import Batch, BatchState
from shared.database import Row, fetch, now_ms
from shared.jobs.change_store import CANCELLED_ERROR
from shared.jobs.changes import Change, change_of
from shared.jobs.model import CHANGED, WAITING, Job, in_state
from shared.jobs.transitions import JobState, Reason

RETRIED = (JobState.FAILED, JobState.EXPIRED)


async def stop_running(db: AsyncConnection, batch_id: str, *, limit: int) -> Sequence[str]:
    """Ask for the cancellation of running lines of a batch; return those that were not asked yet."""
    mine = (
        in_state(JobState.RUNNING),
        col(Job.batch_id) == batch_id,
        col(Job.cancel_requested).is_(False),
    )
    ask = update(Job).where(col(Job.id).in_(_some(db, mine, limit))).values(cancel_requested=True)
    return (await db.execute(ask.returning(col(Job.id)))).scalars().all()


async def running(db: AsyncConnection, batch_id: str) -> Sequence[Row]:
    """Return the running lines of a batch, and whether each was asked to stop."""
    query = select(col(Job.id), col(Job.cancel_requested)).where(
        in_state(JobState.RUNNING), col(Job.batch_id) == batch_id
    )
    return await fetch(db, query)


async def cancel_waiting(db: AsyncConnection, batch_id: str, *, limit: int) -> list[Change]:
    """Cancel waiting lines of a batch that is being cancelled."""
    cancelled = select(col(Batch.id)).where(
        col(Batch.id) == batch_id, col(Batch.state) == BatchState.CANCELLING
    )
    mine = (in_state(*WAITING), col(Job.batch_id) == batch_id, col(Job.batch_id).in_(cancelled))
    end = (
        update(Job)
        .where(col(Job.id).in_(_waiting(db, mine, limit)), in_state(*WAITING))
        .values(
            state=JobState.CANCELLED,
            reason=Reason.CANCELLED,
            error=CANCELLED_ERROR,
            held=None,
            not_before=None,
            finished_at=now_ms(),
            version=Job.version + 1,
        )
        .returning(*CHANGED)
    )
    return [change_of(row) for row in await fetch(db, end)]


async def mark_paused(db: AsyncConnection, batch_id: str, *, limit: int) -> int:
    """Take waiting lines of a paused batch out of what is due; return how many."""
    # Those that wait for another's answer stay as they are: that one is not to come either.
    paused = select(col(Batch.id)).where(col(Batch.id) == batch_id, col(Batch.paused))
    mine = (in_state(*WAITING), col(Job.batch_id) == batch_id, col(Job.held).is_(None))
    # All conditions in there: PostgreSQL would compare every line of the batch with each of these.
    some = _waiting(db, (*mine, col(Job.batch_id).in_(paused)), limit)
    # A message that was sent for one finds it held: the next one is sent when it is let go.
    mark = update(Job).where(col(Job.id).in_(some), in_state(*WAITING))
    return (await db.execute(mark.values(held=PAUSED, wakeup_at=None))).rowcount


async def let_go(db: AsyncConnection, batch_id: str, *, limit: int) -> int:
    """Put lines of a batch that is paused no more back into what is due; return how many."""
    runs = select(col(Batch.id)).where(col(Batch.id) == batch_id, col(Batch.paused).is_(False))
    mine = (in_state(*WAITING), col(Job.batch_id) == batch_id, col(Job.held) == PAUSED)
    some = _waiting(db, (*mine, col(Job.batch_id).in_(runs)), limit)
    free = update(Job).where(col(Job.id).in_(some), in_state(*WAITING))
    return (await db.execute(free.values(held=None, wakeup_at=None))).rowcount


async def retried(
    db: AsyncConnection, batch_id: str, *, after: int, until: int, limit: int
) -> Sequence[Row]:
    """Return failed and expired lines behind an outcome number, in its order."""
    query = select(col(Job.id), col(Job.model), col(Job.outcome_number)).where(
        col(Job.batch_id) == batch_id,
        col(Job.outcome_number) > after,
        col(Job.outcome_number) <= until,
        col(Job.state).in_(RETRIED),
        col(Job.deleted_at).is_(None),
    )
    return await fetch(db, query.order_by(col(Job.outcome_number)).limit(limit))


async def reopen(
    db: AsyncConnection, batch_id: str, lanes: Mapping[str, str | None]
) -> list[Change]:
    """Open a new generation of those of the lines that failed or expired; take them off the counts.

    `lanes` names where each is to wait, by job id. Nothing happens to a batch that is not retried.
    """
    its = select(col(Batch.id)).where(col(Batch.id) == batch_id, col(Batch.retrying))
    mine = (
        col(Job.id).in_(sorted(lanes)),
        col(Job.batch_id).in_(its),
        col(Job.state).in_(RETRIED),
        col(Job.outcome_number).is_not(None),
    )
    found = select(col(Job.id), col(Job.state)).where(*mine).order_by(col(Job.id))
    if db.dialect.name == "postgresql":
        found = found.with_for_update()
    before = {row.id: row.state for row in await db.execute(found)}
    changes: list[Change] = []
    for lane in {lanes[each] for each in before}:
        ids = [each for each in before if lanes[each] == lane]
        again = update(Job).where(col(Job.id).in_(ids)).values(lane=lane, **_anew())
        changes += [change_of(row) for row in await fetch(db, again.returning(*CHANGED))]
    states = list(before.values())
    fewer = update(Batch).where(col(Batch.id) == batch_id)
    await db.execute(
        fewer.values(
            failed=Batch.failed - states.count(JobState.FAILED),
            expired=Batch.expired - states.count(JobState.EXPIRED),
        )
    )
    return changes


def _anew() -> dict[str, Any]:
    by = select(col(Batch.complete_by)).where(col(Batch.id) == col(Job.batch_id)).scalar_subquery()
    return {
        "state": JobState.QUEUED,
        "reason": None,
        "error": None,
        "generation": Job.generation + 1,
        "failures": 0,
        "waits": 0,
        "crashes": 0,
        "cancel_requested": False,
        "started_at": None,
        "finished_at": None,
        "not_before": None,
        "complete_by": by,
        "wakeup_at": None,
        "held": None,
        "follows": None,
        "outcome_number": None,
        "version": Job.version + 1,
    }


async def end_retry(db: AsyncConnection, batch_id: str) -> None:
    """Note that every line that was to be retried is open again."""
    done = update(Batch).where(col(Batch.id) == batch_id, col(Batch.retrying))
    await db.execute(done.values(retrying=False, told_at=now_ms(), told_ended=ENDED_LINES))


def _waiting(
    db: AsyncConnection, conditions: Sequence[ColumnElement[bool]], limit: int
) -> Select[str]:
    # In the order of their index: any other plan would pass over all that has ended, each time.
    return _some(db, conditions, limit).order_by(col(Job.held), col(Job.id))


def _some(
    db: AsyncConnection, conditions: Sequence[ColumnElement[bool]], limit: int
) -> Select[str]:
    query = select(col(Job.id)).where(*conditions).limit(limit)
    if db.dialect.name == "postgresql":
        return query.with_for_update(skip_locked=True)
    return query
