"""SQL of ended lines, in the order in which they ended."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import BigInteger, Integer, and_, bindparam, not_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.batches.model import Batch
from shared.database import Row
from shared.jobs.model import Job, JobResult
from shared.jobs.transitions import JobState


class Which(StrEnum):
    """Which lines are read."""

    ALL = "all"
    OUTPUT = "output"
    ERROR = "error"


async def page(
    db: AsyncConnection, batch_id: str, which: Which, *, after: int, until: int, limit: int
) -> Sequence[Row]:
    """Return ended lines with their results, from behind one outcome number up to another.

    One statement, so one moment: while a batch is purged it finds either all of its page or none.
    """
    span = {"of_batch": batch_id, "behind": after, "up_to": until, "most": limit}
    return cast("Sequence[Row]", (await db.execute(_PAGES[which], span)).mappings().all())


async def numbers_in_order(db: AsyncConnection, batch_id: str, *, until: int) -> list[int]:
    """Return the outcome numbers of ended lines, up to one of them, in the order of the lines."""
    found = await db.execute(_NUMBERS, {"of_batch": batch_id, "up_to": until})
    return [number for number in found.scalars() if number is not None]


async def chosen(db: AsyncConnection, batch_id: str, numbers: Sequence[int]) -> Sequence[Row]:
    """Return the ended lines of some outcome numbers with their results and tags, in the lines' order."""
    named = {"of_batch": batch_id, "numbers": numbers}
    return cast("Sequence[Row]", (await db.execute(_CHOSEN, named)).mappings().all())


_SHOWN = (
    col(Job.id),
    col(Job.custom_id),
    col(Job.state),
    col(Job.reason),
    col(Job.error),
    col(Job.deleted_at),
    col(Job.line),
    col(Job.outcome_number),
    col(Job.input_tokens),
    col(Job.output_tokens),
    col(Job.cached_tokens),
    col(Job.cost_nanousd),
    col(JobResult.status_code),
    col(JobResult.body),
    col(JobResult.blob),
)
_its_result = and_(
    col(JobResult.job_id) == col(Job.id), col(JobResult.generation) == col(Job.generation)
)
_is_output = and_(col(Job.state) == JobState.COMPLETED, col(Job.deleted_at).is_(None))
_ENDED = (
    select(*_SHOWN)
    .join(Batch, col(Batch.id) == col(Job.batch_id))
    .outerjoin(JobResult, _its_result)
    .where(col(Job.batch_id) == bindparam("of_batch"), col(Batch.purged_at).is_(None))
)
_CHOSEN = (
    _ENDED.add_columns(col(Job.tags).label("tags"))
    .where(col(Job.outcome_number).in_(bindparam("numbers", expanding=True)))
    .order_by(col(Job.line))
)
_NUMBERS = (
    select(col(Job.outcome_number))
    .where(
        col(Job.batch_id) == bindparam("of_batch"),
        col(Job.outcome_number) > 0,
        col(Job.outcome_number) <= bindparam("up_to", type_=BigInteger),
    )
    .order_by(col(Job.line))
)
_LINES = (
    _ENDED.where(
        col(Job.outcome_number) > bindparam("behind", type_=BigInteger),
        col(Job.outcome_number) <= bindparam("up_to", type_=BigInteger),
    )
    .order_by(col(Job.outcome_number))
    .limit(bindparam("most", type_=Integer))
)
_PAGES: dict[Which, Any] = {
    Which.ALL: _LINES,
    Which.OUTPUT: _LINES.where(_is_output),
    Which.ERROR: _LINES.where(not_(_is_output)),
}
