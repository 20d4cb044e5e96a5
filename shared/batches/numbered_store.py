"""SQL of lists of batches for clients that know only numbered pages."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.batches.model import Batch, BatchState
from shared.batches.store import BATCHES
from shared.database import Row, cut_page, fetch


async def numbered_page(
    db: AsyncConnection,
    tenant_id: str,
    *,
    states: Collection[BatchState] | None,
    model: str | None,
    created_after: int | None,
    ascending: bool,
    limit: int,
    offset: int,
) -> tuple[Sequence[Row], int]:
    """Return batches of the tenant in order of their making, and how many there are in all.

    `states` None: whatever the state; `created_after` is in milliseconds.
    """
    where = [col(Batch.tenant_id) == tenant_id]
    if states is not None:
        where.append(col(Batch.state).in_(states))
    if model is not None:
        where.append(col(Batch.model) == model)
    if created_after is not None:
        where.append(col(Batch.created_at) > created_after)
    counted = await db.execute(select(func.count()).select_from(Batch).where(*where))
    columns = (col(Batch.created_at), col(Batch.id))
    query = select(BATCHES).where(*where).offset(offset)
    page = cut_page(query, columns, after=None, ascending=ascending, limit=limit)
    return await fetch(db, page), int(counted.scalar_one())
