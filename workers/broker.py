"""The consuming broker: it takes from a queue only what the runner has room for, and wakes at the doorbell."""

import threading
from collections.abc import Iterable
from time import monotonic
from typing import Any, Protocol, cast

import redis
import structlog
from dramatiq import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from typing_extensions import override

from shared.enqueue import DOORBELL, HEARTBEAT_MS, MAINTENANCE_CHANCE, QueueName, connect

log = structlog.get_logger()

PREFETCH = 16
"""Messages of a queue in hand at once: each is a slice, and is soon acknowledged."""
IDLE_POLL_S = 1.0
FULL_POLL_S = 0.02


class Gate(Protocol):
    """What the broker asks before it fetches."""

    def open_for(self, queue: str) -> bool:
        """Tell whether there is room for another slice of this queue."""
        ...


class GatedBroker(RedisBroker):
    """A Redis broker whose consumers obey a gate."""

    def __init__(self, redis_url: str, *, gate: Gate, middleware: list[Any]) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            client=connect(redis_url),
            middleware=middleware,
            heartbeat_timeout=HEARTBEAT_MS,
            maintenance_chance=MAINTENANCE_CHANCE,
        )
        self._gate = gate
        self.polled_at = monotonic()
        self.doorbell = Doorbell(redis_url)

    @override
    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Return a consumer; Dramatiq's delay queues are never used and only kept alive."""
        if queue_name not in set(QueueName):
            return super().consume(queue_name, prefetch=1, timeout=timeout)
        inner = super().consume(queue_name, prefetch=PREFETCH, timeout=1)
        return _GatedConsumer(inner, queue_name, self, self._gate)


class _GatedConsumer(Consumer):
    def __init__(self, inner: Any, queue: str, broker: GatedBroker, gate: Gate) -> None:
        self._inner = inner
        self._queue = queue
        self._broker = broker
        self._gate = gate
        self._is_full = False

    @override
    def __next__(self) -> MessageProxy | None:
        if not self._inner.message_cache and not self._gate.open_for(self._queue):
            # Idle on purpose: that counts as alive.
            self._broker.polled_at = monotonic()
            threading.Event().wait(FULL_POLL_S)
            return None
        rung = self._broker.doorbell.rung(self._queue)
        # Said before the inner one counts what is in hand: who acknowledges later is told to ring.
        self._is_full = self._inner.outstanding_message_count >= PREFETCH
        message: MessageProxy | None = next(self._inner)
        self._broker.polled_at = monotonic()
        if message is None:
            self._broker.doorbell.wait(self._queue, since=rung, timeout_s=IDLE_POLL_S)
        return message

    @override
    def ack(self, message: MessageProxy) -> None:
        self._inner.ack(message)
        if self._is_full:
            # There is room for the next one: whoever waits in __next__ must not sleep on.
            self._broker.doorbell.ring([self._queue])

    @override
    def nack(self, message: MessageProxy) -> None:
        self._inner.nack(message)

    @override
    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        self._inner.requeue(messages)

    @override
    def close(self) -> None:
        # What was prefetched and not handed out goes back for others to take at once.
        held = []
        while self._inner.message_cache:
            held.append(next(self._inner))
        self._inner.requeue(held)
        self._inner.close()


class Doorbell:
    """Counts the rings of each queue, so that an idle consumer wakes in a millisecond."""

    def __init__(self, redis_url: str) -> None:
        self._client = connect(redis_url)
        self._rings: dict[str, int] = {}
        # One each: a ring wakes the one consumer that it is for.
        self._changed = {queue: threading.Condition() for queue in QueueName}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="doorbell", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()

    def rung(self, queue: str) -> int:
        """Return how often the bell of a queue has rung."""
        return self._rings.get(queue, 0)

    def wait(self, queue: str, *, since: int, timeout_s: float) -> None:
        """Wait until the bell rings after `since`, or the time is over."""
        changed = self._changed[QueueName(queue)]
        with changed:
            changed.wait_for(lambda: self.rung(queue) != since, timeout_s)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                self._subscribe()
            except (redis.RedisError, OSError) as error:
                log.warning("doorbell.disconnected", error=str(error))
                self._closed.wait(1.0)

    def _subscribe(self) -> None:
        subscription = self._client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        with subscription as pubsub:
            pubsub.subscribe(DOORBELL)
            self.ring(QueueName)
            while not self._closed.is_set():
                message = pubsub.get_message(timeout=1.0)
                if message is not None:
                    self.ring(message["data"].decode().split(","))

    def ring(self, queues: Iterable[str]) -> None:
        """Wake whoever waits for one of these queues."""
        for queue in queues:
            # A newer version's producer may ring for a queue that nobody here serves.
            if changed := self._changed.get(cast("QueueName", queue)):
                with changed:
                    self._rings[queue] = self._rings.get(queue, 0) + 1
                    changed.notify_all()
