"""The dispatcher's bell, over Redis pub/sub: work has come, or places have become free.

A ring only hastens what the dispatcher does at its next tick anyway: one that is lost costs a
moment, never work.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

import orjson
import redis
import structlog
from redis.asyncio import Redis

log = structlog.get_logger()

BELL = "penstock:due"
QUIET_S = 0.02
"""A process rings at most this often: who rings more says all of it in one ring."""


class Bell:
    """One per process; ring it once the transaction has committed."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._rung = False
        self._ended: Counter[str] = Counter()
        self._ringing: asyncio.Task[None] | None = None

    def ring(self, ended: Iterable[str | None] = ()) -> None:
        """Ring soon; `ended` are the lanes of jobs that have left their places, one for each."""
        self._rung = True
        self._ended.update(lane for lane in ended if lane is not None)
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring_all(), name="bell")

    async def close(self) -> None:
        """Ring what is to be rung."""
        if self._ringing is not None:
            await self._ringing

    async def _ring_all(self) -> None:
        while self._rung:
            said, self._rung, self._ended = orjson.dumps(self._ended), False, Counter()
            try:
                await self._redis.publish(BELL, said)
            except (redis.RedisError, OSError) as error:
                log.debug("bell.not_rung", error=str(error))
            await asyncio.sleep(QUIET_S)


def heard(message: bytes) -> Mapping[str, int]:
    """Return how many jobs have left their places, by lane, as a ring says it."""
    try:
        said = orjson.loads(message)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}
