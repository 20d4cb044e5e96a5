"""SQL of who listens: a tenant's endpoints, and the secret that signs for its single jobs."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, func, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import Row, cut_page, fetch, insert_on_conflict, now_ms
from shared.webhooks.model import WebhookDelivery, WebhookEndpoint, WebhookSecret
from shared.webhooks.secrets import SecretBox, new_secret

ENDPOINTS = WebhookEndpoint.__table__  # type: ignore[attr-defined]
SECRETS = WebhookSecret.__table__  # type: ignore[attr-defined]
OVERLAP_MS = 24 * 3600 * 1000
"""For this long after a rotation the secret before signs too, where that was asked for."""


async def insert_endpoint(db: AsyncConnection, endpoint: Mapping[str, Any]) -> None:
    """Store a new endpoint."""
    await db.execute(insert(WebhookEndpoint).values(**endpoint))


async def get(db: AsyncConnection, tenant_id: str, endpoint_id: str) -> Row | None:
    """Return an endpoint of the tenant; None when there is none, or it was deleted."""
    found = await fetch(db, select(ENDPOINTS).where(_mine(tenant_id, endpoint_id)))
    return found[0] if found else None


async def count(db: AsyncConnection, tenant_id: str) -> int:
    """Return how many endpoints the tenant has."""
    query = select(func.count()).select_from(WebhookEndpoint).where(_alive(tenant_id))
    return int((await db.execute(query)).scalar_one())


async def page(
    db: AsyncConnection,
    tenant_id: str,
    *,
    after: tuple[int, str] | None,
    ascending: bool,
    limit: int,
) -> Sequence[Row]:
    """Return endpoints of the tenant in order of (created_at, id), beginning behind `after`."""
    columns = (col(WebhookEndpoint.created_at), col(WebhookEndpoint.id))
    query = select(ENDPOINTS).where(_alive(tenant_id))
    cut = cut_page(query, columns, after=after, ascending=ascending, limit=limit)
    return await fetch(db, cut)


async def change(
    db: AsyncConnection, tenant_id: str, endpoint_id: str, changes: Mapping[str, Any]
) -> None:
    """Change `name`, `url` or `event_types`; what waits goes to a new URL too."""
    values = {**changes, "updated_at": now_ms()}
    await db.execute(update(WebhookEndpoint).where(_mine(tenant_id, endpoint_id)).values(**values))
    if "url" in changes:
        waiting = and_(
            col(WebhookDelivery.endpoint_id) == endpoint_id, col(WebhookDelivery.state) == "pending"
        )
        await db.execute(update(WebhookDelivery).where(waiting).values(url=changes["url"]))


async def enable(db: AsyncConnection, tenant_id: str, endpoint_id: str) -> None:
    """Let an endpoint listen again, with a clean record; one that listens keeps its record."""
    again = and_(_mine(tenant_id, endpoint_id), col(WebhookEndpoint.disabled_at).is_not(None))
    values = {
        "disabled_at": None,
        "disabled_reason": None,
        "failing_since": None,
        "failures": 0,
        "updated_at": now_ms(),
    }
    await db.execute(update(WebhookEndpoint).where(again).values(**values))


async def disable(db: AsyncConnection, endpoint_id: str, *, reason: str) -> bool:
    """Send nothing more to an endpoint: what waits is skipped. Return whether it listened before."""
    listening = and_(
        col(WebhookEndpoint.id) == endpoint_id,
        col(WebhookEndpoint.disabled_at).is_(None),
        col(WebhookEndpoint.deleted_at).is_(None),
    )
    values = {"disabled_at": now_ms(), "disabled_reason": reason, "updated_at": now_ms()}
    ended = await db.execute(update(WebhookEndpoint).where(listening).values(**values))
    await skip_pending(db, endpoint_id)
    return bool(ended.rowcount)


async def delete(db: AsyncConnection, tenant_id: str, endpoint_id: str) -> bool:
    """Take an endpoint out of sight for good; return whether the tenant had it."""
    # Its secrets are of no use any more.
    values = {"deleted_at": now_ms(), "secret": b"", "old_secret": None, "old_secret_until": None}
    mine = _mine(tenant_id, endpoint_id)
    deleted = await db.execute(update(WebhookEndpoint).where(mine).values(**values))
    if not deleted.rowcount:
        return False
    await skip_pending(db, endpoint_id)
    return True


async def skip_pending(db: AsyncConnection, endpoint_id: str) -> None:
    """Let nothing wait for an endpoint; what is being sent at this moment is left to its sender."""
    waiting = and_(
        col(WebhookDelivery.endpoint_id) == endpoint_id,
        col(WebhookDelivery.state) == "pending",
        col(WebhookDelivery.owner).is_(None),
    )
    values = {"state": "skipped", "next_try_at": None, "finished_at": now_ms()}
    await db.execute(update(WebhookDelivery).where(waiting).values(**values))


async def rotate(
    db: AsyncConnection, tenant_id: str, endpoint_id: str, secret: bytes, *, keep_old: bool
) -> None:
    """Sign with another secret from now on, and for a day with the one before too if it is kept."""
    values = {**_rotated(WebhookEndpoint, secret, keep_old=keep_old), "updated_at": now_ms()}
    await db.execute(update(WebhookEndpoint).where(_mine(tenant_id, endpoint_id)).values(**values))


async def secret_of(db: AsyncConnection, tenant_id: str) -> Row | None:
    """Return the tenant's sealed secrets for single jobs; None before their first use."""
    found = await fetch(db, select(SECRETS).where(col(WebhookSecret.tenant_id) == tenant_id))
    return found[0] if found else None


async def ensure_secret(db: AsyncConnection, tenant_id: str, box: SecretBox) -> Row:
    """Return the tenant's sealed secrets for single jobs; they are made at their first use."""
    found = await secret_of(db, tenant_id)
    if found is not None:
        return found
    row = insert_on_conflict(db, WebhookSecret)
    values = {"tenant_id": tenant_id, "secret": box.seal(new_secret())}
    await db.execute(row.values(**values).on_conflict_do_nothing(index_elements=["tenant_id"]))
    # Somebody else's may have been first.
    return (await fetch(db, select(SECRETS).where(col(WebhookSecret.tenant_id) == tenant_id)))[0]


async def rotate_secret(
    db: AsyncConnection, tenant_id: str, secret: bytes, *, keep_old: bool
) -> None:
    """Sign for single jobs with another secret from now on; the tenant has one already."""
    values = _rotated(WebhookSecret, secret, keep_old=keep_old)
    mine = col(WebhookSecret.tenant_id) == tenant_id
    await db.execute(update(WebhookSecret).where(mine).values(**values))


def _rotated(
    table: type[WebhookEndpoint | WebhookSecret], secret: bytes, *, keep_old: bool
) -> dict[str, Any]:
    # An assignment sees the row as it was before, so the old secret moves over.
    old = col(table.secret) if keep_old else null()
    until = now_ms() + OVERLAP_MS if keep_old else null()
    return {"secret": secret, "old_secret": old, "old_secret_until": until}


def _alive(tenant_id: str) -> Any:
    return and_(
        col(WebhookEndpoint.tenant_id) == tenant_id, col(WebhookEndpoint.deleted_at).is_(None)
    )


def _mine(tenant_id: str, endpoint_id: str) -> Any:
    return and_(_alive(tenant_id), col(WebhookEndpoint.id) == endpoint_id)
