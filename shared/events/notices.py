"""Notices between processes over Redis pub/sub: which jobs changed, which are to stop.

A notice only wakes whoever waits; what is true stands in the database. One that is lost
costs a little time.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from enum import StrEnum

import redis
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from shared.endings import end

log = structlog.get_logger()

RECONNECT_S = 0.5
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
    try:
        if len(messages) == 1:
            # A pipeline of one costs three times as much.
            await client.publish(*messages[0])
            return
        pipeline = client.pipeline(transaction=False)
        for channel, message in messages:
            pipeline.execute_command("PUBLISH", channel, message)
        await pipeline.execute()
    except redis.RedisError as error:
        log.warning("notices.lost", messages=len(messages), error=str(error))


class Listener:
    """One Redis subscription for a whole process; channels join and leave while it runs.

    `receive` gets a channel and a message; `began` is called with a channel each time that the
    subscription to it has begun, also again after a lost connection: what was said before is missed.

    One task alone touches the connection: redis-py reconnects within whichever call finds it
    broken, and two that do so at once read each other's replies. Whoever wants a change wakes that
    task by a message on a channel of its own.
    """

    def __init__(
        self,
        client: Redis,
        channels: Sequence[str],
        receive: Callable[[str, bytes], None],
        began: Callable[[str], None] = lambda _channel: None,
    ) -> None:
        self._client = client
        self._bell = f"penstock:bell:{uuid.uuid4().hex}"
        self._wanted = {self._bell, *channels}
        self._receive = receive
        self._began = began
        self._changed = False
        self._ringing: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Listen in the background, reconnecting for as long as it takes."""
        self._task = asyncio.create_task(self._run(), name="listener")

    def join(self, channel: str) -> None:
        """Listen to one more channel; returns at once, `began` tells when it does."""
        self._wanted.add(channel)
        self._ring()

    def leave(self, channel: str) -> None:
        """Listen to a channel no more."""
        self._wanted.discard(channel)
        self._ring()

    async def close(self) -> None:
        """Stop listening."""
        self._closing = True
        if self._ringing is not None:
            self._ringing.cancel()
        await end(self._task)

    def _ring(self) -> None:
        self._changed = True
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring_until_told(), name="listener-bell")

    async def _ring_until_told(self) -> None:
        while self._changed and not self._closing:
            self._changed = False
            try:
                await self._client.publish(self._bell, b"")
            except (redis.RedisError, OSError) as error:
                # The next connection asks for all that is wanted then.
                log.debug("notices.not_rung", error=str(error))

    async def _run(self) -> None:
        while not self._closing:
            try:
                await self._listen()
            except (redis.RedisError, OSError) as error:
                log.warning("notices.disconnected", error=str(error))
            except Exception:
                # A process that has become deaf must not stay so.
                log.exception("notices.crashed")
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self) -> None:
        async with self._client.pubsub() as pubsub:
            asked: set[str] = set()
            while not self._closing:
                asked = await self._ask(pubsub, asked)
                message = await pubsub.get_message(timeout=PATIENCE_S)
                if message is not None:
                    self._hear(message)

    async def _ask(self, pubsub: PubSub, asked: set[str]) -> set[str]:
        # What joins while this waits is seen at the next turn: each of these has an answer.
        wanted = set(self._wanted)
        if new := wanted - asked:
            await pubsub.subscribe(*new)
        if old := asked - wanted:
            await pubsub.unsubscribe(*old)
        return wanted

    def _hear(self, message: dict[str, object]) -> None:
        channel, data = message["channel"], message["data"]
        if not isinstance(channel, bytes) or channel == self._bell.encode():
            return
        if message["type"] == "subscribe":
            self._began(channel.decode())
        elif isinstance(data, bytes):
            self._receive(channel.decode(), data)
