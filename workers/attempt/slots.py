"""Jobs in hand that wait a moment for a slot of their lane: whoever leaves one calls the next.

It spares the way back to the database where slots change hands every few milliseconds. Interactive
work is called first, and of the others the tenant that was called least: who comes with a single
job does not stand behind a crowd.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush

POLL_S = 0.05
"""Another process may have left a slot: so often one who waits has a look."""
Key = tuple[int, int]


@dataclass(slots=True, eq=False)
class _Waiter:
    key: Key
    called: asyncio.Future[bool]

    def __lt__(self, other: "_Waiter") -> bool:
        return self.key < other.key


@dataclass(slots=True)
class _Line:
    """Those who wait for one lane, by tenant, how many of each rank, and how often each tenant was called.

    Who comes anew begins where those are who were called least.
    """

    waiting: dict[str, list[_Waiter]] = field(default_factory=dict)
    ranks: Counter[int] = field(default_factory=Counter)
    called: dict[str, int] = field(default_factory=dict)
    least: int = 0
    poll: asyncio.TimerHandle | None = None


class Slots:
    """One per worker process."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._arrivals = 0

    def crowded(self, lane: str, rank: int) -> bool:
        """Tell whether somebody waits for this lane already who is not less urgent."""
        line = self._lines.get(lane)
        return line is not None and any(line.ranks[each] for each in range(rank + 1))

    def arrive(self) -> int:
        """Return a number for a job: who has a lower one came earlier."""
        self._arrivals += 1
        return self._arrivals

    async def turn(
        self, lane: str, tenant_id: str, rank: int, arrival: int, *, patience_s: float
    ) -> bool:
        """Wait to be called, or until patience is over; True when it was only a poll."""
        waiter = _Waiter((rank, arrival), asyncio.get_running_loop().create_future())
        line = self._lines.setdefault(lane, _Line())
        if tenant_id not in line.waiting:
            line.waiting[tenant_id] = []
        heappush(line.waiting[tenant_id], waiter)
        line.ranks[rank] += 1
        self._poll_later(lane, line)
        try:
            async with asyncio.timeout(patience_s):
                return await waiter.called
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            if waiter.called.done() and not waiter.called.cancelled():
                self.freed(lane)
            raise
        finally:
            waiter.called.cancel()

    def freed(self, lane: str, *, polled: bool = False) -> None:
        """Call the next one: there may be a slot."""
        line = self._lines.get(lane)
        if line is None:
            return
        while waiter := _next(line):
            if not waiter.called.done():
                waiter.called.set_result(polled)
                break
        if not line.waiting:
            if line.poll is not None:
                line.poll.cancel()
            del self._lines[lane]

    def _poll_later(self, lane: str, line: _Line) -> None:
        if line.poll is None:
            loop = asyncio.get_running_loop()
            line.poll = loop.call_later(POLL_S, self._poll, lane, line)

    def _poll(self, lane: str, line: _Line) -> None:
        line.poll = None
        if self._lines.get(lane) is line:
            self._poll_later(lane, line)
            self.freed(lane, polled=True)


def _next(line: _Line) -> _Waiter | None:
    if not line.waiting:
        return None

    def order(tenant: str) -> tuple[bool, int, Key]:
        key = line.waiting[tenant][0].key
        return key[0] > 0, max(line.called.get(tenant, 0), line.least), key

    tenant = min(line.waiting, key=order)
    line.least = max(line.called.get(tenant, 0), line.least)
    line.called[tenant] = line.least + 1
    waiter = heappop(line.waiting[tenant])
    line.ranks[waiter.key[0]] -= 1
    if not line.waiting[tenant]:
        del line.waiting[tenant]
        line.called = {each: times for each, times in line.called.items() if times > line.least}
    return waiter
