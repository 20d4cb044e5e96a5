"""Admission control: how much may wait, for one tenant and in all."""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database import Database
from shared.errors import LimitExceeded, Unavailable
from shared.jobs import store
from shared.jobs.draft import JobDraft
from shared.settings import Settings

REFRESH_S = 1.0
COST_SHARE = 20
"""A count that took t seconds is repeated after 20 t at the earliest: at most 5 % of a reader."""


Counts = Mapping[str, tuple[int, int, int]]
"""(jobs, bytes, tokens) by tenant."""
Unread = Callable[[AsyncConnection], Awaitable[Counts]]
"""Returns what was accepted in bulk and is no job yet."""


@dataclass(slots=True)
class Load:
    """What waits, or is to wait: jobs, the bytes of their requests, the tokens they may need."""

    jobs: int = 0
    bytes: int = 0
    tokens: int = 0

    def add(self, other: "Load") -> None:
        """Let more wait."""
        self.jobs += other.jobs
        self.bytes += other.bytes
        self.tokens += other.tokens


class Admission:
    """Counts what waits, at most once a second, and adds what this process admitted since.

    So one process is exact to the job; several may together overshoot by what they admit
    within the same second.
    """

    def __init__(
        self, database: Database, settings: Settings, *, unread: Unread | None = None
    ) -> None:
        self._database = database
        self._settings = settings
        self._unread = unread
        self._loads: dict[str, Load] = {}
        self._total = Load()
        self._free_disk = 0
        self._fresh_until = 0.0
        self._lock = asyncio.Lock()

    async def admit(self, draft: JobDraft) -> None:
        """Reserve room for a job.

        Raises:
            LimitExceeded: the tenant's own limit; `extra` has `limit` and `current`.
            Unavailable: a limit of the whole service, or too little free disk.
        """
        await self.admit_load(draft.tenant_id, Load(1, draft.request_bytes, draft.tokens))

    def waiting(self, tenant_id: str) -> int:
        """Count the jobs of a tenant that wait, as far as this process knows."""
        load = self._loads.get(tenant_id)
        return load.jobs if load else 0

    async def admit_load(self, tenant_id: str, more: Load) -> None:
        """Reserve room for many jobs at once, all or none.

        Raises:
            LimitExceeded, Unavailable: as for a single job.
        """
        await self.check_load(tenant_id, more)
        for load in (self._loads.setdefault(tenant_id, Load()), self._total):
            load.add(more)

    async def check_load(self, tenant_id: str, more: Load) -> None:
        """Do the same without reserving anything.

        Raises:
            LimitExceeded, Unavailable: as for a single job.
        """
        await self._refresh()
        most, mine, total = self._settings, self._loads.get(tenant_id, Load()), self._total
        own, all_of = LimitExceeded, Unavailable
        _check(own, "jobs you have queued", mine.jobs, more.jobs, most.max_queued_jobs_per_tenant)
        _check(
            own, "bytes you have queued", mine.bytes, more.bytes, most.max_queued_bytes_per_tenant
        )
        _check(
            own,
            "tokens you have queued",
            mine.tokens,
            more.tokens,
            most.max_queued_tokens_per_tenant,
        )
        _check(all_of, "jobs queued by all", total.jobs, more.jobs, most.max_queued_jobs)
        _check(all_of, "bytes queued by all", total.bytes, more.bytes, most.max_queued_bytes)
        if self._free_disk - more.bytes < most.min_free_disk_bytes:
            detail = "The disk of the service is nearly full: nothing was stored. Try again later."
            raise Unavailable(detail, code="disk_full", retry_after_s=60)

    async def _refresh(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._fresh_until:
            return
        async with self._lock:
            if (began := loop.time()) < self._fresh_until:
                return
            async with self._database.reading() as db:
                counts: list[Counts] = [await store.backlog(db)]
                if self._unread is not None:
                    counts.append(await self._unread(db))
            self._free_disk = await asyncio.to_thread(_free_disk, self._settings.data_dir)
            self._loads, self._total = _sums(counts)
            now = loop.time()
            self._fresh_until = now + max(REFRESH_S, (now - began) * COST_SHARE)


def _sums(
    counts: Sequence[Counts],
) -> tuple[dict[str, Load], Load]:
    loads: dict[str, Load] = defaultdict(Load)
    total = Load()
    for by_tenant in counts:
        for tenant_id, count in by_tenant.items():
            loads[tenant_id].add(Load(*count))
            total.add(Load(*count))
    return dict(loads), total


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
