"""What a tenant's work may use, known in every process for the price of one question in some seconds."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from shared.auth import store
from shared.database import Database, is_unavailable

FRESH_S = 5.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Standing:
    """A tenant's tier, and the regions that its work never leaves; None: it has none."""

    tier: str | None = None
    regions: frozenset[str] | None = None


COMMON = Standing()


class Standings:
    """One per process. A change made elsewhere counts here after `fresh_s` seconds at most."""

    def __init__(
        self,
        database: Database,
        *,
        fresh_s: float = FRESH_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._fresh_s = fresh_s
        self._monotonic = monotonic
        self._known: Mapping[str, Standing] | None = None
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def of(self, tenant_id: str) -> Standing:
        """Return a tenant's standing.

        Raises:
            OperationalError and its like: the database is out of reach, and was from the beginning:
                without it nobody knows where the work may go.
        """
        return (await self.uncommon()).get(tenant_id, COMMON)

    async def uncommon(self) -> Mapping[str, Standing]:
        """Return the standings of all tenants that have one; not from within a transaction.

        Raises:
            OperationalError and its like: as `of`.
        """
        known = self._known
        if known is None or self._monotonic() >= self._until:
            known = await self._learn()
        return known

    def forget(self) -> None:
        """Ask the database again, because something was just changed."""
        self._until = 0.0

    async def _learn(self) -> Mapping[str, Standing]:
        async with self._lock:
            if self._known is not None and self._monotonic() < self._until:
                return self._known
            try:
                async with self._database.looking() as db:
                    rows = await store.uncommon_standings(db)
            except Exception as error:
                if self._known is None or not is_unavailable(error):
                    raise
                log.warning("tenants.standings_not_read", error=type(error).__name__)
                found = self._known
            else:
                found = {row["id"]: _standing(row["tier"], row["regions"]) for row in rows}
            self._known, self._until = found, self._monotonic() + self._fresh_s
            return found


def _standing(tier: str | None, regions: list[str] | None) -> Standing:
    return Standing(tier, None if regions is None else frozenset(regions))
