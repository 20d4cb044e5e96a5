"""Where a job stands, and when its turn comes: by fair shares, and by how fast its lane goes."""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.auth import store as tenant_store
from shared.clock import now_ms
from shared.database import Database, Row
from shared.errors import NotFound
from shared.jobs import lane_paces, place_store
from shared.jobs.place_store import Key, Marks, Queue
from shared.jobs.transitions import Priority
from shared.jobs.view import Place
from shared.routing.catalog import Catalog
from shared.routing.model import Target, targets

FRESH_S = 1.0
COST_SHARE = 20
"""A survey that took t seconds is repeated after 20 t at the earliest: at most 5 % of a reader."""
PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Need:
    """What some jobs of a model come to."""

    jobs: int
    tokens: int


@dataclass(slots=True)
class _Survey:
    """Who waits where, as it was a moment ago."""

    queues: Mapping[Queue, Marks] = field(default_factory=dict)
    lanes: Mapping[str, Mapping[str, Marks]] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)

    def is_idle(self, lane: str) -> bool:
        """Tell whether nobody waits in a lane."""
        return not any(marks.waiting for marks in self.lanes.get(lane, {}).values())

    def others(self, lane: str, tenant_id: str, before: int, *, urgent: bool) -> int:
        """Count whom the other tenants of a lane send while `before` of this one's jobs go."""
        mine = self.weights.get(tenant_id, 1)
        return sum(
            min(
                marks.interactive if urgent else marks.waiting,
                before * self.weights.get(tenant, 1) // mine,
            )
            for tenant, marks in self.lanes.get(lane, {}).items()
            if tenant != tenant_id
        )


class Pace:
    """One per API process."""

    def __init__(
        self, database: Database, redis: Redis | None = None, catalog: Catalog | None = None
    ) -> None:
        self._database = database
        self._redis = redis
        self._catalog = catalog
        self._survey = _Survey()
        self._surveyed_until = 0.0
        self._paces: Mapping[str, float] = {}
        self._paces_until = 0.0
        self._lock = asyncio.Lock()

    async def place(self, job: Row) -> Place | None:
        """Return where a queued job stands; None while it is held back.

        The ETA is None while nothing says how fast its lane goes.
        """
        if job["held"] is not None:
            return None
        survey = await self._look_around()
        queue = (self._lane(job), job["tenant_id"])
        key = (job["priority"], job["created_at"], job["id"])
        async with self._database.looking() as db:
            own = await _ahead(db, queue, key, survey.queues.get(queue, Marks()))
        urgent = job["priority"] == Priority.INTERACTIVE.rank
        position = own + 1 + survey.others(*queue, own + 1, urgent=urgent)
        eta_s = await self._lasts_s(job["model"], Need(position, position * job["tokens"]))
        if eta_s is None:
            return Place(position, None)
        rests_s = ((job["not_before"] or 0) - now_ms()) / 1000
        return Place(position, round(max(eta_s, rests_s), 1))

    async def eta_of(self, tenant_id: str, needs: Mapping[str, Need]) -> float | None:
        """Return in how many seconds new jobs of a tenant, by model, would have ended, about.

        None while nothing says how fast one of their lanes goes: so also while nobody waits in
        it and it has no limits, for then its pace is that of what came, not of what it can do.
        """
        survey = await self._look_around()
        longest = 0.0
        for model, need in needs.items():
            lane = self._lane({"lane": None, "model": model})
            mine = survey.queues.get((lane, tenant_id), Marks()).waiting
            jobs = mine + need.jobs
            jobs += survey.others(lane, tenant_id, jobs, urgent=False)
            each = need.tokens / max(1, need.jobs)
            all_of_them = Need(jobs, round(jobs * each))
            if survey.is_idle(lane):
                lasts_s = self._allowed_s(model, all_of_them)
            else:
                lasts_s = await self._lasts_s(model, all_of_them)
            if lasts_s is None:
                return None
            longest = max(longest, lasts_s)
        return round(longest, 1)

    async def jobs_per_s(self) -> float:
        """Return how many jobs a second ended lately, in all lanes."""
        return sum((await self._lane_paces()).values())

    async def _lasts_s(self, model: str, need: Need) -> float | None:
        paces = await self._lane_paces()
        if per_s := sum(paces.get(each.lane_key, 0.0) for each in self._ways(model)):
            return need.jobs / per_s
        # Where nothing has ended lately, the limits alone tell, if there are any.
        return self._allowed_s(model, need)

    def _allowed_s(self, model: str, need: Need) -> float | None:
        allowed = [_allowed_s(each, need) for each in self._ways(model)]
        known = [seconds for seconds in allowed if seconds is not None]
        return min(known) if known and len(known) == len(allowed) else None

    def _ways(self, model: str) -> tuple[Target, ...]:
        try:
            return targets(self._catalog.resolve(model)) if self._catalog else ()
        except NotFound:
            return ()

    def _lane(self, job: Row) -> str:
        if job["lane"] is not None:
            return str(job["lane"])
        return next((each.lane_key for each in self._ways(job["model"])), "")

    async def _lane_paces(self) -> Mapping[str, float]:
        now = asyncio.get_running_loop().time()
        if now >= self._paces_until and self._redis is not None:
            self._paces_until = now + FRESH_S
            self._paces = await lane_paces.read(self._redis)
        return self._paces

    async def _look_around(self) -> _Survey:
        loop = asyncio.get_running_loop()
        if loop.time() < self._surveyed_until:
            return self._survey
        async with self._lock:
            if (began := loop.time()) < self._surveyed_until:
                return self._survey
            async with self._database.reading() as db:
                queues = await place_store.marks(db)
                weights = await tenant_store.uncommon_weights(db)
            lanes: dict[str, dict[str, Marks]] = defaultdict(dict)
            for (lane, tenant), marks in queues.items():
                lanes[lane][tenant] = marks
            self._survey = _Survey(queues, lanes, weights)
            now = loop.time()
            self._surveyed_until = now + max(FRESH_S, (now - began) * COST_SHARE)
            return self._survey


async def _ahead(db: AsyncConnection, queue: Queue, key: Key, marks: Marks) -> int:
    """Count a tenant's own jobs before one, exactly: between marks by the marks, else by the index."""
    ahead = await place_store.woken_before(db, queue, key)
    nearest = bisect_left(marks.keys, key) - 1
    head = await place_store.head(db, queue) if nearest >= 0 else None
    # Marks that stand before the head are of jobs that have gone since.
    first = bisect_left(marks.keys, head) if head is not None else nearest + 1
    if first > nearest:
        return ahead + await place_store.due_before(db, queue, key, behind=None)
    begun = await place_store.due_before(db, queue, marks.keys[first], behind=None)
    rest = await place_store.due_before(db, queue, key, behind=marks.keys[nearest])
    between = marks.counts[nearest] - marks.counts[first]
    return ahead + begun + 1 + between + rest


def _allowed_s(target: Target, need: Need) -> float | None:
    its = target.deployment
    times = []
    if its.rpm is not None:
        times.append(need.jobs * PER_MINUTE / its.rpm)
    if its.tpm is not None:
        times.append(need.tokens * PER_MINUTE / its.tpm)
    return max(times) if times else None
