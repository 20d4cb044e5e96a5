"""SQL of batches as their tenant sees them: create, read, list, and the flags by which it steers them."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped
from sqlmodel import col

from shared.batches.model import ENDED, Batch, BatchInput, BatchState
from shared.database import Row, cut_page, fetch, now_ms
from shared.jobs.model import IdempotencyKey
from shared.jobs.store import StoredKey

BATCHES = Batch.__table__  # type: ignore[attr-defined]
BYTES_A_TOKEN = 3
"""As the estimate of a single request has it: what is not yet read is judged by its size."""
TAKING = (BatchState.VALIDATING, BatchState.IN_PROGRESS)
"""States in which there may be lines that have not ended, and there may come more."""


async def insert_batch(
    db: AsyncConnection, batch: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]
) -> Row:
    """Store a batch and what it is made of; return its row."""
    (row,) = await fetch(db, insert(BATCHES).values(**batch).returning(BATCHES))
    if inputs:
        await db.execute(insert(BatchInput), [dict(each) for each in inputs])
    return row


async def get(db: AsyncConnection, tenant_id: str, batch_id: str) -> Row | None:
    """Return a batch of the tenant, also a deleted one; None when there is none."""
    query = select(BATCHES).where(col(Batch.id) == batch_id, col(Batch.tenant_id) == tenant_id)
    return cast("Row | None", (await db.execute(query)).mappings().one_or_none())


async def page(
    db: AsyncConnection,
    tenant_id: str,
    *,
    status: str | None,
    endpoint: str | None = None,
    after: tuple[int, str] | None,
    ascending: bool,
    limit: int,
) -> Sequence[Row]:
    """Return batches of the tenant in order of (created_at, id), beginning behind `after`.

    With `endpoint` only those of which every line names it.
    """
    query = select(BATCHES).where(col(Batch.tenant_id) == tenant_id)
    if status is not None:
        query = query.where(col(Batch.state) == status)
    if endpoint is not None:
        query = query.where(col(Batch.endpoint) == endpoint)
    columns = (col(Batch.created_at), col(Batch.id))
    return await fetch(db, cut_page(query, columns, after=after, ascending=ascending, limit=limit))


async def first_use(db: AsyncConnection, tenant_id: str, key: str) -> StoredKey | None:
    """Return what an idempotency key was first used for, unless that is too long ago."""
    table = IdempotencyKey
    query = select(col(table.fingerprint), col(table.job_id)).where(
        col(table.tenant_id) == tenant_id, col(table.key) == key, col(table.expires_at) >= now_ms()
    )
    row = (await db.execute(query)).one_or_none()
    return None if row is None else StoredKey(row.fingerprint, row.job_id)


async def forget_key(db: AsyncConnection, tenant_id: str, key: str) -> None:
    """Give an idempotency key back: the request that brought it was refused."""
    table = IdempotencyKey
    mine = (col(table.tenant_id) == tenant_id, col(table.key) == key)
    await db.execute(delete(table).where(*mine))


async def unread(db: AsyncConnection) -> dict[str, tuple[int, int, int]]:
    """Return (lines, bytes, tokens) that were accepted and are no jobs yet, by tenant; guessed."""
    rest = col(BatchInput.bytes) - col(BatchInput.stored_bytes)
    lines = col(BatchInput.lines) - col(BatchInput.stored_lines)
    some = case((lines > 0, lines), else_=0)
    query = (
        select(col(Batch.tenant_id), func.sum(some), func.sum(rest))
        .join(BatchInput, col(BatchInput.batch_id) == col(Batch.id))
        .where(col(Batch.finished_at).is_(None), col(BatchInput.stored).is_(False))
        .group_by(col(Batch.tenant_id))
    )
    return {
        row[0]: (int(row[1]), int(row[2]), int(row[2]) // BYTES_A_TOKEN)
        for row in await db.execute(query)
    }


async def cancel(db: AsyncConnection, tenant_id: str, batch_id: str) -> Row | None:
    """Stop a batch: none of its lines is claimed any more; None when it is too late for that."""
    return await _change(
        db,
        tenant_id,
        batch_id,
        col(Batch.state).in_(TAKING),
        state=BatchState.CANCELLING,
        held=True,
        paused=False,
        open=False,
        retrying=False,
        cancelling_at=now_ms(),
    )


async def pause(db: AsyncConnection, tenant_id: str, batch_id: str, *, paused: bool) -> Row | None:
    """Hold the lines of a batch that runs, or let them go; None when it does not run."""
    return await _change(
        db, tenant_id, batch_id, col(Batch.state).in_(TAKING), paused=paused, held=paused
    )


async def close(db: AsyncConnection, tenant_id: str, batch_id: str) -> Row | None:
    """Take no more lines; None when the batch does not run."""
    return await _change(db, tenant_id, batch_id, col(Batch.state).in_(TAKING), open=False)


async def retry(
    db: AsyncConnection, tenant_id: str, batch_id: str, *, lifetime_ms: int
) -> Row | None:
    """Open the failed and expired lines of a batch again; the leader does so, one by one.

    None when there are none of them, or it is being stopped or finished, or was purged.
    """
    again = (
        col(Batch.failed) + col(Batch.expired) > 0,
        col(Batch.state).in_((BatchState.IN_PROGRESS, *ENDED)),
        col(Batch.purged_at).is_(None),
    )
    was_ended = col(Batch.finished_at).is_not(None)
    return await _change(
        db,
        tenant_id,
        batch_id,
        *again,
        state=BatchState.IN_PROGRESS,
        retrying=True,
        # A batch that was cancelled is still held; one that is paused stays so.
        held=case((was_ended, False), else_=col(Batch.held)),
        paused=case((was_ended, False), else_=col(Batch.paused)),
        complete_by=now_ms() + lifetime_ms,
        finalizing_at=None,
        cancelling_at=None,
        finished_at=None,
        output_file_id=None,
        error_file_id=None,
    )


async def append(
    db: AsyncConnection, tenant_id: str, batch_id: str, given: Mapping[str, Any]
) -> Row | None:
    """Add an input to an open batch; None when it takes none any more.

    `given` is the row of the input without its batch and number.
    """
    # The update locks the batch: it cannot be closed or finished before this has committed.
    batch = await _change(
        db, tenant_id, batch_id, col(Batch.open), col(Batch.state).in_(TAKING), open=True
    )
    if batch is None:
        return None
    last = select(func.max(col(BatchInput.number))).where(col(BatchInput.batch_id) == batch_id)
    number = (await db.execute(last)).scalar_one_or_none()
    row = {**given, "batch_id": batch_id, "number": 0 if number is None else number + 1}
    await db.execute(insert(BatchInput).values(**row))
    return batch


async def _change(
    db: AsyncConnection,
    tenant_id: str,
    batch_id: str,
    *where: ColumnElement[bool] | Mapped[bool],
    **values: Any,
) -> Row | None:
    mine = (col(Batch.id) == batch_id, col(Batch.tenant_id) == tenant_id)
    changed = update(BATCHES).where(*mine, *where).values(**values).returning(BATCHES)
    return cast("Row | None", (await db.execute(changed)).mappings().one_or_none())
