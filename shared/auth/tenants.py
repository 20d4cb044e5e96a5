"""Making tenants and changing what they get: the operators' business."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping

from shared import clock
from shared.auth import store
from shared.database import Database
from shared.errors import BadRequest, Conflict, NotFound
from shared.ids import new_id

LONGEST_NAME = 100
LONGEST_WORD = 64
_REGION = re.compile(rf"[A-Za-z0-9._-]{{1,{LONGEST_WORD}}}")


async def create(
    database: Database,
    *,
    name: str,
    weight: int = 1,
    retention_s: int | None = None,
    tier: str | None = None,
    regions: list[str] | None = None,
) -> RowMapping:
    """Make a tenant and return its row.

    Raises:
        BadRequest: the name, the tier or a region cannot be used.
        Conflict: there is one of this name.
    """
    if not name.isprintable() or not 1 <= len(name.strip()) <= LONGEST_NAME:
        detail = f"A tenant's name has 1 to {LONGEST_NAME} printable characters."
        raise BadRequest(detail, param="name")
    what = {"weight": weight, "retention_s": retention_s, "tier": tier, "regions": regions}
    _check(what)
    async with database.transaction() as db:
        if await store.tenant(db, name) is not None:
            detail = f"There is a tenant named {name}."
            raise Conflict(detail, code="tenant_exists")
        await store.ensure_tenant(db, id=new_id("ten"), name=name, created_at=clock.now_ms())
        await store.change_tenant(db, name, what)
    return await get(database, name)


async def change(database: Database, name: str, changes: Mapping[str, Any]) -> RowMapping:
    """Set `weight`, `retention_s`, `tier` or `regions` (None: as all); return the tenant's row.

    Raises:
        BadRequest: the tier or a region cannot be used.
        NotFound: there is no such tenant.
    """
    _check(changes)
    if changes:
        async with database.transaction() as db:
            await store.change_tenant(db, name, changes)
    return await get(database, name)


async def get(database: Database, name: str) -> RowMapping:
    """Return a tenant's row.

    Raises:
        NotFound: there is none of this name.
    """
    async with database.reading() as db:
        found = await store.tenant(db, name)
    if found is None:
        detail = f"There is no tenant named {name}."
        raise NotFound(detail, code="tenant_not_found")
    return found


async def every(database: Database) -> Sequence[RowMapping]:
    """Return all tenants, by name."""
    async with database.reading() as db:
        return await store.tenants(db)


def _check(changes: Mapping[str, Any]) -> None:
    tier = changes.get("tier")
    if tier is not None and not (tier.isprintable() and len(tier) <= LONGEST_WORD):
        detail = f"A tier has at most {LONGEST_WORD} printable characters."
        raise BadRequest(detail, param="tier")
    for region in changes.get("regions") or ():
        if not _REGION.fullmatch(region):
            detail = (
                f"`{region}` is no region: it has at most {LONGEST_WORD} letters, digits, dots,"
                " dashes and underscores, as the `region` of a deployment."
            )
            raise BadRequest(detail, param="regions")
