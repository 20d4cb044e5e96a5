"""How full the buckets of a lane are, for those who want to know: it decides and changes nothing."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.limiter.buckets import MICRO, Bucket, Lane, Unit

FRESH_S = 0.1
TIMEOUT_S = 1.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Level:
    """A bucket now: what may be spent at once, and in how many seconds it is full again."""

    unit: Unit
    per_minute: int
    remaining: int
    full_in_s: float


class Levels:
    """Reads lanes; calls that come together share what was read a moment ago.

    `clock` replaces Redis's own (in µs, for tests).
    """

    def __init__(
        self, redis: Redis, *, fresh_s: float = FRESH_S, clock: Callable[[], int] | None = None
    ) -> None:
        self._redis = redis
        self._fresh_s = fresh_s
        self._clock = clock
        self._read: dict[str, tuple[float, asyncio.Task[Sequence[Level]]]] = {}

    async def of(self, lane: Lane) -> Sequence[Level]:
        """Return the lane's buckets, the first of each unit; none while Redis is away."""
        now = monotonic()
        at, task = self._read.get(lane.tag, (0.0, None))
        if task is None or (task.done() and now - at > self._fresh_s):
            task = asyncio.create_task(self._fetch(lane), name="levels")
            self._read[lane.tag] = (now, task)
        return await asyncio.shield(task)

    async def _fetch(self, lane: Lane) -> Sequence[Level]:
        buckets = list({each.unit: each for each in reversed(lane.buckets)}.values())[::-1]
        fields = ["clock", "offset", "pause", *(each.unit for each in buckets)]
        try:
            async with asyncio.timeout(TIMEOUT_S), self._redis.pipeline(transaction=False) as pipe:
                pipe.execute_command("TIME")
                pipe.execute_command("HMGET", f"{lane.tag}:lane", *fields)
                (seconds, micros), values = await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.debug("limiter.levels_unknown", lane=lane.key, error=str(error))
            return ()
        wall = self._clock() if self._clock else seconds * MICRO + micros
        return [_level(each, wall, values, values[3 + n]) for n, each in enumerate(buckets)]


def _level(bucket: Bucket, wall: int, lane: Sequence[bytes | None], stored: bytes | None) -> Level:
    # Times are in µs of lane time, amounts in micro-units: see lane.lua.
    clock, offset, pause = (int(float(each)) if each else 0 for each in lane[:3])
    now = max(wall + offset, clock)
    rate = bucket.micro_per_second
    # A bucket that Redis does not know starts empty.
    filled = 0 if stored is None else int(float(stored)) + (now - clock) * rate // MICRO
    level = min(filled, bucket.capacity * MICRO)
    full_in_s = (bucket.capacity * MICRO - level) / rate
    if pause > now:
        level, full_in_s = 0, max(full_in_s, (pause - now) / MICRO)
    return Level(
        unit=bucket.unit,
        per_minute=round(bucket.per_second * 60),
        remaining=max(0, level // MICRO),
        full_in_s=full_in_s,
    )
