"""SQL of a job's place: how many stand before it, found by marks in the index of due jobs."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Integer,
    Select,
    String,
    bindparam,
    case,
    func,
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
    )
    .where(*_DUE, col(Job.lane).is_not(None))
    .subquery()
)
_MARKS = (
    select(_ORDERED)
    .where(_ORDERED.c.nth % EVERY == 0)
    .order_by(_ORDERED.c.lane, _ORDERED.c.tenant_id, _ORDERED.c.nth)
)
_COUNTS = select(*_QUEUE, func.count(), func.sum(_URGENT)).group_by(*_QUEUE)
_DUE_COUNTS = _COUNTS.where(*_DUE, col(Job.lane).is_not(None))
_WOKEN_COUNTS = _COUNTS.where(*_WOKEN, col(Job.lane).is_not(None))


async def marks(db: AsyncConnection) -> dict[Queue, Marks]:
    """Survey all queues; this one reads all that waits."""
    queues: dict[Queue, Marks] = {}
    for row in await db.execute(_MARKS):
        queue = queues.setdefault((row.lane, row.tenant_id), Marks())
        queue.keys.append((row.priority, row.created_at, row.id))
        queue.counts.append(row.nth)
    for counts in (_DUE_COUNTS, _WOKEN_COUNTS):
        for lane, tenant, count, urgent in await db.execute(counts):
            queue = queues.setdefault((lane, tenant), Marks())
            queue.waiting += count
            queue.interactive += int(urgent)
    return queues


FIRST, LAST = -1, 2**62
BEFORE_ALL, BEHIND_ALL = "", "k"
"""Ids begin with `job_`, and this is what is before and behind them in every collation."""


_MINE = (
    col(Job.lane) == bindparam("in_lane", type_=String),
    col(Job.tenant_id) == bindparam("of", type_=String),
)
_COUNT = select(func.count()).select_from(Job)
_HEAD = select(*_KEY).where(*_DUE, *_MINE).order_by(*_KEY).limit(1)
_PRIORITY, _CREATED, _ID = col(Job.priority), col(Job.created_at), col(Job.id)


def _bind(name: str, kind: Any) -> BindParameter[Any]:
    return bindparam(name, type_=kind)


def _between(column: Any, name: str, kind: Any) -> tuple[Any, Any]:
    return column > _bind(f"{name}_from", kind), column < _bind(f"{name}_to", kind)


def _pieces() -> Select[int]:
    """Add up five ranges of one column each: PostgreSQL does not stop at the end of a range of rows."""
    first = _bind("first_priority", Integer) == _PRIORITY
    last = _bind("last_priority", Integer) == _PRIORITY
    begun, ended = _bind("first_created", BigInteger), _bind("last_created", BigInteger)
    ranges = (
        (first, begun == _CREATED, *_between(_ID, "first_id", String)),
        (first, *_between(_CREATED, "first_rest", BigInteger)),
        _between(_PRIORITY, "priority", Integer),
        (last, *_between(_CREATED, "last_rest", BigInteger)),
        (last, ended == _CREATED, *_between(_ID, "last_id", String)),
    )
    total = [_COUNT.where(*_DUE, *_MINE, *each).scalar_subquery() for each in ranges]
    return select(total[0] + total[1] + total[2] + total[3] + total[4])


_BETWEEN = _pieces()
# Few are woken, and a tenant may have millions of others: its own index is not the one to take.
_WOKEN_OF_MINE = func.coalesce(col(Job.tenant_id), "") == _bind("of", String)
_PLACE = tuple_(
    _bind("to_priority", Integer), _bind("to_created", BigInteger), _bind("to_id", String)
)
_WOKEN_BEFORE = _COUNT.where(*_WOKEN, _MINE[0], _WOKEN_OF_MINE, tuple_(*_KEY) < _PLACE)


async def head(db: AsyncConnection, queue: Queue) -> Key | None:
    """Return the first due job of a queue."""
    row = (await db.execute(_HEAD, _of(queue))).first()
    return None if row is None else (row[0], row[1], row[2])


async def due_before(db: AsyncConnection, queue: Queue, key: Key, *, behind: Key | None) -> int:
    """Count the due jobs of a queue that stand before a place, and behind another."""
    wanted = {**_of(queue), **_ranges(behind or (FIRST, FIRST, BEFORE_ALL), key)}
    return int((await db.execute(_BETWEEN, wanted)).scalar_one())


async def woken_before(db: AsyncConnection, queue: Queue, key: Key) -> int:
    """Count the jobs of a queue that went straight to the workers and stand before a place."""
    wanted = dict(zip(("to_priority", "to_created", "to_id"), key, strict=True))
    return int((await db.execute(_WOKEN_BEFORE, {**_of(queue), **wanted})).scalar_one())


def _ranges(behind: Key, key: Key) -> dict[str, Any]:
    same_rank = behind[0] == key[0]
    same_time = same_rank and behind[1] == key[1]
    return {
        "first_priority": behind[0],
        "first_created": behind[1],
        "first_id_from": behind[2],
        "first_id_to": key[2] if same_time else BEHIND_ALL,
        "first_rest_from": behind[1],
        "first_rest_to": key[1] if same_rank else LAST,
        "priority_from": behind[0],
        "priority_to": key[0],
        # What is of one rank, or of one time, has been counted by now.
        "last_priority": key[0],
        "last_rest_from": LAST if same_rank else FIRST,
        "last_rest_to": key[1],
        "last_created": key[1],
        "last_id_from": BEHIND_ALL if same_time else BEFORE_ALL,
        "last_id_to": key[2],
    }


def _of(queue: Queue) -> dict[str, Any]:
    return {"in_lane": queue[0], "of": queue[1]}
