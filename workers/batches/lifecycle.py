"""The leader's care for batches: cancelling, pausing, resuming, retrying, telling of progress.

Batches are taken in turn and their lines some at a time, in transactions that hold SQLite's write
lock for a moment only: fifty thousand lines of one tenant are no reason for another's to wait.
Every step is safe to do twice, or beside another leader.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic

import structlog

from shared.batches import lifecycle_store, lines_store
from shared.batches.announcing import announce, ring
from shared.database import Row, chunks, on_commit
from shared.errors import NotFound
from shared.events.event import EventType
from shared.events.notices import Channel, notify
from shared.resources import Resources
from shared.routing.model import targets
from shared.telemetry.metrics import SchedulerMetrics
from workers.batches.steps import Step, next_step

log = structlog.get_logger()

LINES_AT_ONCE = 300
REOPENED_AT_ONCE = 250
STOPPED_AT_ONCE = 2000
TURN_S = 2.0
BREATH_S = 0.002
"""Between two transactions: whoever else wants to write asks every millisecond."""
ASK_AGAIN_S = 1.0
IDS_PER_NOTICE = 500


@dataclass(frozen=True, slots=True)
class Reopening:
    """How far a retry has come: behind `after`, up to `until`, as outcome numbers.

    What fails again meanwhile lies behind `until`, and is not opened once more. `complete_by` tells
    it from the next retry of the same batch, which may be asked for as soon as this one has ended.
    """

    complete_by: int
    after: int
    until: int


class Lifecycle:
    """One per scheduler."""

    def __init__(self, resources: Resources, metrics: SchedulerMetrics) -> None:
        self._resources = resources
        self._database = resources.database
        self._metrics = metrics
        self._reopening: dict[str, Reopening] = {}
        self._asked_at: dict[str, float] = {}
        self._steps = {
            Step.CUT: self._cut,
            Step.CANCEL: self._cancel,
            Step.REOPEN: self._reopen,
            Step.FINISH: self._finish,
            Step.MARK: self._mark,
            Step.LET_GO: self._let_go,
            Step.TELL: self._tell,
        }

    async def perform(self) -> None:
        """Take every batch that needs it further, for as long as there is work or a while is over."""
        until = monotonic() + TURN_S
        more = True
        while more and monotonic() < until:
            more = await self._round()
            await asyncio.sleep(BREATH_S)

    async def _round(self) -> bool:
        async with self._database.reading() as db:
            batches = await lifecycle_store.alive(db)
        retrying = {batch["id"] for batch in batches if batch["retrying"]}
        self._reopening = {each: of for each, of in self._reopening.items() if each in retrying}
        more = False
        for batch in batches:
            step = next_step(batch)
            if step is not None:
                more = await self._steps[step](batch) or more
        return more

    async def _cut(self, batch: Row) -> bool:
        async with self._database.transaction() as db:
            await lifecycle_store.cut(db, batch["id"])
        log.info("batch.cut", batch_id=batch["id"], overdue=batch["overdue"])
        return True

    async def _cancel(self, batch: Row) -> bool:
        calls = await self._stop(batch["id"])
        if batch["ended"] + calls >= batch["total"]:
            return False
        async with self._database.transaction() as db:
            some = await lines_store.cancel_waiting(db, batch["id"], limit=LINES_AT_ONCE)
            await self._resources.announcer.announce(db, some)
        self._metrics.cancelled(len(some))
        return bool(some)

    async def _stop(self, batch_id: str) -> int:
        """Have the calls of a batch stopped; return how many there are."""
        async with self._database.reading() as db:
            running = await lines_store.running(db, batch_id)
        ids = [each["id"] for each in running]
        new: Sequence[str] = ()
        if not all(each["cancel_requested"] for each in running):
            async with self._database.transaction() as db:
                new = await lines_store.stop_running(db, batch_id, limit=STOPPED_AT_ONCE)
        # A notice may be lost, and without it a call goes on until its lease is renewed.
        again = monotonic() - self._asked_at.get(batch_id, 0.0) >= ASK_AGAIN_S
        if again and ids:
            self._asked_at[batch_id] = monotonic()
        for some in chunks(ids if again else list(new), IDS_PER_NOTICE):
            await notify(self._resources.redis, Channel.CANCEL, some)
        return len(ids)

    async def _reopen(self, batch: Row) -> bool:
        batch_id = batch["id"]
        complete_by = batch["complete_by"]
        place = self._reopening.get(batch_id)
        if place is None or place.complete_by != complete_by:
            place = Reopening(complete_by, 0, batch["outcomes"])
        async with self._database.reading() as db:
            lines = await lines_store.retried(
                db, batch_id, after=place.after, until=place.until, limit=REOPENED_AT_ONCE
            )
        async with self._database.transaction() as db:
            if not lines:
                await lines_store.end_retry(db, batch_id)
                return True
            lanes = {each["id"]: self._lane(each["model"]) for each in lines}
            changes = await lines_store.reopen(db, batch_id, lanes)
            await self._resources.announcer.announce(db, changes)
        self._reopening[batch_id] = replace(place, after=lines[-1]["outcome_number"])
        return True

    async def _mark(self, batch: Row) -> bool:
        async with self._database.transaction() as db:
            return await lines_store.mark_paused(db, batch["id"], limit=LINES_AT_ONCE) > 0

    async def _let_go(self, batch: Row) -> bool:
        async with self._database.transaction() as db:
            return await lines_store.let_go(db, batch["id"], limit=LINES_AT_ONCE) > 0

    async def _finish(self, batch: Row) -> bool:
        async with self._database.transaction() as db:
            row = await lifecycle_store.begin_end(db, batch["id"])
            if row is not None:
                on_commit(db, partial(ring, self._resources.announcer, row))
        self._asked_at.pop(batch["id"], None)
        return False

    async def _tell(self, batch: Row) -> bool:
        async with self._database.transaction() as db:
            row = await lifecycle_store.progress(db, batch["id"], told_ended=batch["told_ended"])
            if row is not None:
                await announce(db, self._resources.announcer, row, EventType.BATCH_PROGRESS)
        return False

    def _lane(self, model: str) -> str | None:
        try:
            return targets(self._resources.catalog.resolve(model))[0].lane_key
        except NotFound:
            # Nothing serves it any more: the worker that takes it says so.
            return None
