"""Notices between processes over Redis pub/sub: which jobs changed, which are to stop.

A notice only wakes whoever waits; what is true stands in the database. One that is lost
costs a little time.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from enum import StrEnum
from typing import Any

import redis
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

log = structlog.get_logger()

RECONNECT_S = 0.5
CANCEL_AGAIN_S = 0.1
PATIENCE_S = 10.0


class Channel(StrEnum):
    """What a notice is about; its text is items separated by spaces.

    `CHANGED`: `job id:event number:state` for each job. `CANCEL`: ids of jobs to stop.
    `ANSWERED`: one completed job, `job id:event number:HTTP status`, a space, and its result.
    """

    CHANGED = "penstock:changed"
    ANSWERED = "penstock:answered"
    CANCEL = "penstock:cancel"


async def notify(client: Redis, channel: Channel, items: Sequence[str]) -> None:
    """Tell every listener, best effort."""
    if items:
        await publish(client, [(channel, " ".join(items).encode())])


async def publish(client: Redis, messages: Sequence[tuple[Channel, bytes]]) -> None:
    """Send messages in one round trip, best effort."""
    pipeline = client.pipeline(transaction=False)
    for channel, message in messages:
        pipeline.execute_command("PUBLISH", channel, message)
    try:
        await pipeline.execute()
    except redis.RedisError as error:
        log.warning("notices.lost", messages=len(messages), error=str(error))


class Listener:
    """One Redis subscription for a whole process; channels join and leave while it runs.

    `receive` gets a channel and a message; `began` is called with a channel each time that the
    subscription to it has begun, also again after a lost connection: what was said before is missed.
    """

    def __init__(
        self,
        client: Redis,
        channels: Sequence[str],
        receive: Callable[[str, bytes], None],
        began: Callable[[str], None] = lambda _channel: None,
    ) -> None:
        self._client = client
        self._channels = set(channels)
        self._receive = receive
        self._began = began
        self._pubsub: PubSub | None = None
        self._changing: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Listen in the background, reconnecting for as long as it takes."""
        self._task = asyncio.create_task(self._run(), name="listener")

    def join(self, channel: str) -> None:
        """Listen to one more channel; returns at once, `began` tells when it does."""
        self._channels.add(channel)
        self._change(self._sync(channel))

    def leave(self, channel: str) -> None:
        """Listen to a channel no more."""
        self._channels.discard(channel)
        self._change(self._sync(channel))

    async def close(self) -> None:
        """Stop listening."""
        self._closing = True
        for task in self._changing:
            task.cancel()
        # The Redis client may swallow a cancellation while it connects, so one is not enough.
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=CANCEL_AGAIN_S)

    def _change(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)

    async def _sync(self, channel: str) -> None:
        # By what is wanted now: a channel may have joined and left again in the meantime.
        if self._pubsub is None:
            return
        try:
            if channel in self._channels:
                await self._pubsub.subscribe(channel)
            else:
                await self._pubsub.unsubscribe(channel)
        except (redis.RedisError, OSError) as error:
            # The connection is gone: the next one subscribes to all that is wanted then.
            log.debug("notices.not_changed", channel=channel, error=str(error))

    async def _run(self) -> None:
        while not self._closing:
            try:
                await self._listen()
            except (redis.RedisError, OSError) as error:
                log.warning("notices.disconnected", error=str(error))
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self) -> None:
        async with self._client.pubsub() as pubsub:
            asked = set(self._channels)
            await pubsub.subscribe(*asked)
            self._pubsub = pubsub
            try:
                # Who joined or left while this was connecting found nobody to tell.
                for channel in asked ^ self._channels:
                    await self._sync(channel)
                while not self._closing:
                    message = await pubsub.get_message(timeout=PATIENCE_S)
                    if message is not None:
                        self._hear(message)
            finally:
                self._pubsub = None

    def _hear(self, message: dict[str, object]) -> None:
        channel, data = message["channel"], message["data"]
        if not isinstance(channel, bytes):
            return
        if message["type"] == "subscribe":
            self._began(channel.decode())
        elif isinstance(data, bytes):
            self._receive(channel.decode(), data)
