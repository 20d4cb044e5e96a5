"""Waking the deliverer: promised in the transaction that made something due, sent after it."""

from collections.abc import Iterable
from functools import partial

from pydantic import JsonValue
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import outbox
from shared.database import on_commit
from shared.enqueue import ActorName, QueueName, Wakeup
from shared.publisher import Publisher


async def wake(db: AsyncConnection, publisher: Publisher, targets: Iterable[str]) -> None:
    """Tell the deliverer that there may be something due to these targets."""
    kwargs: dict[str, JsonValue] = {"targets": [*sorted(set(targets))]}
    wakeup = Wakeup(ActorName.DELIVER_WEBHOOKS, QueueName.WEBHOOKS, kwargs)
    promises = await outbox.add(db, [wakeup])
    on_commit(db, partial(publisher.after_commit, promises))
