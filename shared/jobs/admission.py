"""Admission control: how much may wait, for one tenant and in all."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from shared.database import Database
from shared.errors import LimitExceeded, Unavailable
from shared.jobs import store
from shared.jobs.draft import JobDraft
from shared.settings import Settings

REFRESH_S = 1.0
COST_SHARE = 20
"""A count that took t seconds is repeated after 20 t at the earliest: at most 5 % of a reader."""


@dataclass(slots=True)
class _Load:
    jobs: int = 0
    bytes: int = 0


class Admission:
    """Counts what waits, at most once a second, and adds what this process admitted since.

    So one process is exact to the job; several may together overshoot by what they admit
    within the same second.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._loads: dict[str, _Load] = {}
        self._total = _Load()
        self._free_disk = 0
        self._fresh_until = 0.0
        self._lock = asyncio.Lock()

    async def admit(self, draft: JobDraft) -> None:
        """Reserve room for a job.

        Raises:
            LimitExceeded: the tenant's own limit; `extra` has `limit` and `current`.
            Unavailable: a limit of the whole service, or too little free disk.
        """
        await self._refresh()
        settings, size = self._settings, draft.request_bytes
        mine = self._loads.setdefault(draft.tenant_id, _Load())
        _check(
            LimitExceeded, "jobs you have queued", mine.jobs, 1, settings.max_queued_jobs_per_tenant
        )
        _check(
            LimitExceeded,
            "bytes you have queued",
            mine.bytes,
            size,
            settings.max_queued_bytes_per_tenant,
        )
        _check(Unavailable, "jobs queued by all", self._total.jobs, 1, settings.max_queued_jobs)
        _check(
            Unavailable, "bytes queued by all", self._total.bytes, size, settings.max_queued_bytes
        )
        if self._free_disk - size < settings.min_free_disk_bytes:
            detail = "The disk of the service is nearly full: nothing was stored. Try again later."
            raise Unavailable(detail, code="disk_full", retry_after_s=60)
        for load in (mine, self._total):
            load.jobs += 1
            load.bytes += size

    async def _refresh(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._fresh_until:
            return
        async with self._lock:
            if (began := loop.time()) < self._fresh_until:
                return
            async with self._database.reading() as db:
                counts = await store.backlog(db)
            self._free_disk = await asyncio.to_thread(_free_disk, self._settings.data_dir)
            self._loads = {tenant: _Load(*count) for tenant, count in counts.items()}
            self._total = _Load(
                sum(load.jobs for load in self._loads.values()),
                sum(load.bytes for load in self._loads.values()),
            )
            now = loop.time()
            self._fresh_until = now + max(REFRESH_S, (now - began) * COST_SHARE)


def _check(
    error: type[LimitExceeded | Unavailable], what: str, current: int, more: int, limit: int
) -> None:
    if current + more <= limit:
        return
    detail = (
        f"Too much is waiting: {current} {what}, this request adds {more}, the limit is {limit}."
        " Nothing was stored. Submit again when earlier jobs have finished."
    )
    raise error(
        detail, code="queue_full", retry_after_s=5, extra={"limit": limit, "current": current}
    )


def _free_disk(folder: Path) -> int:
    return shutil.disk_usage(folder).free
