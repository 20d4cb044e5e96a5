"""Whether this service does its work: can it store what is sent, and does anyone perform it?"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import redis
import structlog

from shared import migrate
from shared.database import is_unavailable
from shared.jobs import pulse
from shared.resources import Resources

FRESH_S = 1.0
PATIENCE_S = 3.0
SIGN, SIGN_S = "penstock:ready", 60.0
"""What is written to see that Redis can be written."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Problem:
    """A part that is not as it should be, and what to do about it."""

    part: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """`accepting`: a submit is stored. `consuming`: what is stored is performed."""

    accepting: bool
    consuming: bool
    problems: tuple[Problem, ...]


class Readiness:
    """One per API process; asks at most once a second, however often it is asked."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._migrated = False
        self._last: Report | None = None
        self._fresh_until = 0.0
        self._lock = asyncio.Lock()

    async def report(self) -> Report:
        """Return what was found within the last second; never raises, never hangs."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            if self._last is None or loop.time() >= self._fresh_until:
                self._last = await self._look()
                self._fresh_until = loop.time() + FRESH_S
            return self._last

    async def _look(self) -> Report:
        stores, redis_found = await asyncio.gather(
            _ask("database", self._database), _ask("redis", self._redis)
        )
        accepting = not stores
        crew = await _ask("workers", self._crew) if accepting else ()
        problems = (*stores, *redis_found, *crew)
        return Report(accepting, not problems, problems)

    async def _database(self) -> tuple[Problem, ...]:
        database = self._resources.database
        # Migrations are never undone under a running process: once is enough.
        if not self._migrated:
            self._migrated = await migrate.is_current(database)
        if not self._migrated:
            detail = "The tables are not those of this version: run `penstock migrate`."
            return (Problem("database", detail),)
        async with database.reading() as db:
            await pulse.has_leader(db)
        return ()

    async def _redis(self) -> tuple[Problem, ...]:
        # A write: one that is full, or a replica that was taken for the master, still answers pings.
        await self._resources.redis.set(SIGN, 1, px=round(SIGN_S * 1000))
        return ()

    async def _crew(self) -> tuple[Problem, ...]:
        async with self._resources.database.reading() as db:
            led, crew = await pulse.has_leader(db), await pulse.crew(db)
        problems = []
        if not led:
            detail = "No scheduler leads: start `python -m workers.scheduler`."
            problems.append(Problem("scheduler", detail))
        if not crew.consuming:
            problems.append(Problem("workers", _idle(crew)))
        return tuple(problems)


def _idle(crew: pulse.Crew) -> str:
    if crew.silent:
        return f"{crew.silent} workers live and none of them reaches the broker: see their logs."
    if crew.draining:
        return "Every worker is draining: start another one."
    return "No worker was seen lately: start `dramatiq workers.main`."


async def _ask(
    part: str, question: Callable[[], Awaitable[tuple[Problem, ...]]]
) -> tuple[Problem, ...]:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await question()
    except TimeoutError:
        return (Problem(part, f"It did not answer within {PATIENCE_S:g} seconds."),)
    except Exception as error:
        # Its words may hold addresses: they are for the log alone.
        if isinstance(error, redis.RedisError) or is_unavailable(error):
            log.warning("readiness.unreachable", part=part, error=str(error)[:500])
        else:
            log.exception("readiness.unexpected", part=part)
        return (Problem(part, "It is out of reach; the log says why."),)
