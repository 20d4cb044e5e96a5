"""Lines that ask the same: one asks, the others end with copies of its answer, or one of them asks next.

Every step looks at what is stored and leaves it so that the next look goes on from there, whoever
takes it.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from time import monotonic
from typing import Any

import structlog

from shared.batches import twin_store
from shared.clock import now_ms
from shared.database import Row
from shared.failpoints import failpoint
from shared.files.blobs import BlobStore
from shared.ids import new_id
from shared.jobs import store as job_store
from shared.jobs.transitions import FINAL, JobState
from shared.resources import Resources

log = structlog.get_logger()

ASKERS_AT_ONCE = 100
MOST_AT_ONCE = 200
COST_SHARE = 10
"""A look that took t seconds is taken again after 10 t at the earliest."""
MOVED_AT_ONCE = 1000
PAUSE_S = 0.005


class Coalescing:
    """Ends or lets go those who follow a job that asks no more."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._rests_until = 0.0

    async def perform(self) -> bool:
        """See after some askers; True when there may be more."""
        began = monotonic()
        if began < self._rests_until:
            return False
        async with self._resources.database.reading() as db:
            askers = await twin_store.deserted(db, limit=ASKERS_AT_ONCE)
        if not askers:
            # Among many who still wait, looking takes a while.
            self._rests_until = monotonic() + COST_SHARE * (monotonic() - began)
        answered = await self._answer(askers)
        for asker in askers:
            if asker["asker_id"] not in answered:
                await self._succeed(asker)
        return len(askers) == ASKERS_AT_ONCE

    async def _answer(self, askers: Sequence[Row]) -> set[str]:
        """Copy answers to every follower; return the askers for which there is none left."""
        done = [each["asker_id"] for each in askers if each["state"] == JobState.COMPLETED]
        if not done:
            return set()
        async with self._resources.database.reading() as db:
            answers = await job_store.results_of(db, done)
        while answers:
            async with self._resources.database.reading() as db:
                waiting = await twin_store.followers(db, answers, limit=MOST_AT_ONCE)
            if not waiting:
                break
            results = await self._copies(answers, waiting)
            await self._complete(answers, results)
            await asyncio.sleep(PAUSE_S)
        return set(answers)

    async def _complete(
        self, askers: Collection[str], results: Mapping[str, Mapping[str, Any]]
    ) -> None:
        async with self._resources.database.transaction() as db:
            changes = await twin_store.complete(db, askers, results)
            await self._resources.announcer.announce(db, changes)
            failpoint("mid_coalescing")
        ended = {change.job_id for change in changes}
        for job_id, result in results.items():
            if result["blob"] is not None and job_id not in ended:
                await self._resources.blobs.delete(result["blob"])

    async def _copies(
        self, answers: dict[str, Row], waiting: Sequence[Row]
    ) -> dict[str, dict[str, Any]]:
        """Return a result for each of those that wait; an answer that is gone is taken out."""
        results = {}
        for job in waiting:
            answer = answers.get(job["follows"])
            if answer is None:
                continue
            blob = answer["blob"]
            if blob is not None:
                # Each job's result is its own: it may be purged before the others.
                blob = await _copy(self._resources.blobs, blob)
                if blob is None:
                    del answers[job["follows"]]
                    continue
            results[job["id"]] = {
                "job_id": job["id"],
                "generation": job["generation"],
                "status_code": answer["status_code"],
                "body": answer["body"],
                "blob": blob,
                "created_at": now_ms(),
            }
        return results

    async def _succeed(self, asker: Row) -> None:
        """Let the first follower ask, and the others follow it."""
        asker_id = asker["asker_id"]
        # Lines of a paused batch stay with theirs: letting them go would not make them run.
        paused = asker["state"] is not None and asker["state"] not in FINAL
        not_of = asker["batch_id"] if paused else None
        async with self._resources.database.transaction() as db:
            found = await twin_store.followers(db, [asker_id], limit=1, not_of=not_of)
            if not found:
                return
            heir = found[0]
            # One may be there already: of another batch, or let go before a crash.
            others = await twin_store.askers(db, [heir["twin_key"]])
            other = others.get(heir["twin_key"])
            if other is None:
                if not await twin_store.let_go(db, asker_id, heir["id"]):
                    return
                other = heir["id"]
        log.info("coalescing.succeeded", asker=asker_id, by=other)
        failpoint("mid_succession")
        moved = MOVED_AT_ONCE
        while moved == MOVED_AT_ONCE:
            async with self._resources.database.transaction() as db:
                moved = await twin_store.point_to(
                    db, asker_id, other, limit=MOVED_AT_ONCE, not_of=not_of
                )
            await asyncio.sleep(PAUSE_S)


async def _copy(blobs: BlobStore, blob: str) -> str | None:
    copy = f"results/{new_id('job')}.json"
    try:
        await blobs.put_stream(copy, blobs.stream(blob), 1 << 62)
    except FileNotFoundError:
        return None
    return copy
