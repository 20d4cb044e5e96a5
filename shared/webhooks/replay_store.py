"""SQL of deliveries as their tenant sees them: list, read with every try, send again.

How a try by hand is told on the row: it is `pending` and has a `finished_at`. It is sent once;
when that fails it is again what it was, and no schedule begins. What is pending by itself has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, case, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import Row, cut_page, fetch, now_ms
from shared.webhooks.model import WebhookDelivery, WebhookEndpoint, WebhookTry

DELIVERIES = WebhookDelivery.__table__  # type: ignore[attr-defined]
TRIES = WebhookTry.__table__  # type: ignore[attr-defined]
STATES = ("pending", "delivered", "failed", "skipped")
RECOVERABLE = ("failed", "skipped")
TEST_EVENT = "evt_test"
"""What the ids of sample events begin with: they tell of nothing that happened."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; None means any."""

    endpoint_id: str | None = None
    job_id: str | None = None
    batch_id: str | None = None
    state: str | None = None
    event_type: str | None = None


async def get(db: AsyncConnection, tenant_id: str, delivery_id: str) -> Row | None:
    """Return a delivery of the tenant, with its body."""
    found = await fetch(db, select(DELIVERIES).where(_mine(tenant_id, delivery_id)))
    return found[0] if found else None


async def tries_of(db: AsyncConnection, delivery_id: str) -> Sequence[Row]:
    """Return every try of a delivery, oldest first."""
    query = select(TRIES).where(col(WebhookTry.delivery_id) == delivery_id)
    return await fetch(db, query.order_by(col(WebhookTry.number)))


async def page(
    db: AsyncConnection,
    tenant_id: str,
    filters: Filters,
    *,
    after: tuple[int, str] | None,
    ascending: bool,
    limit: int,
) -> Sequence[Row]:
    """Return deliveries of the tenant in order of (created_at, id), beginning behind `after`."""
    columns = (col(WebhookDelivery.created_at), col(WebhookDelivery.id))
    query = select(*(each for each in DELIVERIES.columns if each.name != "body"))
    query = query.where(col(WebhookDelivery.tenant_id) == tenant_id)
    for name in ("endpoint_id", "job_id", "batch_id", "state", "event_type"):
        value = getattr(filters, name)
        if value is not None:
            query = query.where(DELIVERIES.columns[name] == value)
    cut = cut_page(query, columns, after=after, ascending=ascending, limit=limit)
    return await fetch(db, cut)


async def add_once(db: AsyncConnection, delivery: Mapping[str, Any]) -> None:
    """Store a delivery that is tried once, now."""
    started = {"state": "pending", "tries": 0, "claim_number": 0}
    times = {"next_try_at": now_ms(), "created_at": now_ms(), "finished_at": now_ms()}
    await db.execute(insert(WebhookDelivery).values(**delivery, **started, **times))


async def give_up(db: AsyncConnection, delivery_id: str) -> None:
    """Let a delivery that nobody has taken yet wait no longer."""
    untaken = and_(
        col(WebhookDelivery.id) == delivery_id,
        col(WebhookDelivery.state) == "pending",
        col(WebhookDelivery.owner).is_(None),
    )
    values = {"state": "failed", "next_try_at": None, "finished_at": now_ms()}
    await db.execute(update(WebhookDelivery).where(untaken).values(**values))


async def resend(db: AsyncConnection, tenant_id: str, delivery_id: str) -> None:
    """Make a delivery due now: what waits for its next try by itself, the rest for one by hand.

    What is being sent at this moment is left as it is.
    """
    # A deliverer that died may have left its name; its lease tells.
    held = and_(
        col(WebhookDelivery.state) == "pending",
        col(WebhookDelivery.owner).is_not(None),
        col(WebhookDelivery.lease_expires_at) > now_ms(),
    )
    waits = col(WebhookDelivery.state) == "pending"
    values = {
        "state": "pending",
        "next_try_at": now_ms(),
        "finished_at": case((waits, col(WebhookDelivery.finished_at)), else_=now_ms()),
        "url": _present_url(),
    }
    free = and_(_mine(tenant_id, delivery_id), ~held)
    await db.execute(update(WebhookDelivery).where(free).values(**values))


async def recover(
    db: AsyncConnection, tenant_id: str, endpoint_id: str, *, since: int, until: int, limit: int
) -> int:
    """Make due what failed or was skipped in a span of time, oldest first; return how many.

    `since` and `until` are milliseconds, the second one not included.
    """
    chosen = (
        select(col(WebhookDelivery.id))
        .where(
            col(WebhookDelivery.tenant_id) == tenant_id,
            col(WebhookDelivery.endpoint_id) == endpoint_id,
            col(WebhookDelivery.state).in_(RECOVERABLE),
            col(WebhookDelivery.created_at) >= since,
            col(WebhookDelivery.created_at) < until,
            ~col(WebhookDelivery.event_id).startswith(TEST_EVENT, autoescape=True),
        )
        .order_by(col(WebhookDelivery.created_at), col(WebhookDelivery.id))
        .limit(limit)
    )
    values = {
        "state": "pending",
        # Long due, so the oldest goes first.
        "next_try_at": col(WebhookDelivery.created_at),
        "finished_at": null(),
        # Another whole schedule begins.
        "tries_before": col(WebhookDelivery.tries),
        "url": _present_url(),
    }
    again = and_(col(WebhookDelivery.id).in_(chosen), col(WebhookDelivery.state).in_(RECOVERABLE))
    return int((await db.execute(update(WebhookDelivery).where(again).values(**values))).rowcount)


def _present_url() -> Any:
    # The endpoint may have moved since; a job's own URL stays what it is.
    moved = select(col(WebhookEndpoint.url)).where(
        col(WebhookEndpoint.id) == col(WebhookDelivery.endpoint_id)
    )
    url = col(WebhookDelivery.url)
    endpoint_id = col(WebhookDelivery.endpoint_id)
    return case((endpoint_id.is_(None), url), else_=moved.scalar_subquery())


def _mine(tenant_id: str, delivery_id: str) -> Any:
    return and_(col(WebhookDelivery.tenant_id) == tenant_id, col(WebhookDelivery.id) == delivery_id)
