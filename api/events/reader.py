"""Reading a job with its events: the many clients of one job ask the database once."""

import asyncio
from collections.abc import Sequence

from shared.database import Database, Row
from shared.errors import Gone, NotFound
from shared.events.store import events_of
from shared.jobs import store

Found = tuple[Row, Sequence[Row]]


class EventReader:
    """One per API process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading: dict[tuple[str, str, int], asyncio.Task[Found]] = {}

    async def after(self, tenant_id: str, job_id: str, number: int) -> Found:
        """Return the job and its events behind a number, up to what the job is.

        Raises:
            NotFound, Gone: the tenant does not have the job, or not any more.
            Exception: what the database raised.
        """
        key = tenant_id, job_id, number
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._read(*key), name="event-reader")
        # One who stops waiting must not take the answer from the others.
        return await asyncio.shield(task)

    async def _read(self, tenant_id: str, job_id: str, number: int) -> Found:
        try:
            async with self._database.looking() as db:
                self._forget(tenant_id, job_id, number)
                job = await store.get(db, tenant_id, job_id)
                if job is None:
                    raise NotFound(f"There is no job `{job_id}`.")
                if job["deleted_at"] is not None:
                    raise Gone(f"The job `{job_id}` was deleted.")
                events = await events_of(db, job_id, after=number)
        finally:
            self._forget(tenant_id, job_id, number)
        return job, [each for each in events if each["number"] <= job["version"]]

    def _forget(self, *key: *tuple[str, str, int]) -> None:
        # Who comes once it is being read may know of something that is committed later.
        if self._reading.get(key) is asyncio.current_task():
            del self._reading[key]
