"""SQL of the leader's office and of the workers' signs of life."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, case, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import insert_on_conflict, now_ms
from shared.processes.model import Leadership, WorkerLife


@dataclass(frozen=True, slots=True)
class Life:
    """What a worker says of itself; `silent_ms` is how long it has not reached the broker."""

    owner: str
    host: str
    pid: int
    silent_ms: int
    in_flight: int
    draining: bool
    capacity: int = 0


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers that take jobs: how many they are, and how many jobs they can hold together."""

    workers: int
    places: int


async def hold(db: AsyncConnection, office: str, holder: str, *, ttl_ms: int) -> bool:
    """Take or keep an office; True while `holder` has it for the next `ttl_ms`."""
    claim = insert_on_conflict(db, Leadership).values(
        office=office, holder=holder, expires_at=now_ms() + ttl_ms
    )
    mine_or_vacant = or_(col(Leadership.holder) == holder, col(Leadership.expires_at) <= now_ms())
    taken = claim.on_conflict_do_update(
        index_elements=["office"],
        set_={"holder": holder, "expires_at": now_ms() + ttl_ms},
        where=mine_or_vacant,
    ).returning(col(Leadership.holder))
    return (await db.execute(taken)).scalar_one_or_none() == holder


async def resign(db: AsyncConnection, office: str, holder: str) -> None:
    """Leave the office at once, so that the standby need not wait."""
    leave = update(Leadership).where(
        col(Leadership.office) == office, col(Leadership.holder) == holder
    )
    await db.execute(leave.values(expires_at=now_ms()))


async def leader_remains_ms(db: AsyncConnection, office: str) -> int | None:
    """Return for how long the office is still held (negative: since when it is not), None if never."""
    query = select(col(Leadership.expires_at) - now_ms()).where(col(Leadership.office) == office)
    return (await db.execute(query)).scalar_one_or_none()


async def record_life(db: AsyncConnection, life: Life) -> None:
    """Write a worker's sign of life."""
    values = {
        "owner": life.owner,
        "host": life.host,
        "pid": life.pid,
        "seen_at": now_ms(),
        "polled_at": now_ms() - life.silent_ms,
        "in_flight": life.in_flight,
        "draining": life.draining,
        "capacity": life.capacity,
    }
    row = insert_on_conflict(db, WorkerLife).values(started_at=now_ms(), **values)
    await db.execute(row.on_conflict_do_update(index_elements=["owner"], set_=values))


async def lives(db: AsyncConnection, *, within_ms: int) -> Sequence[RowMapping]:
    """Return the workers seen lately, with `silent_ms`: how long each has not reached the broker."""
    query = select(
        col(WorkerLife.owner),
        col(WorkerLife.host),
        col(WorkerLife.pid),
        col(WorkerLife.in_flight),
        col(WorkerLife.draining),
        (now_ms() - col(WorkerLife.polled_at)).label("silent_ms"),
    ).where(col(WorkerLife.seen_at) > now_ms() - within_ms)
    return (await db.execute(query)).mappings().all()


async def crew(db: AsyncConnection, *, within_ms: int, usual: int) -> Crew:
    """Count the workers seen lately that take jobs; one that does not say its capacity has the usual."""
    capacity = case((col(WorkerLife.capacity) > 0, col(WorkerLife.capacity)), else_=usual)
    query = select(func.count(), func.coalesce(func.sum(capacity), 0)).where(
        col(WorkerLife.seen_at) > now_ms() - within_ms, col(WorkerLife.draining).is_(False)
    )
    workers, places = (await db.execute(query)).one()
    return Crew(int(workers), int(places))


async def forget_dead(db: AsyncConnection, *, silent_ms: int) -> None:
    """Remove the rows of workers that have not been seen for long; nothing depends on them."""
    await db.execute(delete(WorkerLife).where(col(WorkerLife.seen_at) <= now_ms() - silent_ms))


async def bid_farewell(db: AsyncConnection, owner: str) -> None:
    """Remove the row of a worker that leaves in good order."""
    await db.execute(delete(WorkerLife).where(col(WorkerLife.owner) == owner))
