"""What many lanes have room for, in one round trip: for those who plan ahead of the decisions."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from redis.asyncio import Redis

from shared.limiter.buckets import Lane
from shared.limiter.round_trips import Call, RedisDownError, RoundTrips
from shared.limiter.scripts import load_script

OPEN, PAUSED, PROBE_DUE, PROBE_OUT = range(4)


@dataclass(frozen=True, slots=True)
class Room:
    """A lane now: `levels` are those of its buckets in whole units, in their order."""

    lane: Lane
    under_way: int
    limit: int
    state: int
    pause_ms: int
    levels: tuple[int, ...]

    @property
    def free(self) -> int:
        """How many calls could begin as far as concurrency and pauses go: one where a probe is due."""
        if self.state in (PAUSED, PROBE_OUT):
            return 0
        free = max(0, self.limit - self.under_way)
        return min(free, 1) if self.state == PROBE_DUE else free


class Rooms:
    """Reads lanes; it decides nothing. `clock` (µs) is for tests."""

    def __init__(
        self, redis: Redis, *, timeout_s: float = 5.0, clock: Callable[[], int] | None = None
    ) -> None:
        self._script = load_script("room")
        self._trips = RoundTrips(redis, timeout_s=timeout_s, most_owed=0, clock=clock)

    async def of(self, lanes: Iterable[Lane]) -> dict[str, Room]:
        """Return the rooms by lane key; none while Redis is down."""
        asked = {lane.key: lane for lane in lanes}
        try:
            replies = await asyncio.gather(*(self._ask(lane) for lane in asked.values()))
        except RedisDownError:
            return {}
        return {room.lane.key: room for room in replies}

    async def _ask(self, lane: Lane) -> Room:
        keys = (f"{lane.tag}:lane", f"{lane.tag}:leases")
        reply = await self._trips.ask(Call(self._script, keys, lane.arguments))
        under_way, limit, state, pause_ms, *levels = reply
        return Room(lane, under_way, limit, state, pause_ms, tuple(levels))
