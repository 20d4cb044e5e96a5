"""Reading jobs with all that belongs to them: what is asked for at the same time is read together."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from shared.database import Database, Row
from shared.jobs import store

MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class FullJob:
    """A job's hot row, its attempts of every generation, and the result of the current one."""

    job: Row
    attempts: Sequence[Row]
    result: Row | None


class JobReader:
    """One per API process: many clients that wait cost few queries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: dict[tuple[str, str], asyncio.Future[FullJob | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, tenant_id: str, job_id: str) -> FullJob | None:
        """Return a job of the tenant, also a deleted one; None when there is none.

        Raises:
            Exception: what the database raised.
        """
        key = (tenant_id, job_id)
        future = self._asked.get(key)
        if future is None:
            future = self._asked[key] = asyncio.get_running_loop().create_future()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._read(), name="job-reader")
        # One who stops waiting must not take the answer from the others.
        return await asyncio.shield(future)

    async def many(self, tenant_id: str, ids: Sequence[str]) -> list[FullJob]:
        """Return those of the jobs that the tenant has, in the order asked for."""
        found = await asyncio.gather(*(self.get(tenant_id, each) for each in dict.fromkeys(ids)))
        return [each for each in found if each is not None]

    async def _read(self) -> None:
        # What arrives in the same turn of the loop joins.
        await asyncio.sleep(0)
        while self._asked:
            keys = list(self._asked)[:MOST_AT_ONCE]
            futures = {key: self._asked.pop(key) for key in keys}
            try:
                found = await self._load(keys)
            except Exception as error:  # noqa: BLE001  it becomes the answer of each who asked
                for future in futures.values():
                    future.set_exception(error)
                continue
            for key, future in futures.items():
                if not future.done():
                    future.set_result(found.get(key))

    async def _load(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], FullJob]:
        by_tenant: dict[str, list[str]] = defaultdict(list)
        for tenant_id, job_id in keys:
            by_tenant[tenant_id].append(job_id)
        async with self._database.looking() as db:
            jobs = [
                row
                for tenant_id, ids in by_tenant.items()
                for row in await store.lookup(db, tenant_id, ids)
            ]
            ids = [row["id"] for row in jobs]
            attempts: dict[str, list[Row]] = defaultdict(list)
            for row in await store.attempts_of(db, ids) if ids else ():
                attempts[row["job_id"]].append(row)
            results = await store.results_of(db, ids) if ids else {}
        return {
            (row["tenant_id"], row["id"]): FullJob(row, attempts[row["id"]], results.get(row["id"]))
            for row in jobs
        }
