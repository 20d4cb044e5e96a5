"""Telling of a batch: its event and the deliveries commit with the change, a notice follows."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.batches import event_store
from shared.batches.view import public_batch
from shared.clock import now_ms
from shared.database import Row, on_commit
from shared.events.event import EventType
from shared.events.notices import Channel
from shared.jobs.announcer import Announcer
from shared.jobs.fanout import News


async def announce(
    db: AsyncConnection,
    announcer: Announcer,
    batch: Row,
    type: EventType,  # noqa: A002  it is called so everywhere else
    *,
    at: int | None = None,
) -> None:
    """Tell of a change that this transaction has made.

    `batch` is the whole row as it is now, with a `version` that the change has raised: it is the
    number of the event. What is told is what the batch looks like at that moment.
    """
    moment = now_ms() if at is None else at
    shown = public_batch(batch)
    await event_store.add(db, batch, type, shown, moment)
    news = News(
        tenant_id=batch["tenant_id"],
        type=type,
        event_id=event_store.event_id(batch["id"], batch["version"]),
        own=batch["webhook"],
        batch_id=batch["id"],
    )

    async def shown_to_each(heard: Sequence[News]) -> Sequence[dict[str, Any]]:
        return [shown for _ in heard]

    await announcer.fanout.deliver(db, [news], moment, shown_to_each)
    on_commit(db, partial(ring, announcer, batch))


def ring(announcer: Announcer, batch: Row) -> None:
    """Wake who follows the batch, best effort: for after a commit."""
    item = f"{batch['id']}:{batch['version']}:{batch['state']}"
    announcer.tell([(Channel.CHANGED, item.encode())])
