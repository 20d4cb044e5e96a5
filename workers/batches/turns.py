"""Batches are read in turns, several at once, so that a small one waits for no large one."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from time import monotonic

import structlog

from shared.batches import input_store
from shared.database import is_unavailable
from shared.resources import Resources
from workers.batches.expansion import Expansion, Names

log = structlog.get_logger()

AT_ONCE = 4
TURN_S = 0.25
MOST_OPEN, MOST_OPEN_OF_TENANT = 64, 8
MOST_LISTED = 500
REST_S = 10.0


class Turns:
    """One per scheduler: the batches that are being read, in the order of their next turns."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._names = Names()
        self._pairing = asyncio.Lock()
        self._queue: dict[str, AsyncIterator[None]] = {}
        self._resting: dict[str, float] = {}

    async def perform(self) -> bool:
        """Give the next batches a turn; True when there is more to read."""
        await self._look()
        now = list(self._queue)[:AT_ONCE]
        failures = await asyncio.gather(*map(self._turn, now))
        for failure in failures:
            if failure is not None and is_unavailable(failure):
                raise failure
        return bool(self._queue)

    async def _look(self) -> None:
        async with self._resources.database.reading() as db:
            unread = await input_store.unread(db, limit=MOST_LISTED)
        tenant_of = dict(unread)
        if len(unread) < MOST_LISTED:
            for batch_id in self._queue.keys() - tenant_of.keys():
                del self._queue[batch_id]
        now = monotonic()
        self._resting = {each: until for each, until in self._resting.items() if until > now}
        opened = Counter(tenant_of.get(batch_id) for batch_id in self._queue)
        for batch_id, tenant_id in unread:
            fresh = batch_id not in self._queue and batch_id not in self._resting
            if fresh and self._has_room(opened[tenant_id]):
                opened[tenant_id] += 1
                expansion = Expansion(self._resources, batch_id, self._names, self._pairing)
                self._queue[batch_id] = expansion.run()

    def _has_room(self, of_tenant: int) -> bool:
        # There is always room for one of each: however much another has, it must not wait for that.
        most = MOST_OPEN_OF_TENANT if len(self._queue) < MOST_OPEN else 1
        return of_tenant < most

    async def _turn(self, batch_id: str) -> Exception | None:
        run = self._queue.pop(batch_id)
        until = monotonic() + TURN_S
        try:
            while monotonic() < until:
                await anext(run)
                # Whatever else the loop has to do comes in between.
                await asyncio.sleep(0)
        except StopAsyncIteration:
            return None
        except Exception as error:
            # One batch that cannot be read must not keep the others waiting.
            self._resting[batch_id] = monotonic() + REST_S
            if not is_unavailable(error):
                log.exception("batch.not_read", batch_id=batch_id)
            return error
        self._queue[batch_id] = run
        return None
