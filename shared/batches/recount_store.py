"""SQL of lines that have ended and were not counted: an older version's worker knows no batches."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, cast, func, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.batches.model import Batch
from shared.database import Row, fetch
from shared.jobs.model import WAITING, Job, in_state
from shared.jobs.transitions import JobState

_UNCOUNTED = (
    # As the partial index has it, which is empty almost always.
    col(Job.batch_id).is_not(None),
    col(Job.outcome_number).is_(None),
    col(Job.finished_at).is_not(None),
)
SUMS = ("input_tokens", "output_tokens", "cached_tokens", "cost_nanousd")


async def any_uncounted(db: AsyncConnection) -> bool:
    """Tell whether there are any."""
    return (await db.execute(select(col(Job.id)).where(*_UNCOUNTED).limit(1))).first() is not None


async def uncounted(db: AsyncConnection, *, limit: int) -> Sequence[Row]:
    """Return and lock lines that have ended and have no outcome number."""
    query = select(col(Job.id), col(Job.batch_id), col(Job.state)).where(*_UNCOUNTED)
    query = query.order_by(col(Job.id)).limit(limit)
    if db.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    return await fetch(db, query)


async def sum_up(db: AsyncConnection, batch_id: str) -> None:
    """Set what a batch used and cost to what all its lines did; its row is locked already.

    A worker that adds to a line meanwhile waits for that lock, and adds to the batch after us.
    """
    await db.execute(update(Batch).where(col(Batch.id) == batch_id).values(**_sums(batch_id)))


def _sums(batch_id: str) -> Mapping[str, Any]:
    mine = select(*(col(getattr(Job, name)) for name in SUMS)).where(col(Job.batch_id) == batch_id)
    # Three indexes, and none of them has everything.
    lines = union_all(
        mine.where(col(Job.outcome_number).is_not(None)),
        mine.where(in_state(*WAITING)),
        mine.where(in_state(JobState.RUNNING)),
    ).subquery()
    return {
        name: select(cast(func.sum(lines.c[name]), BigInteger)).scalar_subquery() for name in SUMS
    }
