"""The pulse of the service, of all tenants together: what waits, what runs, who is at work."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database import Database
from shared.jobs import pulse_store
from shared.jobs.pulse_store import Depth, Outbox, Running
from shared.processes import store as process_store

OFFICE = "scheduler"
SEEN_MS = 15_000
"""A worker writes a sign of life every 5 s and reaches the broker every second or so."""
FRESH_S = 2.0
COST_SHARE = 20
"""A reading that took t seconds is repeated after 20 t at the earliest: at most 5 % of a reader."""


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers seen lately: `consuming` take work, `silent` do not reach the broker."""

    consuming: int
    silent: int
    draining: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of the pulse."""

    depths: Sequence[Depth]
    scheduled: int
    running: Running
    outbox: Outbox
    leader: bool
    crew: Crew


class Pulse:
    """One per API process; reads at most every few seconds, however often it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: Reading | None = None
        self._fresh_until = 0.0
        self._lock = asyncio.Lock()

    async def read(self) -> Reading:
        """Return a reading that is a few seconds old at most, older only while counting is slow.

        Raises:
            Exception: what the database raised.
        """
        loop = asyncio.get_running_loop()
        async with self._lock:
            began = loop.time()
            if self._last is None or began >= self._fresh_until:
                self._last = await self._take()
                now = loop.time()
                self._fresh_until = now + max(FRESH_S, (now - began) * COST_SHARE)
            return self._last

    async def _take(self) -> Reading:
        async with self._database.reading() as db:
            return Reading(
                depths=await pulse_store.depths(db),
                scheduled=await pulse_store.scheduled(db),
                running=await pulse_store.running(db),
                outbox=await pulse_store.outbox(db),
                leader=await has_leader(db),
                crew=await crew(db),
            )


async def crew(db: AsyncConnection) -> Crew:
    """Return who is at work now."""
    lives = await process_store.lives(db, within_ms=SEEN_MS)
    draining = [life for life in lives if life["draining"]]
    silent = [life for life in lives if not life["draining"] and life["silent_ms"] > SEEN_MS]
    return Crew(
        consuming=len(lives) - len(draining) - len(silent),
        silent=len(silent),
        draining=len(draining),
        in_flight=sum(life["in_flight"] for life in lives),
    )


async def has_leader(db: AsyncConnection) -> bool:
    """Tell whether a scheduler leads now: without one nothing that waits is ever woken."""
    remains_ms = await process_store.leader_remains_ms(db, OFFICE)
    return remains_ms is not None and remains_ms > 0
