"""Everybody who follows a job at this process: how many there may be, and what they have in common."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

from api.events.reader import EventReader
from api.events.response import EventResponse, Followed
from api.events.story import Sources
from api.waiting import RECHECK_S, Waiting, pause
from shared.batches import event_store
from shared.database import Database, is_unavailable
from shared.endings import end
from shared.errors import LimitExceeded, NotFound, Unavailable
from shared.events.deltas import DeltaLog
from shared.events.store import newest_of
from shared.jobs.pace import Pace
from shared.jobs.reader import FullJob, JobReader
from shared.jobs.transitions import JobState
from shared.jobs.view import public_job
from shared.telemetry.stream_metrics import StreamMetrics

COME_AGAIN_S = 5
ASKED_AT_ONCE = 500
NOBODY = "job_"
BATCHES = "batch_"


class Followers:
    """One per API process."""

    def __init__(
        self,
        database: Database,
        waiting: Waiting,
        deltas: DeltaLog,
        jobs: JobReader,
        pace: Pace,
        *,
        most: int,
        most_per_key: int,
    ) -> None:
        self.metrics = StreamMetrics()
        self.sources = Sources(deltas, EventReader(database), _Jobs(jobs, pace), self.metrics)
        self._database = database
        self._waiting = waiting
        self._most = most
        self._most_per_key = most_per_key
        self._served: set[EventResponse] = set()
        self._by_key: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look after them."""
        self._task = asyncio.create_task(self._look_after(), name="followers")

    async def close(self) -> None:
        """Stop looking after them."""
        await end(self._task)

    def admit(self, response: EventResponse, key_id: str) -> None:
        """Count one more until its response has ended, if there is room.

        Raises:
            LimitExceeded: the key has as many as a key may have.
            Unavailable: this process has as many as it can have.
        """
        if self._by_key[key_id] >= self._most_per_key:
            raise LimitExceeded(
                f"The key has {self._most_per_key} open event streams here: close some.",
                code="too_many_event_streams",
                retry_after_s=COME_AGAIN_S,
                extra={"limit": self._most_per_key, "current": self._by_key[key_id]},
            )
        if len(self._served) >= self._most:
            raise Unavailable(
                f"There are {self._most} open event streams, as many as there may be. Try again.",
                code="too_many_event_streams",
                retry_after_s=COME_AGAIN_S,
            )
        self._served.add(response)
        self._by_key[key_id] += 1
        self.metrics.came()
        response.on_end = partial(self._went, response, key_id)

    def _went(self, response: EventResponse, key_id: str) -> None:
        self._served.discard(response)
        self._by_key[key_id] -= 1
        if not self._by_key[key_id]:
            del self._by_key[key_id]
        self.metrics.went(slow=response.slow)

    async def _look_after(self) -> None:
        # Nobody's job: what is heard here is only that everybody is sent home.
        with self._waiting.watch(NOBODY) as watch:
            while not watch.leaving:
                await pause(watch.changed, RECHECK_S)
                await self._recheck()
        for response in self._served:
            response.hurry()

    async def _recheck(self) -> None:
        # Notices may be lost: one question for many tells who has missed one.
        by_job: dict[str, list[Followed]] = defaultdict(list)
        for response in self._served:
            by_job[response.follower.job_id].append(response.follower)
        ids = list(by_job)
        for first in range(0, len(ids), ASKED_AT_ONCE):
            asked = ids[first : first + ASKED_AT_ONCE]
            try:
                newest = await self._newest(asked)
            except Exception as error:
                if not is_unavailable(error):
                    raise
                return
            for job_id, number in newest.items():
                for follower in by_job[job_id]:
                    follower.hear(number)

    async def _newest(self, ids: Sequence[str]) -> dict[str, int]:
        batches = [each for each in ids if each.startswith(BATCHES)]
        async with self._database.looking() as db:
            newest = await newest_of(db, ids)
            return newest | await event_store.newest_of(db, batches) if batches else newest


class _Jobs:
    """Whole jobs, as GET shows them."""

    def __init__(self, reader: JobReader, pace: Pace) -> None:
        self._reader = reader
        self._pace = pace

    async def load(self, tenant_id: str, job_id: str) -> FullJob:
        full = await self._reader.get(tenant_id, job_id)
        if full is None or full.job["deleted_at"] is not None:
            raise NotFound(f"There is no job `{job_id}`.")
        return full

    async def show(self, full: FullJob) -> dict[str, Any]:
        waits = full.job["state"] == JobState.QUEUED
        place = await self._pace.place(full.job) if waits else None
        return public_job(full.job, attempts=full.attempts, place=place)
