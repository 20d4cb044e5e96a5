"""The end of things' time: jobs and batches that are past it, and blobs that nothing names.

All of it in small steps with pauses between: others write too, and SQLite lets in one at a time.
Each is safe to run twice, or beside another leader.
"""

import asyncio
from time import monotonic

import structlog

from shared.auth import store as auth_store
from shared.batches import purge, purge_store
from shared.failpoints import failpoint
from shared.files import removal
from shared.files.orphans import OrphanSearch
from shared.jobs import retention_store
from shared.resources import Resources

log = structlog.get_logger()

EVERY_S = 10.0
TURN_S = 5.0
"""A leader that is asked to stop does not wait for more than that."""
SEARCH_EVERY_S = 6 * 3600.0
JOBS_AT_ONCE = 100
BATCHES_AT_ONCE = 100
PAUSE_S = 0.02


class Retention:
    """Two duties of the leader: `prune` and `collect_orphans`."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._keeps_ms = round(resources.settings.result_retention_s * 1000)
        self._search: OrphanSearch | None = None
        self._search_at = monotonic()

    async def prune(self) -> None:
        """Remove what is past its time, and finish what was begun; go on at the next turn."""
        until = monotonic() + TURN_S
        await self._prune_batches(until)
        async with self._resources.database.reading() as db:
            tenants = await auth_store.retentions(db)
        # Round by round, so that nobody's millions keep another's from going in time.
        while tenants and monotonic() < until:
            tenants = {
                tenant_id: own_s
                for tenant_id, own_s in tenants.items()
                if await self._prune_some(tenant_id, own_s) == JOBS_AT_ONCE
            }

    async def collect_orphans(self) -> None:
        """Walk on over the blobs, and remove the old ones that no row names."""
        if self._search is None:
            if monotonic() < self._search_at:
                return
            resources = self._resources
            age_s = resources.settings.orphan_age_s
            self._search = OrphanSearch(resources.database, resources.blobs, age_s=age_s)
        search, self._search = self._search, None
        self._search_at = monotonic() + SEARCH_EVERY_S
        if not await search.go_on(within_s=TURN_S):
            self._search = search

    async def _prune_batches(self, until: float) -> None:
        database, blobs = self._resources.database, self._resources.blobs
        async with database.reading() as db:
            past = await purge_store.past(db, retention_ms=self._keeps_ms, limit=BATCHES_AT_ONCE)
        for batch in past:
            async with database.transaction() as db:
                await purge_store.mark(db, batch["id"], with_files=False)
        async with database.reading() as db:
            marked = await purge_store.purging(db, limit=BATCHES_AT_ONCE)
        for batch in marked:
            if monotonic() < until:
                await purge.clear(database, blobs, batch["id"], within_s=until - monotonic())

    async def _prune_some(self, tenant_id: str, own_s: int | None) -> int:
        keeps_ms = self._keeps_ms if own_s is None else own_s * 1000
        database = self._resources.database
        async with database.reading() as db:
            ids = await retention_store.past(
                db, tenant_id, older_than_ms=keeps_ms, limit=JOBS_AT_ONCE
            )
        if not ids:
            return 0
        async with database.transaction() as db:
            removed = await retention_store.remove_single(db, ids)
        failpoint("after_pruning")
        await removal.remove_blobs(self._resources.blobs, removed.blobs)
        log.info("jobs.pruned", tenant_id=tenant_id, jobs=removed.jobs)
        await asyncio.sleep(PAUSE_S)
        return removed.jobs
