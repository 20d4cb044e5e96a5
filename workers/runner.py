"""The runner: claims slices and drives thousands of calls at once on one event loop."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database import UNAVAILABLE
from shared.failpoints import failpoint
from shared.group_commit import GroupCommit
from shared.jobs import claim_store
from shared.jobs.changes import Change
from shared.jobs.claims import ClaimedJob, ClaimEnd
from shared.jobs.lanes import slot_ttl_s
from shared.jobs.transitions import FINAL, JobState, Priority
from workers.attempt.hold import Hold, Stop
from workers.attempt.run import run_attempt
from workers.places import places
from workers.resources import WorkerResources
from workers.suspects import Suspects

log = structlog.get_logger()

EXIT_RESERVE_S = 3.0
CLAIM_RETRY_S = 1.0
FLUSH_S = 1.0
SLICES_AT_ONCE = 16
SUSPECTS_SHARE = 8
"""So much less than ever is in flight of what may have killed a worker."""


class Runner:
    """What is in hand in this process, and room for more.

    `in_flight` and `draining` are read from other threads; everything else stays on the loop.
    """

    def __init__(self, resources: WorkerResources) -> None:
        settings = resources.settings
        self._resources = resources
        self._lease_ms = round(settings.lease_s * 1000)
        self._renew_s = settings.renew_s
        self._most = settings.max_in_flight
        self._most_others = places(settings, interactive=False)
        self._holds: dict[str, tuple[Hold, asyncio.Task[None]]] = {}
        self._claiming = 0
        self._changed = asyncio.Event()
        self._suspects = Suspects(
            self._claim_and_start, at_once=max(1, self._most // SUSPECTS_SHARE)
        )
        self._claims: GroupCommit[Sequence[str], list[ClaimedJob]] = GroupCommit(
            resources.database,
            self._take_over_all,
            max_group=SLICES_AT_ONCE,
            linger_s=0.002,
            # The attempt row that comes before the call takes the claim to the disk.
            durable=False,
        )
        self._background: list[asyncio.Task[None]] = []
        self._over = False
        self.draining = False

    @property
    def in_flight(self) -> int:
        """Count the jobs in hand or being claimed."""
        return len(self._holds) + self._claiming

    @property
    def capacity(self) -> int:
        """How many jobs may be in hand that are not interactive."""
        return self._most_others

    def has_room(self, priority: Priority) -> bool:
        """Tell whether another slice may come: the reserve is for interactive work alone."""
        most = self._most if priority is Priority.INTERACTIVE else self._most_others
        return not self.draining and self.in_flight < most

    def start(self) -> None:
        """Begin to renew leases and to run suspects."""
        self._background = [
            asyncio.create_task(self._repeat(self._renew_s, self._renew), name="renew"),
            asyncio.create_task(self._repeat(FLUSH_S, self._flush), name="flush"),
            asyncio.create_task(self._suspects.run(), name="suspects"),
        ]

    async def take(self, ids: Sequence[str], priority: Priority) -> bool:
        """Claim a slice once there is room and start its jobs; False when we are draining."""
        await self._until(lambda: self.draining or self.has_room(priority))
        if self.draining:
            return False
        await self._claim_and_start(ids, most_crashes=0)
        return True

    async def take_suspects(self, ids: Sequence[str]) -> None:
        """Queue jobs whose worker died where they can do little harm."""
        self._suspects.add(ids)

    def stop(self, ids: Sequence[str], why: Stop) -> None:
        """Close the calls of those of the jobs that are in hand here."""
        for job_id in ids:
            if job_id in self._holds:
                hold, task = self._holds[job_id]
                if hold.stop is None and not hold.over:
                    hold.stop = why
                    # An answer that is there is paid for: a shutdown lets it be kept.
                    if not (hold.answered and why is Stop.DRAIN):
                        task.cancel()

    async def drain(self, grace_s: float) -> None:
        """Take nothing more, let calls finish for the grace time, then close and release them."""
        self.draining = True
        self._changed.set()
        log.info("runner.draining", in_flight=self.in_flight, grace_s=grace_s)
        failpoint("mid_drain")
        await self._until_idle(max(0.0, grace_s - EXIT_RESERVE_S))
        self.stop(list(self._holds), Stop.DRAIN)
        await self._until_idle(EXIT_RESERVE_S)
        # What is claimed from here on begins nothing: its lease runs out, and no call was made.
        self._over = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_RESERVE_S):
                await self._claims.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _until_idle(self, patience_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._until(lambda: self.in_flight == 0)

    async def _until(self, ready: Callable[[], bool]) -> None:
        while not ready():
            self._changed.clear()
            await self._changed.wait()

    async def _claim_and_start(
        self, ids: Sequence[str], *, most_crashes: int | None
    ) -> list[asyncio.Task[None]]:
        self._claiming += len(ids)
        try:
            jobs = await self._claim(ids, most_crashes)
        finally:
            self._claiming -= len(ids)
            self._changed.set()
        self._resources.metrics.claimed(jobs, asked=len(ids))
        failpoint("after_claim")
        return [] if self._over else [self._start(job) for job in jobs]

    async def _claim(self, ids: Sequence[str], most_crashes: int | None) -> list[ClaimedJob]:
        while not self.draining:
            try:
                # Suspects are claimed apart, like they are run.
                if most_crashes != 0:
                    return await self._take_over(ids, most_crashes)
                return await self._claims.add(ids)
            except UNAVAILABLE as error:
                # The thread that asked waits with us, and so the broker feels it.
                log.warning("runner.claim_failed", jobs=len(ids), error=str(error))
                await asyncio.sleep(CLAIM_RETRY_S)
        return []

    async def _take_over_all(
        self, db: AsyncConnection, slices: Sequence[Sequence[str]]
    ) -> list[list[ClaimedJob]]:
        jobs = await self._take(db, [job_id for ids in slices for job_id in ids], most_crashes=0)
        by_id = {job.id: job for job in jobs}
        # An id that two slices name goes to the first of them.
        return [[by_id.pop(job_id) for job_id in ids if job_id in by_id] for ids in slices]

    async def _take_over(self, ids: Sequence[str], most_crashes: int | None) -> list[ClaimedJob]:
        async with self._resources.database.transaction(durable=False) as db:
            return await self._take(db, ids, most_crashes)

    async def _take(
        self, db: AsyncConnection, ids: Sequence[str], most_crashes: int | None
    ) -> list[ClaimedJob]:
        jobs = await claim_store.claim(
            db,
            ids,
            owner=self._resources.owner,
            lease_ms=self._lease_ms,
            most_crashes=most_crashes,
        )
        await self._resources.shared.announcer.announce(
            db, [_started(job) for job in jobs if not job.is_silent]
        )
        return jobs

    def _start(self, job: ClaimedJob) -> asyncio.Task[None]:
        # One that was taken from us may come back to us before we have noticed.
        self.stop([job.id], Stop.LOST)
        hold = Hold(job)
        task = asyncio.create_task(self._work(hold), name=job.id)
        self._holds[job.id] = (hold, task)
        # Not in the task itself: one that is cancelled before its first step runs none of it.
        task.add_done_callback(partial(self._forget, hold))
        return task

    def _forget(self, hold: Hold, _task: asyncio.Task[None]) -> None:
        if self._holds.get(hold.job.id, (None,))[0] is hold:
            del self._holds[hold.job.id]
        self._changed.set()

    async def _work(self, hold: Hold) -> None:
        job = hold.job
        structlog.contextvars.bind_contextvars(job_id=job.id, tenant_id=job.tenant_id)
        try:
            end = await run_attempt(hold, self._resources)
            if end is not None:
                self._left(end, kept=await self._resources.journal.end(end))
            # From here on nobody holds a lease: that it cannot be renewed is no loss.
            hold.over = True
            await hold.settled()
            failpoint("after_settle")
        except asyncio.CancelledError:
            log.warning("runner.abandoned")
        except Exception:
            # The lease runs out and the scheduler rescues the job.
            log.exception("runner.end_not_written")

    def _left(self, end: ClaimEnd, *, kept: bool) -> None:
        self._resources.metrics.job_left(end, kept=kept)
        # The lines of a batch are counted by it: fifty thousand of them are no news.
        loud = end.state in FINAL and end.job.batch_id is None
        note = log.info if loud else log.debug
        note("job.left", state=end.state, reason=end.reason, calls=len(end.attempts), kept=kept)

    async def _repeat(self, every_s: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await act()
            except UNAVAILABLE as error:
                log.warning("runner.part_unavailable", error=str(error))
            except Exception:
                # Leases must go on being renewed whatever happened once.
                log.exception("runner.duty_crashed")

    async def _renew(self) -> None:
        mine = list(self._holds)
        if mine:
            async with self._resources.database.transaction() as db:
                held = await claim_store.renew(
                    db, mine, owner=self._resources.owner, lease_ms=self._lease_ms
                )
            self.stop([job_id for job_id in mine if job_id not in held], Stop.LOST)
            self.stop([job_id for job_id, asked in held.items() if asked], Stop.CANCELLED)
        await self._renew_slots()

    async def _flush(self) -> None:
        await self._resources.limiter.flush()

    async def _renew_slots(self) -> None:
        limiter = self._resources.limiter
        held = [each for hold, _ in self._holds.values() for each in hold.reservations.values()]
        await limiter.renew(held, lease_ttl_s=slot_ttl_s(self._resources.settings))


def _started(job: ClaimedJob) -> Change:
    return Change(
        job_id=job.id,
        tenant_id=job.tenant_id,
        number=job.version,
        state=JobState.RUNNING,
        webhook=job.webhook,
        batch_id=job.batch_id,
    )
