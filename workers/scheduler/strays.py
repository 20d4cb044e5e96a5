"""Jobs in a lane that does not lead where their model is served: they move to one that does."""

from collections.abc import Sequence
from time import monotonic

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database import Database
from shared.jobs import dispatch_store
from shared.jobs.dispatch_store import Candidate
from workers.scheduler.ways import Ways

NOWHERE = "none"
"""The lane of jobs that nothing here serves: the worker tells them so."""
AT_ONCE = 500
SIFT_S = 5.0
"""So often a lane without room is looked through for jobs that do not depend on it any more."""


class Strays:
    """Found in one pass of the dispatcher, moved at its end."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._models: dict[str, str] = {}
        self._sift_at: dict[str, float] = {}

    async def begin(self, db: AsyncConnection) -> None:
        """Begin a pass with those that have no lane."""
        self._models = dict(await dispatch_store.without_lane(db, limit=AT_ONCE))
        now = monotonic()
        self._sift_at = {lane: at for lane, at in self._sift_at.items() if at > now}

    def without(self, lane: str, jobs: Sequence[Candidate]) -> list[Candidate]:
        """Leave out jobs whose model is served elsewhere by now."""
        found = {job.id: job.model for job in jobs if self._ways.lead_elsewhere(job.model, lane)}
        self._models |= found
        return [job for job in jobs if job.id not in found]

    async def sift(self, db: AsyncConnection, lane: str) -> None:
        """Look for them in a lane that has no room: who does not go there need not wait for it."""
        if lane in self._sift_at:
            return
        models = self._ways.models_of(lane)
        found = await dispatch_store.of_other_models(db, lane, models, limit=AT_ONCE)
        self._models |= found
        if len(found) < AT_ONCE:
            self._sift_at[lane] = monotonic() + SIFT_S

    async def adopt(self, database: Database) -> bool:
        """Give each the lane by which its model is served; tell whether there were any."""
        by_lane: dict[str, list[str]] = {}
        for job_id, model in self._models.items():
            keys = self._ways.of_model(model)
            by_lane.setdefault(keys[0] if keys else NOWHERE, []).append(job_id)
        if not by_lane:
            return False
        async with database.transaction() as db:
            for lane, ids in by_lane.items():
                await dispatch_store.set_lane(db, sorted(ids), lane)
        return True
