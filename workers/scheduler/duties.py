"""The leader's duties: each is safe to run twice, or beside another leader."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from shared import outbox
from shared.database import chunks
from shared.enqueue import ActorName, QueueName, Wakeup
from shared.failpoints import failpoint
from shared.files import removal
from shared.jobs import late_store, timer_store
from shared.jobs import store as job_store
from shared.jobs.endpoints import Endpoint
from shared.jobs.lanes import lane_of
from shared.jobs.timer_store import DueJob
from shared.jobs.transitions import Priority
from shared.jobs.wakeups import lone_wakeups, wakeups
from shared.limiter.buckets import Cost, Lane, Outcome
from shared.limiter.limiter import Limiter, Reservation
from shared.processes import store as process_store
from shared.resources import Resources
from shared.telemetry.metrics import SchedulerMetrics
from shared.webhooks import delivery_store, fanout_store
from workers.attempt.default_answer import has_default, late_body
from workers.scheduler.rescue import verdict

log = structlog.get_logger()

AT_ONCE = 2000
EXPIRED_AT_ONCE = 300
SPARED_MS = 1000
BREATH_S = 0.002
MOST_TARGETS = 10_000
DRY_MESSAGES = 4
SPOKEN = [each.value for each in Endpoint if has_default(each)]
NOTHING = Cost(0, 0, 0)
DEAD_AFTER_MS = 3_600_000


class Desk:
    """The leader's desk: the resources, and one method for each duty."""

    def __init__(self, resources: Resources, limiter: Limiter, metrics: SchedulerMetrics) -> None:
        self._resources = resources
        self._settings = resources.settings
        self._limiter = limiter
        self._metrics = metrics
        self._named_last = ""

    async def queue_scheduled(self) -> None:
        """Move jobs whose time has come into the queue."""
        async with self._resources.database.reading() as db:
            if not await timer_store.any_ripe(db):
                return
        async with self._resources.database.transaction() as db:
            ripe = await timer_store.queue_scheduled(db, limit=AT_ONCE)
            await self._resources.announcer.announce(db, ripe)
        self._resources.bell.ring()

    async def relay_outbox(self) -> None:
        """Send what a process that died or lost Redis had promised and not removed."""
        older_than_ms = round(self._settings.sweep_s * 1000)
        async with self._resources.database.reading() as db:
            promises = await outbox.overdue(db, older_than_ms=older_than_ms, limit=AT_ONCE)
        if not promises:
            return
        await self._resources.enqueuer.publish([promise.wakeup for promise in promises])
        failpoint("after_outbox")
        async with self._resources.database.transaction() as db:
            await outbox.remove(db, [promise.id for promise in promises])
        self._metrics.relayed(len(promises))
        log.info("outbox.relayed", messages=len(promises))

    async def rescue(self) -> None:
        """Take jobs from workers whose lease is over."""
        async with self._resources.database.transaction() as db:
            rows = await timer_store.abandoned(db, limit=AT_ONCE)
            if not rows:
                return
            after = self._settings.quarantine_after
            verdicts = [verdict(row, quarantine_after=after) for row in rows]
            lanes = await timer_store.calls_under_way(db, [each.job_id for each in verdicts])
            failpoint("mid_sweep")
            await timer_store.reclaim(db, verdicts)
            await self._resources.announcer.announce(db, [each.change for each in verdicts])
        await self._free_slots(lanes)
        self._metrics.reclaimed(verdicts)
        for each in verdicts:
            log.warning("job.rescued", job_id=each.job_id, state=each.state, reason=each.reason)

    async def wake_forgotten(self) -> None:
        """Wake ready jobs again whose message was lost: the broker has run dry, the database not."""
        for priority in Priority:
            if await self._resources.enqueuer.waiting(QueueName(priority)) > DRY_MESSAGES:
                continue
            async with self._resources.database.transaction() as db:
                jobs = await timer_store.take_forgotten(
                    db,
                    priority=priority.rank,
                    silent_ms=round(self._settings.wakeup_s * 1000),
                    limit=AT_ONCE,
                )
                promises = await outbox.add(db, self._messages(jobs))
            self._resources.publisher.after_commit(promises)
            if jobs:
                self._metrics.woken_again(priority, len(jobs))
                log.info("jobs.woken_again", jobs=len(jobs), queue=priority)

    async def wake_deliverers(self) -> None:
        """Name the targets for which a webhook is due: a retry, a dead worker's, a lost wake-up's."""
        if await self._resources.enqueuer.waiting(QueueName.WEBHOOKS) > DRY_MESSAGES:
            return
        async with self._resources.database.reading() as db:
            targets = await delivery_store.due_targets(
                db, limit=MOST_TARGETS, behind=self._named_last
            )
        # On from there the next time, so that those at the end of the alphabet have their turn too.
        self._named_last = targets[-1] if len(targets) == MOST_TARGETS else ""
        if not targets:
            return
        # No promise is stored: what is not delivered is named again in a moment.
        await self._resources.enqueuer.publish(
            [
                Wakeup(ActorName.DELIVER_WEBHOOKS, QueueName.WEBHOOKS, {"targets": list(some)})
                for some in chunks(targets, self._settings.slice_size)
            ]
        )

    async def expire(self) -> None:
        """End what waited past its deadline, until nothing is left that did."""
        spared = await self._answer_late()
        ended = EXPIRED_AT_ONCE
        # Some at a time: others write too.
        while ended == EXPIRED_AT_ONCE:
            async with self._resources.database.transaction() as db:
                expired = await timer_store.expire(
                    db, limit=EXPIRED_AT_ONCE, spared=spared, spared_ms=SPARED_MS
                )
                await self._resources.announcer.announce(db, expired)
            ended = len(expired)
            self._metrics.expired(ended)
            await asyncio.sleep(BREATH_S)

    async def _answer_late(self) -> Sequence[str]:
        """Give the answers of their own that some routes have to jobs that wait past their deadline.

        Returns the models of these routes: what is late since then is for the next time.
        """
        texts = {
            name: route.default_answer
            for name, route in self._resources.catalog.routes()
            if route.default_answer is not None
        }
        # All of them: who is left over is expired in a moment.
        answered = EXPIRED_AT_ONCE if texts else 0
        while answered == EXPIRED_AT_ONCE:
            answered = await self._answer_some(texts)
            await asyncio.sleep(BREATH_S)
        return sorted(texts)

    async def _answer_some(self, texts: Mapping[str, str]) -> int:
        async with self._resources.database.transaction() as db:
            jobs = await late_store.late(db, sorted(texts), SPOKEN, limit=EXPIRED_AT_ONCE)
            bodies = {job["id"]: late_body(job, texts[job["model"]]) for job in jobs}
            answers = {job_id: body for job_id, body in bodies.items() if body is not None}
            if answers:
                ended = await late_store.complete(db, jobs, answers)
                await self._resources.announcer.announce(db, ended)
        return len(answers)

    async def tidy(self) -> None:
        """Forget what nobody needs: workers long gone, keys, files and deliveries past their time."""
        async with self._resources.database.transaction() as db:
            await process_store.forget_dead(db, silent_ms=DEAD_AFTER_MS)
            await job_store.forget_keys(db)
            await delivery_store.forget_rests(db)
        await self._forget_deliveries()
        await removal.sweep(self._resources.database, self._resources.blobs)

    async def _forget_deliveries(self) -> None:
        older_than_ms = round(self._settings.webhook_log_s * 1000)
        gone = AT_ONCE
        # Not all in one transaction: others write too.
        while gone == AT_ONCE:
            async with self._resources.database.transaction() as db:
                gone = await fanout_store.forget_past(
                    db, older_than_ms=older_than_ms, limit=AT_ONCE
                )

    async def _free_slots(self, lanes: Mapping[str, Sequence[str]]) -> None:
        # Nobody knows what these calls used: only their slots come back.
        for key, operations in lanes.items():
            if lane := self._lane(key):
                held = (Reservation(each, lane, NOTHING) for each in operations)
                settle = (self._limiter.settle(x, None, outcome=Outcome.FAILED) for x in held)
                await asyncio.gather(*settle)

    def _lane(self, key: str) -> Lane | None:
        catalog = self._resources.catalog
        # That of a vendor without configuration begins with the model's name.
        target = catalog.lanes().get(key) or catalog.target_of(key.rpartition(":")[0], key)
        return None if target is None else lane_of(target)

    def _messages(self, jobs: Sequence[DueJob]) -> list[Wakeup]:
        fresh = [(job.id, job.priority) for job in jobs if not job.crashes]
        suspects = [(job.id, job.priority) for job in jobs if job.crashes]
        size = self._settings.slice_size
        return wakeups(fresh, slice_size=size) + lone_wakeups(suspects)
