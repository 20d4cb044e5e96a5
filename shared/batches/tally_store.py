"""SQL of the counters of batches."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import BigInteger, Integer, bindparam, func, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.batches.model import Batch
from shared.jobs.model import Job


@dataclass(frozen=True, slots=True)
class Sums:
    """What some lines add to their batch; None where nothing is known."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_nanousd: int | None = None


async def add(db: AsyncConnection, batch_id: str, sums: Sums) -> int:
    """Add to a batch's counters; return the last outcome number that is given out now."""
    more = {f"more_{name}": value for name, value in asdict(sums).items()}
    return int((await db.execute(_ADD, {"at_batch": batch_id, **more})).scalar_one())


async def number(db: AsyncConnection, numbers: Mapping[str, int]) -> None:
    """Write the outcome numbers of ended lines into their rows, by job id."""
    rows = [{"at_job": job_id, "its_number": each} for job_id, each in sorted(numbers.items())]
    await db.execute(_NUMBER, rows)


def _count(name: str) -> Any:
    return bindparam(f"more_{name}", type_=Integer)


def _known(column: Any) -> Any:
    more = bindparam(f"more_{column.key}", type_=BigInteger)
    return func.coalesce(column + more, column, more)


_ADD = (
    update(Batch)
    .where(col(Batch.id) == bindparam("at_batch"))
    .values(
        completed=Batch.completed + _count("completed"),
        failed=Batch.failed + _count("failed"),
        cancelled=Batch.cancelled + _count("cancelled"),
        expired=Batch.expired + _count("expired"),
        outcomes=Batch.outcomes
        + _count("completed")
        + _count("failed")
        + _count("cancelled")
        + _count("expired"),
        input_tokens=_known(col(Batch.input_tokens)),
        output_tokens=_known(col(Batch.output_tokens)),
        cached_tokens=_known(col(Batch.cached_tokens)),
        cost_nanousd=_known(col(Batch.cost_nanousd)),
    )
    .returning(col(Batch.outcomes))
)
_NUMBER = (
    update(Job)
    .where(col(Job.id) == bindparam("at_job"))
    .values(outcome_number=bindparam("its_number", type_=BigInteger))
)
