"""Fan-out: deliveries of what is told, to each of its receivers, stored in the transaction that tells it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import orjson
from pydantic import JsonValue
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import outbox
from shared.database import Row, on_commit
from shared.enqueue import ActorName, QueueName, Wakeup
from shared.events.event import envelope
from shared.ids import new_id
from shared.publisher import Publisher
from shared.webhooks import fanout_store

HTTP, HTTPS = 80, 443


@dataclass(frozen=True, slots=True)
class News:
    """Something that is told of a job or of a batch.

    `own` is `{"url", "events"}` of whoever asked for news of this one; `public` news go to the
    tenant's endpoints too.
    """

    tenant_id: str
    type: str
    event_id: str
    own: Mapping[str, JsonValue] | None = None
    public: bool = True
    job_id: str | None = None
    batch_id: str | None = None


DataOf = Callable[[Sequence[News]], Awaitable[Sequence[Mapping[str, Any]]]]


class Fanout:
    """One per process."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def deliver(
        self, db: AsyncConnection, news: Sequence[News], at: int, data_of: DataOf
    ) -> None:
        """Store what is due to each receiver; `data_of` is asked only for news that have any."""
        tenants = {each.tenant_id for each in news if each.public}
        endpoints = await fanout_store.listeners(db, tenants) if tenants else ()
        heard = [(each, to) for each in news if (to := _receivers(each, endpoints))]
        if not heard:
            return
        data = await data_of([each for each, _ in heard])
        due: list[dict[str, Any]] = []
        skipped: list[dict[str, Any]] = []
        for (each, receivers), its in zip(heard, data, strict=True):
            body = orjson.dumps(envelope(each.type, each.event_id, at, its))
            for receiver in receivers:
                row = _delivery_row(each, receiver, body)
                (skipped if receiver.get("disabled_at") else due).append(row)
        if skipped:
            await fanout_store.add_skipped(db, skipped)
        if due:
            await fanout_store.add_pending(db, due)
            await self._wake_deliverer(db, {row["target"] for row in due})

    async def _wake_deliverer(self, db: AsyncConnection, targets: Iterable[str]) -> None:
        kwargs: dict[str, Any] = {"targets": sorted(targets)}
        wakeup = Wakeup(ActorName.DELIVER_WEBHOOKS, QueueName.WEBHOOKS, kwargs)
        promises = await outbox.add(db, [wakeup])
        on_commit(db, partial(self._publisher.after_commit, promises))


def _receivers(news: News, endpoints: Sequence[Row]) -> list[dict[str, Any]]:
    found = [
        dict(each)
        for each in endpoints
        if news.public
        and each["tenant_id"] == news.tenant_id
        and (not each["event_types"] or news.type in each["event_types"])
    ]
    if news.own is not None and news.type in _listed(news.own["events"]):
        found.append({"id": None, "url": str(news.own["url"])})
    return found


def _listed(events: object) -> list[object]:
    return events if isinstance(events, list) else []


def _host_of(url: str) -> str:
    # However it is spelled, it is one receiver.
    parts = urlsplit(url)
    port = parts.port or (HTTPS if parts.scheme.lower() == "https" else HTTP)
    return f"{(parts.hostname or '').rstrip('.')}:{port}"


def _delivery_row(news: News, to: dict[str, Any], body: bytes) -> dict[str, Any]:
    return {
        "id": new_id("dlv"),
        "tenant_id": news.tenant_id,
        "endpoint_id": to["id"],
        # A job's own URL is isolated by its host: one tenant's slow receiver delays no other's.
        "target": to["id"] or f"{news.tenant_id}:{_host_of(to['url'])}",
        "url": to["url"],
        "event_id": news.event_id,
        "event_type": news.type,
        "job_id": news.job_id,
        "batch_id": news.batch_id,
        "body": body,
    }
