"""The transactional outbox: a wake-up commits with the work it is for, and leaves once it was sent."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import Field, SQLModel, col

from shared.database import now_ms
from shared.enqueue import ActorName, QueueName, Wakeup


class OutboxMessage(SQLModel, table=True):
    """A wake-up that is promised and not yet known to be sent."""

    __tablename__ = "outbox"

    # SQLite numbers rows by itself only where the key is a plain INTEGER.
    id: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    )
    actor: str
    queue: str
    arguments: bytes = Field(sa_type=LargeBinary)
    created_at: int = Field(sa_type=BigInteger, index=True)


@dataclass(frozen=True, slots=True)
class Promise:
    """A stored wake-up with the id of its row."""

    id: int
    wakeup: Wakeup


async def add(db: AsyncConnection, wakeups: Sequence[Wakeup]) -> list[Promise]:
    """Store wake-ups in the caller's transaction; publish what this returns after the commit."""
    promises = []
    for wakeup in wakeups:
        row = {
            "actor": wakeup.actor,
            "queue": wakeup.queue,
            "arguments": orjson.dumps(wakeup.kwargs),
        }
        result = await db.execute(_ADD, row)
        promises.append(Promise(_known(result.scalar_one()), wakeup))
    return promises


_ADD = insert(OutboxMessage).values(created_at=now_ms()).returning(col(OutboxMessage.id))


async def overdue(db: AsyncConnection, *, older_than_ms: int, limit: int) -> list[Promise]:
    """Return promises whose sender should long have removed them, oldest first."""
    table = OutboxMessage
    query = (
        select(col(table.id), col(table.actor), col(table.queue), col(table.arguments))
        .where(col(table.created_at) <= now_ms() - older_than_ms)
        .order_by(col(table.id))
        .limit(limit)
    )
    return [
        Promise(
            row.id, Wakeup(ActorName(row.actor), QueueName(row.queue), orjson.loads(row.arguments))
        )
        for row in await db.execute(query)
    ]


async def remove(db: AsyncConnection, ids: Sequence[int]) -> None:
    """Forget promises that were kept."""
    await db.execute(delete(OutboxMessage).where(col(OutboxMessage.id).in_(ids)))


def _known(row_id: int | None) -> int:
    if row_id is None:
        message = "a stored row has an id"
        raise ValueError(message)
    return row_id
