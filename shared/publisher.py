"""After the commit: send the outbox rows just written, then remove them a little later, many at once."""

import asyncio
import contextlib

import structlog

from shared import outbox
from shared.database import UNAVAILABLE, Database
from shared.endings import end
from shared.enqueue import Enqueuer
from shared.failpoints import failpoint
from shared.outbox import Promise

log = structlog.get_logger()

REMOVE_EVERY_S = 0.25


class Publisher:
    """Sends promises soon after their commit, best effort: the scheduler relays what this misses."""

    def __init__(self, database: Database, enqueuer: Enqueuer) -> None:
        self._database = database
        self._enqueuer = enqueuer
        self._unsent: asyncio.Queue[Promise] = asyncio.Queue()
        self._sent: list[int] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to send and remove in the background."""
        self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._tidy())]

    def after_commit(self, promises: list[Promise]) -> None:
        """Take promises whose transaction has committed; returns at once."""
        for promise in promises:
            self._unsent.put_nowait(promise)

    async def close(self) -> None:
        """Stop; what was sent is removed, what was not is relayed by the scheduler."""
        await end(*self._tasks)
        with contextlib.suppress(*UNAVAILABLE):
            await self._remove_sent()

    async def _send(self) -> None:
        while True:
            batch = [await self._unsent.get()]
            while not self._unsent.empty():
                batch.append(self._unsent.get_nowait())
            try:
                await self._enqueuer.publish([promise.wakeup for promise in batch])
            except Exception as error:  # noqa: BLE001  what is not sent is relayed
                log.warning("outbox.publish_failed", messages=len(batch), error=str(error))
                continue
            failpoint("after_publish")
            self._sent.extend(promise.id for promise in batch)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(REMOVE_EVERY_S)
            try:
                await self._remove_sent()
            except Exception as error:  # noqa: BLE001  what is not removed is relayed once more
                log.warning("outbox.remove_failed", error=str(error))

    async def _remove_sent(self) -> None:
        ids, self._sent = self._sent, []
        if not ids:
            return
        async with self._database.transaction() as db:
            await outbox.remove(db, ids)
