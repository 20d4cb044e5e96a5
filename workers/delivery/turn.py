"""A target's turn: what is due to it is sent, the next batch claimed while one is on its way."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from shared.webhooks.delivery_store import Claim
from shared.webhooks.outcome import Judgement
from workers.delivery.desk import Desk
from workers.delivery.lanes import Paces

TURN_S = 5.0
"""After so long a target goes to the end of its line; a batch is made to take about as long."""
MOST_ROUNDS = 20


def batch_size(latency_s: float | None, at_once: int) -> int:
    """Return how many deliveries to claim from a target that takes so long to answer."""
    rounds = 1 if latency_s is None else TURN_S / max(latency_s, TURN_S / MOST_ROUNDS)
    return at_once * max(1, int(rounds))


@dataclass(frozen=True, slots=True)
class _Batch:
    queue: deque[Claim]
    more: bool
    begin_by: float


class Turn:
    """One turn of one target; `draining` tells whether nothing more is to begin."""

    def __init__(
        self,
        target: str,
        desk: Desk,
        paces: Paces,
        places: asyncio.Semaphore,
        *,
        at_once: int,
        draining: Callable[[], bool],
    ) -> None:
        self._target = target
        self._desk = desk
        self._paces = paces
        self._places = places
        self._at_once = at_once
        self._draining = draining
        # Batches go beside each other, and no more of their requests than that.
        self._room = asyncio.Semaphore(at_once)
        self._throttled = False
        self._gone = False
        self._over = False
        # By claim: one that was lost on the way may be won again while its first try still runs,
        # and that must not end the tries of all others.
        self._held: dict[tuple[str, int], Claim] = {}
        self._asked = False
        self._looking: asyncio.Task[None] | None = None
        self._beside: list[asyncio.Task[None]] = []

    async def run(self) -> bool:
        """Take the turn; tell whether there is more to send. What was not sent is let go."""
        over_at = monotonic() + TURN_S
        following: asyncio.Task[_Batch] | None = None
        try:
            batch = await self._claim()
            while batch.queue:
                goes_on = batch.more and not self._stopped and monotonic() < over_at
                following = asyncio.create_task(self._claim()) if goes_on else None
                await self._send(batch)
                if following is None:
                    break
                batch = await following
            await self._all_beside()
            return (batch.more or bool(batch.queue)) and not self._throttled
        except BaseException:
            for each in self._beside:
                each.cancel()
            raise
        finally:
            # From here on nothing is begun: what is let go must not be on its way.
            self._over = True
            others = [each for each in (following, self._looking) if each is not None]
            await asyncio.gather(*others, *self._beside, return_exceptions=True)
            if self._held:
                await self._desk.release(list(self._held.values()))

    def look_again(self) -> None:
        """Hear that more is due: what there is room for goes beside what is on its way.

        A turn that is ending leaves it to the next one.
        """
        self._asked = True
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while self._asked and not self._stopped:
            self._asked = False
            room = self._at_once - len(self._held)
            if room <= 0:
                return
            batch = await self._claim(room)
            if batch.queue and not self._over:
                self._beside.append(asyncio.create_task(self._send(batch)))

    async def _all_beside(self) -> None:
        if self._looking is not None:
            await self._looking
        await asyncio.gather(*self._beside)

    @property
    def _stopped(self) -> bool:
        return self._throttled or self._gone or self._over or self._draining()

    async def _claim(self, limit: int | None = None) -> _Batch:
        if limit is None:
            limit = batch_size(self._paces.latency_s(self._target), self._at_once)
        begin_by = monotonic() + self._desk.begin_within_s
        won = await self._desk.claim(self._target, limit)
        self._held.update({(each.id, each.claim_number): each for each in won.claims})
        return _Batch(deque(won.claims), len(won.claims) + won.skipped >= limit, begin_by)

    async def _send(self, batch: _Batch) -> None:
        records: list[asyncio.Task[None]] = []
        try:
            async with asyncio.TaskGroup() as senders:
                for _ in range(min(self._at_once, len(batch.queue))):
                    senders.create_task(self._send_one_by_one(batch, records))
        finally:
            # No more than two batches are in hand, however slow the database is.
            await asyncio.gather(*records)

    async def _send_one_by_one(self, batch: _Batch, records: list[asyncio.Task[None]]) -> None:
        while batch.queue:
            async with self._room, self._places:
                claim = self._next(batch)
                if claim is None:
                    return
                report = await self._desk.attempt(claim)
            self._paces.note(self._target, report.outcome.total_ms / 1000)
            self._throttled |= report.judgement is Judgement.THROTTLED
            # The next turn finds the endpoint disabled; other URLs of a host may be there still.
            self._gone |= report.judgement is Judgement.GONE and claim.endpoint_id is not None
            del self._held[claim.id, claim.claim_number]
            records.append(asyncio.create_task(self._desk.record(report)))

    def _next(self, batch: _Batch) -> Claim | None:
        late = monotonic() > batch.begin_by
        return batch.queue.popleft() if batch.queue and not late and not self._stopped else None
