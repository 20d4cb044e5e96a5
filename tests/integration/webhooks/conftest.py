"""A migrated database of each kind, a receiver, a deliverer between them, and rows as they are made."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlmodel import SQLModel, col

from shared import migrate
from shared.database import Database, Row, fetch
from shared.settings import Settings
from shared.webhooks import delivery_store, fanout_store, store, tries_store
from shared.webhooks.delivery import Parcel, Sender
from shared.webhooks.delivery_store import Ask, Claim
from shared.webhooks.egress import Guard, open_session
from shared.webhooks.model import WebhookDelivery, WebhookEndpoint, WebhookTry
from shared.webhooks.outcome import Outcome, judge
from shared.webhooks.secrets import SecretBox, new_secret
from shared.webhooks.tries_store import Recorded, Report
from tests.fakes.receiver import Receiver
from workers.delivery.deliverer import Deliverer
from workers.delivery.desk import Desk

TENANT = "ten_1"
DISABLE_AFTER_MS = 5 * 24 * 3_600_000
BOX = SecretBox(b"the server's key")
BODY = '{"id":"evt_1_2","type":"job.completed","name":"Zoë"}'.encode()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    await migrate.upgrade(opened)
    yield opened
    await opened.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as opened:
        yield opened


@dataclass
class Rows:
    """Writes endpoints and deliveries, and reads what became of them."""

    database: Database
    numbers: Iterator[int] = field(default_factory=count)

    async def endpoint(self, url: str, **changes: Any) -> str:
        """Store an endpoint; return its id."""
        row = {
            "id": f"whe_{next(self.numbers)}",
            "tenant_id": TENANT,
            "name": "a receiver",
            "url": url,
            "event_types": [],
            "created_at": 1,
            "secret": BOX.seal(new_secret()),
            "failures": 0,
            **changes,
        }
        async with self.database.transaction() as db:
            await store.insert_endpoint(db, row)
        return str(row["id"])

    async def deliveries(
        self, count: int, url: str, endpoint_id: str | None, **more: Any
    ) -> list[str]:
        """Store deliveries that are due now; return their ids."""
        rows = [self._row(url, endpoint_id) | more for _ in range(count)]
        async with self.database.transaction() as db:
            await fanout_store.add_pending(db, rows)
        return [row["id"] for row in rows]

    async def delivery(self, url: str, endpoint_id: str | None, **more: Any) -> str:
        """Store one that is due now; return its id."""
        return (await self.deliveries(1, url, endpoint_id, **more))[0]

    async def change(self, delivery_id: str, **values: Any) -> None:
        """Change columns of a delivery."""
        here = update(WebhookDelivery).where(col(WebhookDelivery.id) == delivery_id)
        async with self.database.transaction() as db:
            await db.execute(here.values(**values))

    async def change_endpoint(self, endpoint_id: str, **values: Any) -> None:
        """Change columns of an endpoint."""
        here = update(WebhookEndpoint).where(col(WebhookEndpoint.id) == endpoint_id)
        async with self.database.transaction() as db:
            await db.execute(here.values(**values))

    async def all(self, table: type[SQLModel]) -> list[Row]:
        """Return every row of a table."""
        async with self.database.reading() as db:
            return list(await fetch(db, select(table.__table__)))  # type: ignore[attr-defined]

    async def get(self, delivery_id: str) -> Row:
        """Return a delivery."""
        return next(x for x in await self.all(WebhookDelivery) if x["id"] == delivery_id)

    async def get_endpoint(self, endpoint_id: str) -> Row:
        """Return an endpoint."""
        return next(x for x in await self.all(WebhookEndpoint) if x["id"] == endpoint_id)

    async def tries(self, delivery_id: str) -> list[Row]:
        """Return the tries of a delivery, oldest first."""
        found = [x for x in await self.all(WebhookTry) if x["delivery_id"] == delivery_id]
        return sorted(found, key=lambda row: row["number"])

    async def add_tries(self, delivery_id: str, *statuses: int) -> None:
        """Store tries that were made before."""
        rows = [
            {
                "delivery_id": delivery_id,
                "number": number,
                "started_at": number,
                "total_ms": 1,
                "status_code": status,
                "manual": False,
            }
            for number, status in enumerate(statuses, start=1)
        ]
        async with self.database.transaction() as db:
            await db.execute(insert(WebhookTry), rows)

    def _row(self, url: str, endpoint_id: str | None) -> dict[str, Any]:
        number = next(self.numbers)
        return {
            "id": f"dlv_{number:06}",
            "tenant_id": TENANT,
            "endpoint_id": endpoint_id,
            "target": endpoint_id or f"{TENANT}:{url.split('/')[2]}",
            "url": url,
            "event_id": f"evt_{number}_2",
            "event_type": "job.completed",
            "job_id": f"job_{number}",
            "body": BODY,
        }


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


OpenDeliverer = Callable[..., Any]


@asynccontextmanager
async def open_deliverer(
    database: Database, *, owner: str = "worker-1", guard: Guard | None = None, **settings: Any
) -> AsyncIterator[Deliverer]:
    """Open a deliverer as a worker process does; private addresses are allowed."""
    guard = guard or Guard(allow_private=True)
    chosen = Settings(**settings)
    session = open_session(guard, at_once=512)
    sender = Sender(session, guard, timeout_s=chosen.webhook_timeout_s)
    desk = Desk(database, chosen, sender, BOX, owner=owner)
    try:
        yield Deliverer(desk, at_once=chosen.webhook_at_once)
    finally:
        await desk.close()
        await session.close()


async def deliver(database: Database, targets: Sequence[str], **options: Any) -> None:
    """Send what is due to these targets, and wait for the end of that."""
    async with open_deliverer(database, **options) as deliverer:
        await deliverer.take(targets)
        await deliverer.idle()


@asynccontextmanager
async def open_sender(guard: Guard | None = None, *, timeout_s: float = 5) -> AsyncIterator[Sender]:
    """Open a sender with a client of its own; private addresses are allowed without a guard."""
    guard = guard or Guard(allow_private=True)
    session = open_session(guard, at_once=10)
    yield Sender(session, guard, timeout_s=timeout_s)
    await session.close()


def parcel(url: str) -> Parcel:
    """Return what is sent to a URL."""
    return Parcel(url, {"content-type": "application/json", "webhook-id": "evt_1"}, BODY)


async def send(url: str, guard: Guard | None = None, *, timeout_s: float = 5) -> Outcome:
    """Send once."""
    async with open_sender(guard, timeout_s=timeout_s) as sender:
        return await sender.send(parcel(url))


async def claim(database: Database, target: str, *, owner: str = "me", **more: Any) -> list[Claim]:
    """Claim what is due to a target."""
    async with database.transaction() as db:
        chosen = {"lease_ms": 60_000, **more}
        (won,) = await delivery_store.claim(db, [Ask(target, 100)], owner=owner, box=BOX, **chosen)
    return list(won.claims)


def report(claim: Claim, outcome: Outcome, wait_s: float | None = 5, rest_s: float = 0) -> Report:
    """Report what came of a claim."""
    return Report(claim, outcome, judge(outcome), wait_s, rest_s)


async def record(database: Database, *reports: Report, owner: str = "me") -> Recorded:
    """Write reports down as one group."""
    async with database.transaction() as db:
        return await tries_store.record(db, reports, owner=owner, disable_after_ms=DISABLE_AFTER_MS)


async def states(rows: Rows, *names: str) -> list[str]:
    """Return the states of these deliveries, or of all in order of their ids."""
    found = {row["id"]: row["state"] for row in await rows.all(WebhookDelivery)}
    return [found[name] for name in names or sorted(found)]
