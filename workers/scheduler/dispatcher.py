"""The fair dispatcher: gives the workers just what the lanes will admit, each tenant its share.

It writes nothing: a message is only a wake-up, what was given is remembered here, and what nobody
claims is given again. The database knows all along that the job is due.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import ceil
from time import monotonic

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.auth import store as tenant_store
from shared.auth.standings import COMMON, Standing
from shared.clock import now_ms
from shared.enqueue import QueueName, Wakeup
from shared.events.notices import Listener
from shared.failpoints import failpoint
from shared.jobs import dispatch_store, lane_paces
from shared.jobs.bell import BELL, heard
from shared.jobs.dispatch_store import Candidate
from shared.jobs.transitions import Priority
from shared.jobs.wakeups import lone_wakeups, wakeups
from shared.limiter.rooms import Room, Rooms
from shared.processes import store as process_store
from shared.processes.store import Crew
from shared.resources import Resources
from shared.routing.breaker import Breakers
from shared.telemetry.metrics import SchedulerMetrics
from workers.scheduler.given import Given
from workers.scheduler.lane_turns import lane_turns, room_for
from workers.scheduler.paces import Paces
from workers.scheduler.pools import NOTHING, Coming, Pool, Pools, round_breakers, spread
from workers.scheduler.shares import INTERACTIVE, Shares, in_order, some_of
from workers.scheduler.strays import Strays
from workers.scheduler.ways import Ways

log = structlog.get_logger()

GAP_S = 0.05
"""Between two passes at least; and a pass takes at most a third of the time."""
AHEAD_S = 0.1
"""What ends within this time is replaced beforehand: it waits for its place in a worker."""
SHORT_S, LONG_S = 1.0, 10.0
TELL_S = 1.0
ALIVE_MS = 15_000
CREW_S, WEIGHTS_S = 0.5, 5.0
MOST_TENANTS = 64
"""So many tenants of a lane have their turn in one pass; the others are next."""
MOST_LOOKS = 256
"""And so many are asked for jobs that are due, to find those: what some have waits for its time."""
LEAST_LOOK = 16
MOST_LOOK = 2048
DRY_MESSAGES = 4
SURELY_MS = 5000
"""Who came back from a worker is sent again where it may not fit only after so long."""


class Dispatcher:
    """The leader's; one pass at a time."""

    def __init__(self, resources: Resources, metrics: SchedulerMetrics, breakers: Breakers) -> None:
        self._resources = resources
        self._settings = resources.settings
        self._metrics = metrics
        self._rooms = Rooms(resources.redis)
        self._breakers = breakers
        self._ways = Ways(resources.catalog)
        self._given = Given()
        self._shares: dict[str, Shares] = {}
        self._usual: dict[str, int] = {}
        self._short, self._long = Paces(SHORT_S), Paces(LONG_S)
        self._crew, self._crew_until = Crew(0, 0), 0.0
        self._weights: dict[str, int] = {}
        self._weights_until = 0.0
        self._told_at = 0.0
        self._turns = 0
        self._strays = Strays(self._ways)
        self._standings: Mapping[str, Standing] = {}
        self._rung = asyncio.Event()
        self._rest_until = 0.0
        self._listener = Listener(
            resources.redis, [BELL], self._hear, lambda _channel: self._rung.set()
        )

    def start(self) -> None:
        """Begin to listen for the bell."""
        self._listener.start()

    async def close(self) -> None:
        """Stop listening."""
        await self._listener.close()

    async def turn(self) -> None:
        """Wait for the bell, a tick at most, then make a pass."""
        await asyncio.sleep(max(0.0, self._rest_until - monotonic()))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.tick_s):
                await self._rung.wait()
        self._rung.clear()
        began = monotonic()
        self._rest_until = began + self._settings.tick_s
        await self.dispatch()
        await self._tell_paces()
        took = monotonic() - began
        self._rest_until = monotonic() + max(GAP_S, 2 * took)

    async def dispatch(self) -> int:
        """Make one pass; return how many jobs were given out."""
        self._ways.tidy()
        self._standings = await self._resources.standings.uncommon()
        # Short look-ups by index all: a thread for each would cost more than they do.
        async with self._resources.database.looking() as db:
            lanes = await dispatch_store.waiting_tenants(db)
            await self._strays.begin(db)
            picked = await self._pick(db, lanes) if lanes or len(self._given) else {}
        if await self._strays.adopt(self._resources.database):
            self._rung.set()
        jobs = [job for some in picked.values() for job in some]
        if jobs:
            await self._resources.enqueuer.publish(self._messages(jobs))
            failpoint("after_publish")
            for lane, some in picked.items():
                self._note(lane, some)
        return len(jobs)

    def _note(self, lane: str, jobs: Sequence[Candidate]) -> None:
        self._given.add(lane, jobs, at=monotonic())
        if jobs:
            self._usual[lane] = sum(job.tokens for job in jobs) // len(jobs)

    async def _pick(
        self, db: AsyncConnection, lanes: Mapping[str, Sequence[str]]
    ) -> dict[str, list[Candidate]]:
        # In this order: what is claimed meanwhile is counted twice rather than not at all.
        self._given.keep_only(await dispatch_store.still_due(db, self._given.ids()))
        await self._give_up_stale()
        running = await dispatch_store.running(db)
        crew = await self._crew_now(db)
        at = monotonic()
        ahead = ceil(sum(self._short.all(at).values()) * AHEAD_S)
        places = crew.places + ahead - sum(running.values()) - len(self._given)
        self._shares = {lane: each for lane, each in self._shares.items() if lane in lanes}
        self._usual = {lane: each for lane, each in self._usual.items() if lane in lanes}
        if not lanes or not crew.workers or places <= 0:
            return {}
        await self._learn_weights(db)
        pools = await self._pools(lanes, running)
        held = {lane: running.get(lane, 0) + self._given.of_lane(lane) for lane in lanes}
        return await self._share_out(db, lanes, pools, places, held)

    async def _share_out(
        self,
        db: AsyncConnection,
        lanes: Mapping[str, Sequence[str]],
        pools: Pools,
        places: int,
        held: Mapping[str, int],
    ) -> dict[str, list[Candidate]]:
        picked: dict[str, list[Candidate]] = {}
        cut = False
        # Every lane has its turn to be first: with a fallback, and with places, that are for all.
        self._turns += 1
        for lane, part in lane_turns(lanes, self._weights, self._turns):
            # What a lane does not use is left to those after it.
            room = room_for(held[lane], places, most=self._crew.places)
            most = min(room, ceil(places * part))
            dealt = await self._deal(db, lane, lanes[lane], pools, most=most)
            picked[lane] = dealt
            places -= len(dealt)
            cut = cut or 0 < most == len(dealt)
        if cut and places:
            # Those before it had left room: the next pass is for who got too little of it.
            self._rung.set()
        return picked

    async def _deal(
        self, db: AsyncConnection, lane: str, tenants: Sequence[str], pools: Pools, *, most: int
    ) -> list[Candidate]:
        ways = self._ways.of_lane(lane)
        if ways and most > 0:
            most = min(most, pools.slots(ways))
            if not most:
                await self._strays.sift(db, lane)
        if most <= 0:
            return []
        shares = self._shares.setdefault(lane, Shares())
        queues = await self._queues(db, lane, shares.order(tenants), most=most)
        queues = {tenant: self._strays.without(lane, jobs) for tenant, jobs in queues.items()}
        take = partial(self._take, pools, lane)
        dealt: list[Candidate] = []
        for urgent in (True, False):
            some = {
                tenant: [job for job in jobs if (job.priority == INTERACTIVE) is urgent]
                for tenant, jobs in queues.items()
            }
            dealt += shares.deal(some, self._weights, take=take, most=most - len(dealt))
        return dealt

    async def _queues(
        self, db: AsyncConnection, lane: str, tenants: Sequence[str], *, most: int
    ) -> dict[str, list[Candidate]]:
        """Return what is due of the first tenants that have any, who is next first."""
        wanted = min(most, MOST_TENANTS, len(tenants))
        # Alone a tenant gets all of it; of several one may get more than its part.
        part = most if len(tenants) == 1 else ceil(2 * most / wanted)
        look = min(MOST_LOOK, max(LEAST_LOOK, part)) + self._given.of_lane(lane)
        aged_before = now_ms() - round(self._settings.bulk_ages_s * 1000)
        queues: dict[str, list[Candidate]] = {}
        for tenant in some_of(tenants, self._turns, most=MOST_LOOKS):
            if len(queues) == wanted:
                break
            # Those that were given stand before the others until they are claimed.
            limit = look + self._given.of_tenant(lane, tenant)
            found = await dispatch_store.first_due(db, lane, tenant, limit=limit)
            if fresh := [job for job in found if job not in self._given]:
                queues[tenant] = in_order(fresh, aged_before=aged_before)
        return queues

    def _take(self, pools: Pools, lane: str, job: Candidate) -> bool:
        surely = job.not_before is not None and job.not_before > now_ms() - SURELY_MS
        standing = self._standings.get(job.tenant_id, COMMON)
        keys = self._ways.of_job(job.model, lane, standing, surely=surely)
        return pools.take(job, keys) if keys else True

    async def _pools(
        self, lanes: Mapping[str, Sequence[str]], running: Mapping[str | None, int]
    ) -> Pools:
        around = {lane: self._ways.of_lane(lane) for lane in lanes}
        keys = sorted({key for ways in around.values() for key in ways})
        rooms = await self._rooms.of(self._ways.lanes(keys))
        rooms = round_breakers(rooms, self._breakers.shut, self._ways.deployments(keys))
        coming = {lane: self._coming(lane, running, rooms) for lane in lanes}
        pending = spread(around, coming, rooms)
        at = monotonic()
        return Pools(
            {
                key: Pool(
                    room,
                    reserve=self._settings.interactive_reserve,
                    ahead=ceil(self._short.per_s(key, at) * AHEAD_S),
                    pending=pending.get(key, NOTHING),
                )
                for key, room in rooms.items()
            }
        )

    def _coming(
        self, lane: str, running: Mapping[str | None, int], rooms: Mapping[str, Room]
    ) -> Coming:
        """Count what the limiter does not know yet of a lane, though it was given or claimed."""
        known = sum(rooms[key].under_way for key in self._ways.of_lane(lane) if key in rooms)
        claimed = max(0, running.get(lane, 0) - known)
        tokens = self._given.tokens_of_lane(lane) + claimed * self._usual.get(lane, 0)
        return Coming(self._given.of_lane(lane) + claimed, tokens)

    async def _give_up_stale(self) -> None:
        now = monotonic()
        for rank, ids in self._given.older_than(now - self._settings.wakeup_s).items():
            priority = Priority.of_rank(rank)
            if await self._resources.enqueuer.waiting(QueueName(priority)) > DRY_MESSAGES:
                self._given.renew(ids, at=now)
                continue
            self._given.forget(ids)
            self._metrics.woken_again(priority, len(ids))
            log.info("jobs.woken_again", jobs=len(ids), queue=priority)

    async def _crew_now(self, db: AsyncConnection) -> Crew:
        if (now := monotonic()) >= self._crew_until:
            self._crew_until = now + CREW_S
            usual = self._settings.max_in_flight
            self._crew = await process_store.crew(db, within_ms=ALIVE_MS, usual=usual)
        return self._crew

    async def _learn_weights(self, db: AsyncConnection) -> None:
        if (now := monotonic()) >= self._weights_until:
            self._weights_until = now + WEIGHTS_S
            self._weights = await tenant_store.uncommon_weights(db)

    async def _tell_paces(self) -> None:
        if (now := monotonic()) >= self._told_at + TELL_S:
            self._told_at = now
            await lane_paces.tell(self._resources.redis, self._long.all(now))

    def _messages(self, jobs: Sequence[Candidate]) -> list[Wakeup]:
        fresh = [(job.id, job.priority) for job in jobs if not job.crashes]
        suspects = [(job.id, job.priority) for job in jobs if job.crashes]
        # Few to share go to all workers alike, many in slices as large as they may be.
        size = min(self._settings.slice_size, ceil(len(fresh) / max(1, self._crew.workers)))
        return wakeups(fresh, slice_size=max(1, size)) + lone_wakeups(suspects)

    def _hear(self, _channel: str, message: bytes) -> None:
        ended, at = heard(message), monotonic()
        self._short.add(ended, at)
        self._long.add(ended, at)
        self._rung.set()
