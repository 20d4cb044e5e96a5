"""How fast the queue drains: measured, remembered for a second, and turned into a job's place in it."""

import asyncio

from shared.database import Database, Row
from shared.jobs import store
from shared.jobs.view import Place

WINDOW_MS = 60_000
FRESH_S = 1.0


class Pace:
    """One per API process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._per_s = 0.0
        self._fresh_until = 0.0

    async def place(self, job: Row) -> Place:
        """Return where a queued job stands; no ETA while nothing has ended in the last minute."""
        per_s = await self.jobs_per_s()
        async with self._database.reading() as db:
            ahead = await store.position(db, job)
        position = ahead + 1
        return Place(position, round(position / per_s, 1) if per_s else None)

    async def jobs_per_s(self) -> float:
        """Return how many jobs a second ended lately, of all tenants."""
        now = asyncio.get_running_loop().time()
        if now >= self._fresh_until:
            self._fresh_until = now + FRESH_S
            async with self._database.reading() as db:
                ended = await store.finished_within(db, window_ms=WINDOW_MS)
            self._per_s = ended * 1000 / WINDOW_MS
        return self._per_s
