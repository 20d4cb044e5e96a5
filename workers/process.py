"""One worker process: opens the resources on the runner's loop, and drains them at the end."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from time import monotonic

import dramatiq
import structlog
from dramatiq.middleware import Middleware, MiddlewareError
from typing_extensions import override

from shared.database import UNAVAILABLE
from shared.enqueue import QueueName, Wakeup
from shared.events.notices import Channel, Listener
from shared.jobs.transitions import Priority
from shared.processes import store
from shared.processes.store import Life
from shared.settings import Settings
from workers.attempt.hold import Stop
from workers.broker import GatedBroker
from workers.delivery.deliverer import Deliverer, open_deliverer
from workers.life import LifeSigns
from workers.loop_thread import LoopThread
from workers.resources import WorkerResources, open_worker_resources
from workers.runner import EXIT_RESERVE_S, Runner

log = structlog.get_logger()

OPEN_TIMEOUT_S = 60


class CannotStart(MiddlewareError):
    """The process must not come up half: Dramatiq lets this error through and ends it."""


class WorkerProcess(Middleware):
    """The middleware that owns the event loop; also the gate of the broker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = LoopThread(stuck_after_s=settings.watchdog_s)
        self._stack = AsyncExitStack()
        self._runner: Runner | None = None
        self._deliverer: Deliverer | None = None
        self._resources: WorkerResources | None = None
        self._broker: GatedBroker | None = None

    def open_for(self, queue: str) -> bool:
        """Tell the broker whether there is room for another message of this queue."""
        if queue == QueueName.WEBHOOKS:
            return self._deliverer is not None and self._deliverer.has_room
        runner = self._runner
        return runner is not None and runner.has_room(Priority(queue))

    def take(self, ids: Sequence[str], priority: Priority, *, suspect: bool) -> bool:
        """Hand a slice to the runner and wait until it is claimed; False when we are draining."""
        runner = self._runner
        if runner is None or runner.draining:
            return False
        if suspect:
            self._loop.submit(runner.take_suspects(ids)).result()
            return True
        return self._loop.submit(runner.take(ids, priority)).result()

    def deliver(self, targets: Sequence[str]) -> None:
        """Have the webhooks sent that are due to these targets; it need not wait for that."""
        if self._deliverer is not None:
            self._loop.submit(self._deliverer.take(targets)).result()

    def pass_on(self, wakeup: Wakeup) -> None:
        """Publish a wake-up again, for another worker."""
        if self._resources is not None:
            self._loop.submit(self._resources.shared.enqueuer.publish([wakeup])).result()

    @override
    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        if not isinstance(broker, GatedBroker):
            message = "the worker needs its own broker"
            raise CannotStart(message)
        self._broker = broker
        broker.doorbell.start()
        self._loop.start()
        try:
            self._loop.submit(self._open(broker)).result(OPEN_TIMEOUT_S)
        except Exception as error:
            raise CannotStart(str(error)) from error

    @override
    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        self._loop.submit(self._drain(self._settings.drain_s)).result()

    @override
    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        if self._broker is not None:
            self._broker.doorbell.close()
        self._loop.submit(self._close()).result()
        self._loop.stop()

    async def _open(self, broker: GatedBroker) -> None:
        resources = await self._stack.enter_async_context(open_worker_resources(self._settings))
        runner = Runner(resources)
        listener = Listener(
            resources.shared.redis,
            [Channel.CANCEL],
            lambda _channel, ids: runner.stop(ids.decode().split(), Stop.CANCELLED),
        )
        signs = LifeSigns(resources, lambda: self._life(resources, runner, broker))
        runner.start()
        listener.start()
        signs.start()
        # Undone in reverse: the signs of life end, then the farewell takes the last one away.
        self._stack.push_async_callback(self._farewell, resources)
        self._stack.push_async_callback(listener.close)
        self._stack.push_async_callback(signs.close)
        self._deliverer = await self._stack.enter_async_context(open_deliverer(resources))
        self._resources, self._runner = resources, runner
        log.info("worker.started", owner=resources.owner)

    async def _drain(self, grace_s: float) -> None:
        if self._runner is not None and self._deliverer is not None:
            until = max(0.0, grace_s - EXIT_RESERVE_S)
            await asyncio.gather(self._runner.drain(grace_s), self._deliverer.drain(until))

    async def _close(self) -> None:
        await self._stack.aclose()
        log.info("worker.stopped")

    @staticmethod
    async def _farewell(resources: WorkerResources) -> None:
        with contextlib.suppress(*UNAVAILABLE):
            async with resources.database.transaction() as db:
                await store.bid_farewell(db, resources.owner)

    def _life(self, resources: WorkerResources, runner: Runner, broker: GatedBroker) -> Life:
        return Life(
            owner=resources.owner,
            host=socket.gethostname(),
            pid=os.getpid(),
            silent_ms=round((monotonic() - broker.polled_at) * 1000),
            in_flight=runner.in_flight,
            draining=runner.draining,
            capacity=runner.capacity,
        )
