"""SQL of events: written with the change that they tell of, read behind a number."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import Row, fetch
from shared.events.model import Event

KEPT = 256
"""A job that waits for days changes thousands of times: only its last events are kept."""
TRIM_EVERY = 64


async def add(db: AsyncConnection, events: Sequence[Mapping[str, Any]]) -> None:
    """Store rows of events; what is long past of a job is forgotten."""
    await db.execute(_ADD, list(events))
    busy = [each for each in events if each["number"] > KEPT and not each["number"] % TRIM_EVERY]
    if busy:
        rows = [{"of_job": each["job_id"], "to_number": each["number"] - KEPT} for each in busy]
        await db.execute(_TRIM, rows)


_ADD = insert(Event)
_TRIM = delete(Event).where(
    col(Event.job_id) == bindparam("of_job"), col(Event.number) <= bindparam("to_number")
)


async def events_of(db: AsyncConnection, job_id: str, *, after: int = 0) -> Sequence[Row]:
    """Return a job's events behind a number, oldest first."""
    table = Event.__table__  # type: ignore[attr-defined]
    query = select(table).where(col(Event.job_id) == job_id, col(Event.number) > after)
    return await fetch(db, query.order_by(col(Event.number)))


async def newest_of(db: AsyncConnection, job_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of the newest event of each of these jobs that has any."""
    found = await db.execute(_NEWEST_OF, {"ids": job_ids})
    return {row.job_id: row.number for row in found}


_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_NEWEST_OF = (
    select(col(Event.job_id), func.max(col(Event.number)).label("number"))
    .where(col(Event.job_id).in_(_IDS))
    .group_by(col(Event.job_id))
)


async def forget(db: AsyncConnection, job_ids: Iterable[str]) -> None:
    """Remove every event of these jobs."""
    await db.execute(delete(Event).where(col(Event.job_id).in_(list(job_ids))))
