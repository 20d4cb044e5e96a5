"""SQL of a job's place: how many stand before it, found by marks in the index of due jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Integer,
    String,
    bindparam,
    case,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.jobs.model import Job, in_state
from shared.jobs.transitions import JobState, Priority

EVERY = 500
Key = tuple[int, int, str]
"""Priority, created_at, id: the order in which a tenant's jobs of a lane stand."""
Queue = tuple[str, str]
"""Lane and tenant."""


@dataclass(slots=True)
class Marks:
    """Every five-hundredth job of a queue, and how many stand up to and with it."""

    keys: list[Key] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    waiting: int = 0
    interactive: int = 0


_QUEUED = in_state(JobState.QUEUED)
_DUE = (_QUEUED, col(Job.wakeup_at).is_(None), col(Job.held).is_(None))
_WOKEN = (_QUEUED, col(Job.wakeup_at).is_not(None), col(Job.held).is_(None))
_QUEUE = (col(Job.lane), col(Job.tenant_id))
_KEY = (col(Job.priority), col(Job.created_at), col(Job.id))
_URGENT = case((col(Job.priority) == Priority.INTERACTIVE.rank, 1), else_=0)

_ORDERED = (
    select(
        *_QUEUE,
        *_KEY,
        func.row_number().over(partition_by=_QUEUE, order_by=_KEY).label("nth"),
        func.count().over(partition_by=_QUEUE).label("waiting"),
        func.sum(_URGENT).over(partition_by=_QUEUE).label("urgent"),
    )
    .where(*_DUE, col(Job.lane).is_not(None))
    .subquery()
)
_MARKS = (
    select(_ORDERED)
    .where(or_(_ORDERED.c.nth % EVERY == 0, _ORDERED.c.nth == _ORDERED.c.waiting))
    .order_by(_ORDERED.c.lane, _ORDERED.c.tenant_id, _ORDERED.c.nth)
)
_WOKEN_COUNTS = (
    select(*_QUEUE, func.count(), func.sum(_URGENT))
    .where(*_WOKEN, col(Job.lane).is_not(None))
    .group_by(*_QUEUE)
)


async def marks(db: AsyncConnection) -> dict[Queue, Marks]:
    """Survey all queues; this one reads all that waits."""
    queues: dict[Queue, Marks] = {}
    for row in await db.execute(_MARKS):
        queue = queues.setdefault((row.lane, row.tenant_id), Marks())
        queue.keys.append((row.priority, row.created_at, row.id))
        queue.counts.append(row.nth)
        queue.waiting, queue.interactive = row.waiting, int(row.urgent)
    for lane, tenant, count, urgent in await db.execute(_WOKEN_COUNTS):
        queue = queues.setdefault((lane, tenant), Marks())
        queue.waiting += count
        queue.interactive += int(urgent)
    return queues


def _key(prefix: str) -> Any:
    names: tuple[BindParameter[Any], ...] = (
        bindparam(f"{prefix}_priority", type_=Integer),
        bindparam(f"{prefix}_created_at", type_=BigInteger),
        bindparam(f"{prefix}_id", type_=String),
    )
    return tuple_(*names)


def _named(prefix: str, key: Key) -> Mapping[str, Any]:
    names = (f"{prefix}_priority", f"{prefix}_created_at", f"{prefix}_id")
    return dict(zip(names, key, strict=True))


_MINE = (
    col(Job.lane) == bindparam("in_lane", type_=String),
    col(Job.tenant_id) == bindparam("of", type_=String),
)
_COUNT = select(func.count()).select_from(Job)
_HEAD = select(*_KEY).where(*_DUE, *_MINE).order_by(*_KEY).limit(1)
_BEFORE = _COUNT.where(*_DUE, *_MINE, tuple_(*_KEY) < _key("to"))
_BETWEEN = _BEFORE.where(tuple_(*_KEY) > _key("from"))
_WOKEN_BEFORE = _COUNT.where(*_WOKEN, *_MINE, tuple_(*_KEY) < _key("to"))


async def head(db: AsyncConnection, queue: Queue) -> Key | None:
    """Return the first due job of a queue."""
    row = (await db.execute(_HEAD, _of(queue))).first()
    return None if row is None else (row[0], row[1], row[2])


async def due_before(db: AsyncConnection, queue: Queue, key: Key, *, behind: Key | None) -> int:
    """Count the due jobs of a queue that stand before a place, and behind another."""
    wanted = {**_of(queue), **_named("to", key)}
    if behind is None:
        return int((await db.execute(_BEFORE, wanted)).scalar_one())
    return int((await db.execute(_BETWEEN, {**wanted, **_named("from", behind)})).scalar_one())


async def woken_before(db: AsyncConnection, queue: Queue, key: Key) -> int:
    """Count the jobs of a queue that went straight to the workers and stand before a place."""
    wanted = {**_of(queue), **_named("to", key)}
    return int((await db.execute(_WOKEN_BEFORE, wanted)).scalar_one())


def _of(queue: Queue) -> dict[str, Any]:
    return {"in_lane": queue[0], "of": queue[1]}
