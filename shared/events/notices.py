"""Notices between processes over Redis pub/sub: which jobs changed, which are to stop.

A notice only wakes whoever waits; what is true stands in the database. One that is lost
costs a little time.
"""

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum

import redis
import structlog
from redis.asyncio import Redis

log = structlog.get_logger()

RECONNECT_S = 0.5
CANCEL_AGAIN_S = 0.1


class Channel(StrEnum):
    """What a notice is about; its text is job ids, separated by spaces."""

    ENDED = "penstock:ended"
    CANCEL = "penstock:cancel"


async def notify(client: Redis, channel: Channel, ids: Sequence[str]) -> None:
    """Tell every listener, best effort."""
    if not ids:
        return
    try:
        await client.publish(channel, " ".join(ids))
    except redis.RedisError as error:
        log.warning("notices.lost", channel=channel, jobs=len(ids), error=str(error))


class Listener:
    """One Redis subscription for a whole process."""

    def __init__(
        self, client: Redis, channel: Channel, receive: Callable[[Sequence[str]], None]
    ) -> None:
        self._client = client
        self._channel = channel
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Listen in the background, reconnecting for as long as it takes."""
        self._task = asyncio.create_task(self._run(), name=f"listen-{self._channel}")

    async def close(self) -> None:
        """Stop listening."""
        self._closing = True
        # The Redis client may swallow a cancellation while it connects, so one is not enough.
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=CANCEL_AGAIN_S)

    async def _run(self) -> None:
        while not self._closing:
            try:
                await self._listen()
            except (redis.RedisError, OSError) as error:
                log.warning("notices.disconnected", channel=self._channel, error=str(error))
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self) -> None:
        async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(self._channel)
            while not self._closing:
                message = await pubsub.get_message(timeout=10)
                if message is not None:
                    self._receive(message["data"].decode().split())
