"""The scheduler: holds the office of leader, and while it does, runs the duties at their intervals."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic

import redis
import structlog

from shared.database import UNAVAILABLE
from shared.limiter.limiter import Limiter
from shared.processes import store
from shared.resources import Resources, open_resources
from shared.routing.breaker import Breakers
from shared.settings import Settings
from shared.telemetry.metrics import SchedulerMetrics
from workers.batches.coalescing import Coalescing
from workers.batches.compose import Composer
from workers.batches.lifecycle import Lifecycle
from workers.batches.recount import recount
from workers.batches.turns import Turns
from workers.provider_pool import ProviderPool
from workers.scheduler import duties, retention
from workers.scheduler.dispatcher import Dispatcher
from workers.scheduler.health import HealthChecks

log = structlog.get_logger()

OFFICE = "scheduler"
WEBHOOK_TICKS = 4
HEALTH_S = 0.5
TERMS = 3
"""The office is renewed this many times within its time."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Something the leader does every `every_s` seconds; one that fails hinders no other.

    It may answer True: there is more of it to be done at once.
    """

    name: str
    every_s: float
    perform: Callable[[], Awaitable[bool | None]]


async def run(settings: Settings, stopping: asyncio.Event) -> None:
    """Stand by or lead until `stopping` is set."""
    me = f"scheduler-{uuid.uuid4().hex}"
    async with open_resources(settings) as resources, aclosing(Composer(resources)) as composer:
        metrics = SchedulerMetrics()
        limiter = Limiter(resources.redis)
        desk = duties.Desk(resources, limiter, metrics)
        breakers = Breakers(resources.redis)
        await breakers.start()
        dispatcher = Dispatcher(resources, metrics, breakers)
        providers = ProviderPool(settings)
        health = HealthChecks(resources.catalog, limiter, breakers, providers)
        await resources.watch.start()
        dispatcher.start()
        work = [
            Duty("dispatch", 0, dispatcher.turn),
            *_duties(desk, settings),
            *_batches(Lifecycle(resources, metrics), composer, settings),
            *_expansion(resources, settings),
            *_retention(retention.Retention(resources)),
            Duty("health", HEALTH_S, health.perform),
        ]
        while not stopping.is_set():
            if await _hold(resources, me, settings.leader_s):
                log.info("scheduler.leading", holder=me)
                await _lead(resources, me, work, stopping)
            await _pause(stopping, settings.leader_s / TERMS)
        await dispatcher.close()
        await breakers.close()
        await providers.aclose()
        with suppress(*UNAVAILABLE):
            async with resources.database.transaction() as db:
                await store.resign(db, OFFICE, me)


async def _lead(
    resources: Resources, me: str, work: Sequence[Duty], stopping: asyncio.Event
) -> None:
    stepping_down = asyncio.Event()
    tasks = [asyncio.create_task(_repeat(duty, stepping_down), name=duty.name) for duty in work]
    try:
        await _keep_office(resources, me, stopping)
    finally:
        stepping_down.set()
        # A duty in the middle of its transaction finishes it: all are safe beside another leader.
        await asyncio.gather(*tasks)
    log.info("scheduler.stood_down", holder=me)


async def _keep_office(resources: Resources, me: str, stopping: asyncio.Event) -> None:
    term_s = resources.settings.leader_s
    sure_until = monotonic() + term_s
    while not stopping.is_set() and monotonic() < sure_until:
        await _pause(stopping, term_s / TERMS)
        asked = monotonic()
        held = await _hold(resources, me, term_s)
        if held is False:
            return
        if held:
            sure_until = asked + term_s


async def _hold(resources: Resources, me: str, term_s: float) -> bool | None:
    """Take or keep the office; None when the database does not say."""
    try:
        async with resources.database.transaction() as db:
            return await store.hold(db, OFFICE, me, ttl_ms=round(term_s * 1000))
    except UNAVAILABLE as error:
        log.warning("scheduler.office_unknown", error=str(error))
        return None


async def _repeat(duty: Duty, stepping_down: asyncio.Event) -> None:
    while not stepping_down.is_set():
        more: bool | None = False
        try:
            more = await duty.perform()
        except (*UNAVAILABLE, redis.RedisError) as error:
            log.warning("scheduler.duty_failed", duty=duty.name, error=str(error))
        except Exception:
            # One duty's bug must not stop the others, the lease rescue above all.
            log.exception("scheduler.duty_crashed", duty=duty.name)
        await _pause(stepping_down, 0 if more else duty.every_s)


async def _pause(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _duties(desk: duties.Desk, settings: Settings) -> list[Duty]:
    return [
        Duty("timers", settings.tick_s, desk.queue_scheduled),
        Duty("relay", settings.sweep_s, desk.relay_outbox),
        Duty("rescue", settings.sweep_s, desk.rescue),
        Duty("forgotten", settings.sweep_s, desk.wake_forgotten),
        Duty("webhooks", settings.tick_s * WEBHOOK_TICKS, desk.wake_deliverers),
        Duty("deadlines", settings.sweep_s, desk.expire),
        Duty("tidy", settings.lease_s, desk.tidy),
    ]


def _batches(lifecycle: Lifecycle, composer: Composer, settings: Settings) -> list[Duty]:
    return [
        Duty("batches", settings.tick_s, lifecycle.perform),
        Duty("batch_files", settings.tick_s, composer.perform),
    ]


def _expansion(resources: Resources, settings: Settings) -> list[Duty]:
    return [
        Duty("expansion", settings.tick_s, Turns(resources).perform),
        Duty("coalescing", settings.tick_s, Coalescing(resources).perform),
        Duty("recount", settings.sweep_s, partial(recount, resources)),
    ]


def _retention(keeper: retention.Retention) -> list[Duty]:
    return [
        Duty("retention", retention.EVERY_S, keeper.prune),
        Duty("orphans", retention.EVERY_S, keeper.collect_orphans),
    ]
