"""SQL of what is told of batches: written with the change, read behind a number."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.batches.model import BatchEvent
from shared.database import Row, fetch

EVENTS = BatchEvent.__table__  # type: ignore[attr-defined]
KEPT = 256
"""A batch that runs for a week tells thousands of times: only its last events are kept."""
TRIM_EVERY = 64


def event_id(batch_id: str, number: int) -> str:
    """Name the event of a batch that has this number; the same wherever it is told."""
    return f"evt_{batch_id.removeprefix('batch_')}_{number}"


async def add(
    db: AsyncConnection, batch: Row, event_type: str, data: Mapping[str, Any], at: int
) -> None:
    """Store what is told of a batch at its version; what is long past is forgotten."""
    batch_id, number = batch["id"], batch["version"]
    row = {"batch_id": batch_id, "number": number, "type": event_type, "created_at": at}
    await db.execute(insert(BatchEvent).values(**row, data=dict(data)))
    if number > KEPT and not number % TRIM_EVERY:
        past = (col(BatchEvent.batch_id) == batch_id, col(BatchEvent.number) <= number - KEPT)
        await db.execute(delete(BatchEvent).where(*past))


async def events_of(db: AsyncConnection, batch_id: str, *, after: int = 0) -> Sequence[Row]:
    """Return what was told of a batch behind a number, oldest first."""
    behind = (col(BatchEvent.batch_id) == batch_id, col(BatchEvent.number) > after)
    return await fetch(db, select(EVENTS).where(*behind).order_by(col(BatchEvent.number)))


async def last_of(db: AsyncConnection, batch_id: str) -> Row | None:
    """Return the newest of what was told of a batch."""
    query = select(EVENTS).where(col(BatchEvent.batch_id) == batch_id)
    rows = await fetch(db, query.order_by(col(BatchEvent.number).desc()).limit(1))
    return rows[0] if rows else None


async def newest_of(db: AsyncConnection, batch_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of the newest event of each of these batches that has any."""
    number = func.max(col(BatchEvent.number)).label("number")
    query = select(col(BatchEvent.batch_id), number).where(col(BatchEvent.batch_id).in_(batch_ids))
    found = await db.execute(query.group_by(col(BatchEvent.batch_id)))
    return {row.batch_id: row.number for row in found}


async def forget(db: AsyncConnection, batch_ids: Iterable[str]) -> None:
    """Remove everything that was told of these batches."""
    await db.execute(delete(BatchEvent).where(col(BatchEvent.batch_id).in_(list(batch_ids))))
