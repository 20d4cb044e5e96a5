"""SQL of the end of a batch's time: its lines go, the batch with its counts and cost stays."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, and_, cast, delete, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.auth.model import Tenant
from shared.batches.model import Batch, BatchEvent, BatchInput, InputKind
from shared.batches.outputs import OUTPUT_PURPOSE, WRITTEN, output_name
from shared.database import Row, fetch, now_ms
from shared.files.model import StoredFile
from shared.jobs.model import WAITING, Job, in_state


async def past(db: AsyncConnection, *, retention_ms: int, limit: int) -> Sequence[Row]:
    """Return ended batches past their time: their own, else their tenant's, else this one."""
    own_s = func.coalesce(col(Batch.retention_s), col(Tenant.retention_s))
    keeps_ms = func.coalesce(cast(own_s, BigInteger) * 1000, literal(retention_ms, BigInteger))
    query = (
        select(col(Batch.id), col(Batch.tenant_id))
        .outerjoin(Tenant, col(Tenant.id) == col(Batch.tenant_id))
        .where(
            col(Batch.purged_at).is_(None),
            col(Batch.finished_at).is_not(None),
            col(Batch.finished_at) < now_ms() - keeps_ms,
        )
        .order_by(col(Batch.finished_at))
        .limit(limit)
    )
    return await fetch(db, query)


async def purging(db: AsyncConnection, *, limit: int) -> Sequence[Row]:
    """Return batches that are marked and not yet empty."""
    query = select(col(Batch.id), col(Batch.tenant_id)).where(col(Batch.purging))
    return await fetch(db, query.order_by(col(Batch.id)).limit(limit))


async def mark(db: AsyncConnection, batch_id: str, *, with_files: bool) -> bool:
    """Declare an ended batch's results gone; False when it has not ended or was marked before.

    What its tenant wrote into it goes at once. Its output files go too if they would never
    expire; `with_files` all of them.
    """
    ended = (
        col(Batch.id) == batch_id,
        col(Batch.finished_at).is_not(None),
        col(Batch.purged_at).is_(None),
    )
    marked = (
        update(Batch)
        .where(*ended)
        .values(
            purged_at=now_ms(),
            purging=True,
            tags={},
            errors=None,
            options={},
            # Whoever names a URL may have put a secret into it.
            webhook=None,
            version=Batch.version + 1,
        )
        .returning(
            col(Batch.tenant_id),
            col(Batch.created_at),
            col(Batch.output_file_id),
            col(Batch.error_file_id),
        )
    )
    row = (await db.execute(marked)).one_or_none()
    if row is None:
        return False
    # One that was retried has ended before, and each end has its files.
    of_any_end = and_(
        col(StoredFile.created_at) >= row.created_at,
        col(StoredFile.filename).in_([output_name(batch_id, which) for which in WRITTEN]),
        col(StoredFile.purpose) == OUTPUT_PURPOSE,
    )
    outputs = [each for each in row[2:] if each is not None]
    theirs = [
        or_(col(StoredFile.id).in_(outputs), of_any_end),
        col(StoredFile.tenant_id) == row.tenant_id,
        col(StoredFile.deleted_at).is_(None),
    ]
    if with_files:
        nameless = update(Batch).where(col(Batch.id) == batch_id)
        await db.execute(nameless.values(output_file_id=None, error_file_id=None))
    else:
        theirs.append(col(StoredFile.expires_at).is_(None))
    await db.execute(update(StoredFile).where(*theirs).values(deleted_at=now_ms()))
    return True


async def lines(db: AsyncConnection, batch_id: str, *, limit: int) -> Sequence[str]:
    """Return lines of a batch, in whatever state they are."""
    # Two queries, for there are two indexes; those that never ended are hardly ever there.
    # In their order, lest a planner think that reading all jobs finds some of these soon enough.
    number = col(Job.outcome_number)
    for which, order in ((number.is_not(None), number), (in_state(*WAITING), col(Job.id))):
        query = select(col(Job.id)).where(col(Job.batch_id) == batch_id, which).order_by(order)
        if ids := (await db.execute(query.limit(limit))).scalars().all():
            return ids
    return ()


async def archives(db: AsyncConnection, batch_id: str) -> Sequence[Row]:
    """Return the archives of a batch: its tenant, `made_at`, their numbers and how many entries each has."""
    query: Any = (
        select(
            col(Batch.tenant_id),
            col(Batch.created_at).label("made_at"),
            col(BatchInput.number),
            col(BatchInput.stored_lines).label("entries"),
        )
        .join(Batch, col(Batch.id) == col(BatchInput.batch_id))
        .where(col(BatchInput.batch_id) == batch_id, col(BatchInput.kind) == InputKind.ZIP)
    )
    return await fetch(db, query)


async def forget_files(db: AsyncConnection, tenant_id: str, ids: Sequence[str]) -> None:
    """Take files out of sight; their bytes go with the next sweep."""
    theirs = (col(StoredFile.id).in_(ids), col(StoredFile.tenant_id) == tenant_id)
    alive = col(StoredFile.deleted_at).is_(None)
    await db.execute(update(StoredFile).where(*theirs, alive).values(deleted_at=now_ms()))


async def finish(db: AsyncConnection, batch_id: str) -> Sequence[str]:
    """Remove what else there is of a batch; return the blobs of inputs that are no files."""
    await db.execute(delete(BatchEvent).where(col(BatchEvent.batch_id) == batch_id))
    gone = delete(BatchInput).where(col(BatchInput.batch_id) == batch_id)
    rows = await db.execute(gone.returning(col(BatchInput.blob), col(BatchInput.file_id)))
    blobs = [row.blob for row in rows if row.file_id is None]
    await db.execute(update(Batch).where(col(Batch.id) == batch_id).values(purging=False))
    return blobs
