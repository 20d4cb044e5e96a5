"""SQL of tenants and keys."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, RowMapping, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.auth.model import ApiKey, Tenant
from shared.auth.permissions import Role
from shared.database import cut_page, insert_on_conflict

TENANTS = Tenant.__table__  # type: ignore[attr-defined]
KEYS = ApiKey.__table__  # type: ignore[attr-defined]


async def ensure_tenant(db: AsyncConnection, *, id: str, name: str, created_at: int) -> str:  # noqa: A002
    """Return the id of the tenant of this name; it is made, with `id`, when there is none."""
    row = insert_on_conflict(db, Tenant).values(id=id, name=name, created_at=created_at)
    await db.execute(row.on_conflict_do_nothing(index_elements=["name"]))
    query = select(col(Tenant.id)).where(col(Tenant.name) == name)
    return str((await db.execute(query)).scalar_one())


async def tenant(db: AsyncConnection, name: str) -> RowMapping | None:
    """Return the tenant of this name."""
    query = select(TENANTS).where(col(Tenant.name) == name)
    return (await db.execute(query)).mappings().one_or_none()


async def tenants(db: AsyncConnection) -> Sequence[RowMapping]:
    """Return all tenants, by name."""
    return (await db.execute(select(TENANTS).order_by(col(Tenant.name)))).mappings().all()


async def change_tenant(db: AsyncConnection, name: str, changes: Mapping[str, Any]) -> None:
    """Set columns of a tenant."""
    await db.execute(update(Tenant).where(col(Tenant.name) == name).values(**changes))


async def retentions(db: AsyncConnection) -> Mapping[str, int | None]:
    """Return for how many seconds each tenant keeps what has ended; None: as long as all."""
    rows = await db.execute(select(col(Tenant.id), col(Tenant.retention_s)))
    return {row.id: row.retention_s for row in rows}


async def uncommon_weights(db: AsyncConnection) -> dict[str, int]:
    """Return the shares of those tenants whose share is not 1."""
    query = select(col(Tenant.id), col(Tenant.weight)).where(col(Tenant.weight) != 1)
    return {row.id: row.weight for row in await db.execute(query)}


async def uncommon_standings(db: AsyncConnection) -> Sequence[RowMapping]:
    """Return id, tier and regions of those tenants that have any."""
    columns = (col(Tenant.id), col(Tenant.tier), col(Tenant.regions))
    has_any = or_(col(Tenant.tier).is_not(None), col(Tenant.regions).is_not(None))
    return (await db.execute(select(*columns).where(has_any))).mappings().all()


async def find(db: AsyncConnection, prefix: str) -> Row[Any] | None:
    """Return the key with this prefix, whatever its tenant and state."""
    return (await db.execute(select(KEYS).where(col(ApiKey.prefix) == prefix))).one_or_none()


async def insert_key(db: AsyncConnection, key: Mapping[str, Any]) -> None:
    """Store a new key."""
    await db.execute(insert(ApiKey).values(**key))


async def replace_secret(db: AsyncConnection, key: Mapping[str, Any]) -> None:
    """Store a key under a fixed id; another digest than the stored one replaces it, revoked or not."""
    row = insert_on_conflict(db, ApiKey).values(**key, expires_at=None, revoked_at=None)
    fields = ("prefix", "digest", "created_at", "revoked_at")
    statement = row.on_conflict_do_update(
        index_elements=["id"],
        set_={name: row.excluded[name] for name in fields},
        where=col(ApiKey.digest) != row.excluded.digest,
    )
    await db.execute(statement)


async def get(db: AsyncConnection, tenant_id: str, key_id: str) -> Row[Any] | None:
    """Return one key of the tenant, also a revoked one."""
    query = select(KEYS).where(col(ApiKey.id) == key_id, col(ApiKey.tenant_id) == tenant_id)
    return (await db.execute(query)).one_or_none()


async def page(
    db: AsyncConnection,
    tenant_id: str,
    *,
    after: tuple[int, str] | None,
    ascending: bool,
    limit: int,
) -> Sequence[RowMapping]:
    """Return keys of the tenant in order of (created_at, id), beginning behind `after`."""
    query = select(KEYS).where(col(ApiKey.tenant_id) == tenant_id)
    columns = (col(ApiKey.created_at), col(ApiKey.id))
    cut = cut_page(query, columns, after=after, ascending=ascending, limit=limit)
    return (await db.execute(cut)).mappings().all()


async def lock_tenant(db: AsyncConnection, tenant_id: str) -> None:
    """Let nobody else change the tenant's keys until this transaction ends."""
    await db.execute(select(col(Tenant.id)).where(col(Tenant.id) == tenant_id).with_for_update())


async def count_admins(db: AsyncConnection, tenant_id: str, *, besides: str, at: int) -> int:
    """Count the tenant's administrator keys that work at this moment, leaving one out."""
    alive = and_(
        col(ApiKey.revoked_at).is_(None),
        or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > at),
    )
    query = select(func.count()).where(
        col(ApiKey.tenant_id) == tenant_id,
        col(ApiKey.role) == Role.ADMIN.value,
        col(ApiKey.id) != besides,
        alive,
    )
    return int((await db.execute(query)).scalar_one())


async def revoke(db: AsyncConnection, tenant_id: str, key_id: str, *, at: int) -> None:
    """End a key; one that is revoked already keeps its time."""
    statement = update(ApiKey).where(
        col(ApiKey.id) == key_id,
        col(ApiKey.tenant_id) == tenant_id,
        col(ApiKey.revoked_at).is_(None),
    )
    await db.execute(statement.values(revoked_at=at))


async def touch(db: AsyncConnection, key_ids: Sequence[str], *, at: int) -> None:
    """Note that keys are in use."""
    await db.execute(update(ApiKey).where(col(ApiKey.id).in_(key_ids)).values(last_used_at=at))
