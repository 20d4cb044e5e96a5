"""Telling of changes: event rows and deliveries commit with them, and a notice follows the commit."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import now_ms
from shared.database import on_commit
from shared.dialects.responses.resource import response_id
from shared.events import store as event_store
from shared.events.event import is_response_event
from shared.events.notices import Channel, publish
from shared.jobs import store
from shared.jobs.changes import Change
from shared.jobs.fanout import Fanout, News
from shared.jobs.view import event_data
from shared.publisher import Publisher

FIRST = 1
Count = Callable[[AsyncConnection, Sequence[Change]], Awaitable[None]]


class Announcer:
    """One per process; every transaction that changes jobs announces the changes in itself.

    `count` tells the batches of lines that have ended. The lines themselves are quiet: fifty
    thousand of them are one event, which is their batch's, and only who named a receiver for a
    single line is told of it.
    """

    def __init__(self, redis: Redis, publisher: Publisher, *, count: Count | None = None) -> None:
        self._redis = redis
        self._fanout = Fanout(publisher)
        self._count = count
        self._untold: list[tuple[Channel, bytes]] = []
        self._telling: asyncio.Task[None] | None = None

    @property
    def fanout(self) -> Fanout:
        """How news reach their receivers."""
        return self._fanout

    async def announce(self, db: AsyncConnection, changes: Sequence[Change]) -> None:
        """Write the events of changes made in this transaction, and what is due to listeners."""
        if not changes:
            return
        at = now_ms()
        loud = [change for change in changes if not change.is_quiet]
        if loud:
            await event_store.add(db, [_event_row(change, at) for change in loud])
        heard = [change for change in changes if not change.is_quiet or change.webhook is not None]
        if heard:
            news = [told for each in heard for told in _news(each)]
            await self._fanout.deliver(db, news, at, partial(_data, db))
        ended = [each for each in changes if each.is_quiet and each.is_final and not each.counted]
        if ended and self._count is not None:
            await self._count(db, ended)
        # Nobody can know of a job yet that is only now stored.
        told = [change for change in loud if change.number > FIRST]
        if told:
            on_commit(db, lambda: self.tell(_messages(told)))

    def tell(self, messages: Sequence[tuple[Channel, bytes]]) -> None:
        """Send notices soon, best effort: for after a commit."""
        self._untold.extend(messages)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all(), name="announcer")

    async def close(self) -> None:
        """Finish telling."""
        if self._telling is not None:
            await self._telling

    async def _tell_all(self) -> None:
        while self._untold:
            messages, self._untold = self._untold, []
            await publish(self._redis, messages)


async def _data(db: AsyncConnection, news: Sequence[News]) -> Sequence[Mapping[str, Any]]:
    jobs = await store.rows_of(db, {str(each.job_id) for each in news})
    return [
        {"id": response_id(str(each.job_id))}
        if is_response_event(each.type)
        else event_data(jobs[str(each.job_id)])
        for each in news
    ]


def _news(change: Change) -> Iterator[News]:
    news = News(
        tenant_id=change.tenant_id,
        type=change.type,
        event_id=change.event_id,
        own=change.webhook,
        public=not change.is_quiet,
        job_id=change.job_id,
    )
    yield news
    if change.of_response is not None:
        # One change, told in two ways: a receiver of both must not take one for the other.
        yield replace(news, type=change.of_response, event_id=f"{change.event_id}_response")


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
