"""Wake-ups for the workers: raw Dramatiq messages by name, ids only; the one module that knows Dramatiq."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from pydantic import JsonValue

HEARTBEAT_MS = 30_000
MAINTENANCE_CHANCE = 200_000
DOORBELL = "penstock:doorbell"
"""Pub/sub channel on which a producer rings, so that idle consumers need not poll."""


class QueueName(StrEnum):
    """The queues, and so the lanes in which wake-ups wait."""

    INTERACTIVE = "interactive"
    STANDARD = "standard"
    BULK = "bulk"
    WEBHOOKS = "webhooks"


class ActorName(StrEnum):
    """Every actor that may be named in a message."""

    RUN_JOBS = "run_jobs"
    DELIVER_WEBHOOKS = "deliver_webhooks"


@dataclass(frozen=True, slots=True)
class Wakeup:
    """One message: which actor, on which queue, with which ids."""

    actor: ActorName
    queue: QueueName
    kwargs: Mapping[str, JsonValue]


def connect(redis_url: str) -> redis.Redis:
    """Return the blocking client of the broker; short time-outs, so that a dead Redis is noticed."""
    client: redis.Redis = redis.Redis.from_url(
        redis_url, socket_connect_timeout=2, socket_timeout=10, health_check_interval=15
    )
    return client


class Enqueuer:
    """Publishes wake-ups from an event loop without blocking it."""

    def __init__(self, redis_url: str) -> None:
        self._client = connect(redis_url)
        self._broker = RedisBroker(  # type: ignore[no-untyped-call]
            client=self._client, middleware=[], heartbeat_timeout=HEARTBEAT_MS
        )
        for queue in QueueName:
            self._broker.declare_queue(queue)

    async def publish(self, wakeups: Sequence[Wakeup]) -> None:
        """Hand the wake-ups to the broker, in order.

        Raises:
            redis.RedisError: the broker is out of reach; some may have been published.
        """
        await asyncio.to_thread(self._publish, wakeups)

    async def waiting(self, queue: QueueName) -> int:
        """Return how many messages wait in the broker's queue, not counting those in hand."""
        return await asyncio.to_thread(self._waiting, queue)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._broker.close)
        self._client.close()

    def _publish(self, wakeups: Sequence[Wakeup]) -> None:
        for wakeup in wakeups:
            message: dramatiq.Message[None] = dramatiq.Message(
                queue_name=wakeup.queue,
                actor_name=wakeup.actor,
                args=(),
                kwargs=dict(wakeup.kwargs),
                options={},
            )
            self._broker.enqueue(message)
        self._client.publish(DOORBELL, ",".join({wakeup.queue for wakeup in wakeups}))

    def _waiting(self, queue: QueueName) -> int:
        return int(self._client.llen(f"{self._broker.namespace}:{queue}"))
