"""The log of deltas as an API process reads it: by few at a time."""

import asyncio

from redis.asyncio import Redis
from typing_extensions import override

from shared.events.deltas import MOST_READ, Delta, DeltaLog

READ_AT_ONCE = 32
"""The Redis client has some more connections than this; beyond them it would refuse."""


class LogReader(DeltaLog):
    """One per process: after a break many want to catch up at the same time."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self._room = asyncio.Semaphore(READ_AT_ONCE)

    @override
    async def after(
        self, job_id: str, version: int, number: int, *, most: int = MOST_READ
    ) -> list[Delta]:
        """Return the entries behind a place, as soon as it is one's turn.

        Raises:
            RedisError: Redis is away.
        """
        async with self._room:
            return await super().after(job_id, version, number, most=most)
