"""SQL of files."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    RowMapping,
    Select,
    and_,
    column,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    table,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import chunks, cut_page, now_ms
from shared.files.model import StoredFile

FILES = StoredFile.__table__  # type: ignore[attr-defined]
IDS_PER_STATEMENT = 500
# Files know nothing of batches but this: what they are made of must be there while they are made.
_BEING_READ: Select[Any] = (
    select(column("blob"))
    .select_from(table("batch_input"))
    .where(
        literal_column("NOT stored"),
        column("batch_id").in_(
            select(column("id"))
            .select_from(table("batch"))
            .where(literal_column("finished_at IS NULL"))
        ),
    )
)


async def insert_file(db: AsyncConnection, file: Mapping[str, Any]) -> None:
    """Store a file whose bytes are safe in the blob store."""
    await db.execute(insert(StoredFile).values(**file))


async def get(db: AsyncConnection, tenant_id: str, file_id: str) -> Row[Any] | None:
    """Return a file of the tenant; None when there is none, or it was deleted or has expired."""
    mine = and_(col(StoredFile.id) == file_id, col(StoredFile.tenant_id) == tenant_id)
    return (await db.execute(select(FILES).where(mine, _alive()))).one_or_none()


async def get_many(
    db: AsyncConnection, tenant_id: str, ids: Sequence[str], *, hold: bool = False
) -> dict[str, Row[Any]]:
    """Return those of the files that there are, by id.

    With `hold` none of them is deleted before the transaction ends.
    """
    found: dict[str, Row[Any]] = {}
    for some in chunks(sorted(set(ids)), IDS_PER_STATEMENT):
        mine = and_(col(StoredFile.id).in_(some), col(StoredFile.tenant_id) == tenant_id)
        query = select(FILES).where(mine, _alive())
        if hold and db.dialect.name == "postgresql":
            query = query.order_by(col(StoredFile.id)).with_for_update(read=True)
        found |= {row.id: row for row in await db.execute(query)}
    return found


async def page(
    db: AsyncConnection,
    tenant_id: str,
    *,
    purpose: str | None,
    after: tuple[int, str] | None,
    ascending: bool,
    limit: int,
    offset: int = 0,
) -> Sequence[RowMapping]:
    """Return files of the tenant in order of (created_at, id), beginning behind `after`.

    `offset` more of them are passed over: for clients that only know numbered pages.
    """
    query = select(FILES).where(*_of(tenant_id, purpose)).offset(offset or None)
    columns = (col(StoredFile.created_at), col(StoredFile.id))
    cut = cut_page(query, columns, after=after, ascending=ascending, limit=limit)
    return (await db.execute(cut)).mappings().all()


async def count(db: AsyncConnection, tenant_id: str, *, purpose: str | None) -> int:
    """Count the files of the tenant."""
    query = select(func.count()).select_from(StoredFile).where(*_of(tenant_id, purpose))
    return int((await db.execute(query)).scalar_one())


async def mark_deleted(db: AsyncConnection, tenant_id: str, file_id: str) -> str | None:
    """Take a file out of sight; return its blob's key, or None when the tenant has no such file."""
    statement = update(StoredFile).where(
        col(StoredFile.id) == file_id, col(StoredFile.tenant_id) == tenant_id, _alive()
    )
    marked = statement.values(deleted_at=now_ms()).returning(col(StoredFile.blob))
    return (await db.execute(marked)).scalar_one_or_none()


async def is_being_read(db: AsyncConnection, blob: str) -> bool:
    """Tell whether a batch still reads its lines from this blob."""
    query = _BEING_READ.where(column("blob") == blob)
    return (await db.execute(query.limit(1))).first() is not None


async def doomed(db: AsyncConnection, *, limit: int) -> Sequence[Row[str, str]]:
    """Return (id, blob) of files that are deleted or expired and still have a row.

    Those from which a batch still reads its lines are left out.
    """
    # Not `IS NOT NULL`, for which SQLite would not look into the index of the deleted ones.
    query = select(col(StoredFile.id), col(StoredFile.blob)).where(
        or_(col(StoredFile.deleted_at) > 0, col(StoredFile.expires_at) <= now_ms()),
        col(StoredFile.blob).not_in(_BEING_READ),
    )
    return (await db.execute(query.limit(limit))).all()


async def forget(db: AsyncConnection, file_ids: Sequence[str]) -> None:
    """Remove the rows of files whose blobs are gone."""
    await db.execute(delete(StoredFile).where(col(StoredFile.id).in_(file_ids)))


def _of(tenant_id: str, purpose: str | None) -> list[ColumnElement[bool]]:
    where = [col(StoredFile.tenant_id) == tenant_id, _alive()]
    if purpose is not None:
        where.append(col(StoredFile.purpose) == purpose)
    return where


def _alive() -> ColumnElement[bool]:
    expires_at = col(StoredFile.expires_at)
    return and_(
        col(StoredFile.deleted_at).is_(None), or_(expires_at.is_(None), expires_at > now_ms())
    )
