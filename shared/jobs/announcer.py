"""Telling of changes: event rows and deliveries commit with them, and a notice follows the commit."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import orjson
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import outbox
from shared.clock import now_ms
from shared.database import Row, on_commit
from shared.enqueue import ActorName, QueueName, Wakeup
from shared.events import store as event_store
from shared.events.event import envelope
from shared.events.notices import Channel, publish
from shared.ids import new_id
from shared.jobs import store
from shared.jobs.changes import Change
from shared.jobs.view import event_data
from shared.publisher import Publisher
from shared.webhooks import fanout_store

FIRST = 1


class Announcer:
    """One per process; every transaction that changes jobs announces the changes in itself."""

    def __init__(self, redis: Redis, publisher: Publisher) -> None:
        self._redis = redis
        self._publisher = publisher
        self._untold: list[Change] = []
        self._telling: asyncio.Task[None] | None = None

    async def announce(self, db: AsyncConnection, changes: Sequence[Change]) -> None:
        """Write the events of changes made in this transaction, and what is due to listeners."""
        if not changes:
            return
        at = now_ms()
        await event_store.add(db, [_event_row(change, at) for change in changes])
        await self._deliver(db, changes, at)
        # Nobody can know of a job yet that is only now stored.
        told = [change for change in changes if change.number > FIRST]
        if told:
            on_commit(db, partial(self._tell, told))

    async def close(self) -> None:
        """Finish telling."""
        if self._telling is not None:
            await self._telling

    def _tell(self, changes: Sequence[Change]) -> None:
        self._untold.extend(changes)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all(), name="announcer")

    async def _tell_all(self) -> None:
        while self._untold:
            changes, self._untold = self._untold, []
            await publish(self._redis, _messages(changes))

    async def _deliver(self, db: AsyncConnection, changes: Sequence[Change], at: int) -> None:
        endpoints = await fanout_store.listeners(db, {change.tenant_id for change in changes})
        wanted = [(change, to) for change in changes for to in _receivers(change, endpoints)]
        if not wanted:
            return
        jobs = await store.rows_of(db, {change.job_id for change, _ in wanted})
        due: list[dict[str, Any]] = []
        skipped: list[dict[str, Any]] = []
        for change, to in wanted:
            row = _delivery_row(change, to, jobs[change.job_id], at)
            (skipped if to.get("disabled_at") else due).append(row)
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


def _event_row(change: Change, at: int) -> dict[str, Any]:
    return {
        "job_id": change.job_id,
        "number": change.number,
        "type": change.type,
        "reason": change.reason,
        "created_at": at,
    }


def _messages(changes: Sequence[Change]) -> list[tuple[Channel, bytes]]:
    plain = " ".join(
        f"{each.job_id}:{each.number}:{each.state}" for each in changes if each.answer is None
    )
    messages = [(Channel.CHANGED, plain.encode())] if plain else []
    for change in changes:
        if change.answer is not None:
            status, body = change.answer
            head = f"{change.job_id}:{change.number}:{status} "
            messages.append((Channel.ANSWERED, head.encode() + body))
    return messages


def _receivers(change: Change, endpoints: Sequence[Row]) -> list[dict[str, Any]]:
    found = [
        dict(each)
        for each in endpoints
        if each["tenant_id"] == change.tenant_id
        and (not each["event_types"] or change.type in each["event_types"])
    ]
    own = change.webhook
    if own is not None and change.type in _listed(own["events"]):
        found.append({"id": None, "url": str(own["url"])})
    return found


def _listed(events: object) -> list[object]:
    return events if isinstance(events, list) else []


def _host_of(url: str) -> str:
    # However it is spelled, it is one receiver.
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme.lower() == "https" else 80)
    return f"{(parts.hostname or '').rstrip('.')}:{port}"


def _delivery_row(change: Change, to: dict[str, Any], job: Row, at: int) -> dict[str, Any]:
    body = envelope(change.type, change.event_id, at, event_data(job))
    return {
        "id": new_id("dlv"),
        "tenant_id": change.tenant_id,
        "endpoint_id": to["id"],
        # A job's own URL is isolated by its host: one tenant's slow receiver delays no other's.
        "target": to["id"] or f"{change.tenant_id}:{_host_of(to['url'])}",
        "url": to["url"],
        "event_id": change.event_id,
        "event_type": change.type,
        "job_id": change.job_id,
        "body": orjson.dumps(body),
    }
