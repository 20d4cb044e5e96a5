"""SQL of fan-out: who listens to an event, and what is to be delivered to them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import bindparam, delete, insert, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import Row, now_ms
from shared.webhooks.model import WebhookDelivery, WebhookEndpoint, WebhookTry


async def listeners(db: AsyncConnection, tenant_ids: Iterable[str]) -> Sequence[Row]:
    """Return the endpoints of these tenants, disabled ones too."""
    found = await db.execute(_LISTENERS, {"tenants": list(tenant_ids)})
    return cast("Sequence[Row]", found.mappings().all())


# Built once: it runs in every transaction that changes a job.
_LISTENERS = select(
    col(WebhookEndpoint.id),
    col(WebhookEndpoint.tenant_id),
    col(WebhookEndpoint.url),
    col(WebhookEndpoint.event_types),
    col(WebhookEndpoint.disabled_at),
).where(
    col(WebhookEndpoint.tenant_id).in_(bindparam("tenants", expanding=True)),
    col(WebhookEndpoint.deleted_at).is_(None),
)


async def add_pending(db: AsyncConnection, deliveries: Sequence[Mapping[str, Any]]) -> None:
    """Store deliveries that are due at once."""
    await db.execute(_PENDING, list(deliveries))


async def add_skipped(db: AsyncConnection, deliveries: Sequence[Mapping[str, Any]]) -> None:
    """Store deliveries to disabled endpoints: nothing is sent, and they can be recovered."""
    await db.execute(_SKIPPED, list(deliveries))


async def forget(db: AsyncConnection, job_ids: Iterable[str]) -> None:
    """Remove the deliveries of these jobs that are over, with their tries; others are still due."""
    past = (
        col(WebhookDelivery.job_id).in_(list(job_ids)),
        col(WebhookDelivery.state) != "pending",
    )
    theirs = select(col(WebhookDelivery.id)).where(*past)
    await db.execute(delete(WebhookTry).where(col(WebhookTry.delivery_id).in_(theirs)))
    await db.execute(delete(WebhookDelivery).where(*past))


async def forget_past(db: AsyncConnection, *, older_than_ms: int, limit: int) -> int:
    """Remove deliveries that ended so long ago, with their tries, at most `limit`; return how many."""
    past = (
        select(col(WebhookDelivery.id))
        .where(
            # A literal: the partial index is only used where the plan can see it.
            literal_column("state <> 'pending'"),
            col(WebhookDelivery.finished_at) < now_ms() - older_than_ms,
        )
        .limit(limit)
    )
    ids = list((await db.execute(past)).scalars())
    if ids:
        await db.execute(delete(WebhookTry).where(col(WebhookTry.delivery_id).in_(ids)))
        await db.execute(delete(WebhookDelivery).where(col(WebhookDelivery.id).in_(ids)))
    return len(ids)


_ROW = insert(WebhookDelivery).values(tries=0, claim_number=0, created_at=now_ms())
_PENDING = _ROW.values(state="pending", next_try_at=now_ms())
_SKIPPED = _ROW.values(state="skipped", finished_at=now_ms())
