"""SQL of stored deployments and routes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col

from shared.database import insert_on_conflict
from shared.routing.stored_model import CatalogRevision, StoredDeployment, StoredRoute

_ONLY = 1
Stored = type[StoredDeployment] | type[StoredRoute]


async def revision(db: AsyncConnection) -> int:
    """Return how often anything was changed."""
    query = select(col(CatalogRevision.number)).where(col(CatalogRevision.id) == _ONLY)
    return int((await db.execute(query)).scalar_one_or_none() or 0)


async def begin_change(db: AsyncConnection) -> int:
    """Raise the revision and return it; whoever else would change something waits for this one."""
    row = insert_on_conflict(db, CatalogRevision).values(id=_ONLY, number=1)
    raised = row.on_conflict_do_update(
        index_elements=["id"], set_={"number": col(CatalogRevision.number) + 1}
    )
    await db.execute(raised)
    return await revision(db)


async def every(db: AsyncConnection, kind: Stored) -> Sequence[RowMapping]:
    """Return all of a kind, by name."""
    table = _table(kind)
    return (await db.execute(select(table).order_by(table.c.name))).mappings().all()


async def get(db: AsyncConnection, kind: Stored, name: str) -> RowMapping | None:
    """Return one of a kind."""
    table = _table(kind)
    return (await db.execute(select(table).where(table.c.name == name))).mappings().one_or_none()


async def put(db: AsyncConnection, kind: Stored, row: Mapping[str, Any]) -> None:
    """Store one of a kind; one that is there keeps its `created_at`."""
    statement = insert_on_conflict(db, kind).values(**row)
    fields = {name: statement.excluded[name] for name in row if name not in ("name", "created_at")}
    await db.execute(statement.on_conflict_do_update(index_elements=["name"], set_=fields))


async def remove(db: AsyncConnection, kind: Stored, name: str) -> None:
    """Delete one of a kind."""
    await db.execute(delete(_table(kind)).where(_table(kind).c.name == name))


def _table(kind: type[SQLModel]) -> Any:
    return kind.__table__  # type: ignore[attr-defined]
