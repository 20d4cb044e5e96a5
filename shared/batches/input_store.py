"""SQL of the inputs of batches: what is yet to be read, how far it is, and what comes of it.

Inputs are locked before their batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import JsonValue
from sqlalchemy import BigInteger, and_, bindparam, case, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.batches.model import Batch, BatchInput, BatchState
from shared.batches.store import BATCHES, TAKING
from shared.database import Row, fetch, insert_on_conflict, now_ms
from shared.files.model import StoredFile
from shared.jobs.bulk_store import insert_many

INPUTS = BatchInput.__table__  # type: ignore[attr-defined]
STORED_FILES = StoredFile.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Step:
    """A chunk of an input: from which line to which place, and how many jobs it gives."""

    batch_id: str
    number: int
    from_line: int
    to_line: int
    to_byte: int
    jobs: int


async def unread(db: AsyncConnection, *, limit: int) -> Sequence[tuple[str, str]]:
    """Return (id, tenant) of batches of which something is to be read: the oldest of each tenant first.

    Then come their second ones, and so on: nobody's many stand before another's one.
    """
    some = select(col(BatchInput.batch_id)).where(col(BatchInput.stored).is_(False))
    age = (col(Batch.created_at), col(Batch.id))
    place = func.row_number().over(partition_by=col(Batch.tenant_id), order_by=age)
    query = select(col(Batch.id), col(Batch.tenant_id)).where(col(Batch.id).in_(some))
    found = await db.execute(query.order_by(place, *age).limit(limit))
    return [(row.id, row.tenant_id) for row in found]


async def batch(db: AsyncConnection, batch_id: str) -> Row | None:
    """Return a batch."""
    query = select(BATCHES).where(col(Batch.id) == batch_id)
    return cast("Row | None", (await db.execute(query)).mappings().one_or_none())


async def inputs(db: AsyncConnection, batch_id: str) -> Sequence[Row]:
    """Return everything that a batch is made of, in its order."""
    query = select(INPUTS).where(col(BatchInput.batch_id) == batch_id)
    return await fetch(db, query.order_by(col(BatchInput.number)))


async def files_there(db: AsyncConnection, tenant_id: str, ids: Iterable[str]) -> set[str]:
    """Return which of these files the tenant has."""
    expires_at = col(StoredFile.expires_at)
    query = select(col(StoredFile.id)).where(
        col(StoredFile.id).in_(list(ids)),
        col(StoredFile.tenant_id) == tenant_id,
        col(StoredFile.deleted_at).is_(None),
        or_(expires_at.is_(None), expires_at > now_ms()),
    )
    return set((await db.execute(query)).scalars())


async def mark_checked(
    db: AsyncConnection, batch_id: str, number: int, *, lines: int, first_line: int
) -> bool:
    """Note that every line of an input was read, and how many are right; False if it was before."""
    statement = (
        update(BatchInput)
        .where(_this(batch_id, number), col(BatchInput.checked).is_(False), _unread())
        .values(checked=True, lines=lines, first_line=first_line)
    )
    return bool((await db.execute(statement)).rowcount)


async def begin(
    db: AsyncConnection, batch_id: str, *, lines: int, invalid: int, values: Mapping[str, Any]
) -> Row | None:
    """Let a batch go on with so many more lines; return its row, None when it is being stopped."""
    statement = (
        update(BATCHES)
        .where(col(Batch.id) == batch_id, col(Batch.state).in_(TAKING))
        .values(
            state=BatchState.IN_PROGRESS,
            in_progress_at=func.coalesce(col(Batch.in_progress_at), now_ms()),
            total=col(Batch.total) + lines,
            invalid=col(Batch.invalid) + invalid,
            version=col(Batch.version) + 1,
            **values,
        )
        .returning(BATCHES)
    )
    return cast("Row | None", (await db.execute(statement)).mappings().one_or_none())


async def fail(
    db: AsyncConnection, batch_id: str, *, invalid: int, errors: Sequence[Mapping[str, JsonValue]]
) -> Row | None:
    """End a batch that has no jobs; None when it is being stopped already."""
    await db.execute(
        update(BatchInput)
        .where(col(BatchInput.batch_id) == batch_id)
        .values(checked=True, stored=True)
    )
    statement = (
        update(BATCHES)
        .where(col(Batch.id) == batch_id, col(Batch.state) == BatchState.VALIDATING)
        .values(
            state=BatchState.FAILED,
            finished_at=now_ms(),
            open=False,
            held=False,
            paused=False,
            invalid=invalid,
            errors=list(errors),
            version=col(Batch.version) + 1,
        )
        .returning(BATCHES)
    )
    return cast("Row | None", (await db.execute(statement)).mappings().one_or_none())


async def advance(db: AsyncConnection, step: Step) -> bool:
    """Move on through an input; False when somebody else did, or the batch has ended."""
    values = {
        "at_batch": step.batch_id,
        "at_number": step.number,
        "from_line": step.from_line,
        "to_line": step.to_line,
        "to_byte": step.to_byte,
        "more_jobs": step.jobs,
    }
    return bool((await db.execute(_ADVANCE, values)).rowcount)


async def add_lines(
    db: AsyncConnection,
    jobs: Sequence[Mapping[str, Any]],
    requests: Sequence[Mapping[str, Any]],
    files: Sequence[Mapping[str, Any]],
) -> None:
    """Store lines as jobs, with the files that they brought."""
    if files:
        # They may be there: their ids are the same each time.
        statement = insert_on_conflict(db, StoredFile).on_conflict_do_nothing()
        await db.execute(statement, [dict(each) for each in files])
    if jobs:
        await insert_many(db, jobs, requests)


async def finish(db: AsyncConnection, batch_id: str, number: int) -> int | None:
    """Note that an input is stored; return how many of its lines gave no job after all.

    None when that was noted before.
    """
    statement = (
        update(BatchInput)
        .where(_this(batch_id, number), _unread())
        .values(stored=True)
        .returning(_without_job())
    )
    found: int | None = (await db.execute(statement)).scalar_one_or_none()
    return found


async def leave(db: AsyncConnection, batch_id: str) -> int:
    """Read no more of a batch that is being stopped; return how many lines will give no job."""
    statement = (
        update(BatchInput)
        .where(col(BatchInput.batch_id) == batch_id, _unread())
        .values(stored=True)
        .returning(case((col(BatchInput.checked), _without_job()), else_=0))
    )
    return sum((await db.execute(statement)).scalars())


async def lower_total(
    db: AsyncConnection,
    batch_id: str,
    lines: int,
    *,
    invalid: int = 0,
    errors: Sequence[Mapping[str, JsonValue]] | None = None,
) -> None:
    """Take back lines of a batch that will give no job, because so many of them proved wrong."""
    values: dict[str, Any] = {"total": col(Batch.total) - lines}
    if invalid:
        values |= {"invalid": col(Batch.invalid) + invalid, "errors": errors}
    await db.execute(update(Batch).where(col(Batch.id) == batch_id).values(**values))


async def skip(db: AsyncConnection, batch_id: str, number: int, *, lines_read: int) -> None:
    """Leave out an input that gives no jobs; the next one's lines are counted on from it."""
    await db.execute(
        update(BatchInput)
        .where(_this(batch_id, number))
        .values(stored=True, stored_lines=lines_read)
    )


def _this(batch_id: str, number: int) -> Any:
    return and_(col(BatchInput.batch_id) == batch_id, col(BatchInput.number) == number)


def _without_job() -> Any:
    return col(BatchInput.lines) - col(BatchInput.stored_jobs)


def _unread() -> Any:
    return col(BatchInput.stored).is_(False)


_STORING = select(literal(1)).where(
    col(Batch.id) == bindparam("at_batch"),
    # What was found right in a batch that is cancelled becomes lines that are.
    col(Batch.state).in_((*TAKING, BatchState.CANCELLING)),
)
_ADVANCE = (
    update(BatchInput)
    .where(
        col(BatchInput.batch_id) == bindparam("at_batch"),
        col(BatchInput.number) == bindparam("at_number"),
        col(BatchInput.stored_lines) == bindparam("from_line"),
        _unread(),
        _STORING.exists(),
    )
    .values(
        stored_lines=bindparam("to_line"),
        stored_bytes=bindparam("to_byte", type_=BigInteger),
        stored_jobs=col(BatchInput.stored_jobs) + bindparam("more_jobs"),
    )
)
