"""The story of one job for one client: from what is stored, logged and heard to what it is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import redis

from api.events import blocks as event_blocks
from api.events.place import Place, ResetReason, Telling, has_ended, obstacle
from api.waiting import Watch
from shared.database import Row
from shared.events.deltas import Delta
from shared.events.event import EventType, is_final_event
from shared.jobs.reader import FullJob
from shared.jobs.transitions import JobState

PAGE = 100
"""So many deltas are read at once: what a client is slow to take stays in the log."""


class Log(Protocol):
    """Where deltas are read that were not heard."""

    async def after(self, job_id: str, version: int, number: int, *, most: int) -> list[Delta]:
        """Return up to `most` deltas behind a place; raises RedisError."""
        ...


class Reader(Protocol):
    """Where a job and its events are read."""

    async def after(self, tenant_id: str, job_id: str, number: int) -> tuple[Row, Sequence[Row]]:
        """Return the job and its events behind a number; raises NotFound, Gone."""
        ...


class Jobs(Protocol):
    """Where the whole job is read."""

    async def load(self, tenant_id: str, job_id: str) -> FullJob:
        """Return it; raises NotFound."""
        ...

    async def show(self, full: FullJob) -> dict[str, Any]:
        """Return the public job, without its result's body."""
        ...


class Counter(Protocol):
    """Where what is sent is counted."""

    def sent(self, name: str, events: int) -> None:
        """Count events of one name."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where stories come from."""

    log: Log
    reader: Reader
    jobs: Jobs
    counter: Counter


class Story:
    """What is still to be told, in steps: each looks at one source and returns what follows from it.

    `full` is the job as it was a moment ago, `place` where the client stands, None for nowhere;
    `lost` says that it stands where nobody can.
    """

    __slots__ = (
        "_behind",
        "_counter",
        "_end",
        "_full",
        "_ids",
        "_looked",
        "_muted",
        "_place",
        "_reset",
        "_sources",
        "_telling",
        "_unread",
        "over",
    )

    def __init__(
        self, sources: Sources, full: FullJob, place: Place | None, *, lost: bool = False
    ) -> None:
        self.over = False
        self._sources = sources
        self._ids: tuple[str, str] = full.job["tenant_id"], full.job["id"]
        self._telling = Telling()
        # What has to be done next: each of these is a step's reason.
        self._place = place
        self._full = full if place is None else None
        self._reset = ResetReason.UNKNOWN if lost else None
        self._end: tuple[Row, Row] | None = None
        self._behind = True
        # What was found on the way.
        self._looked = 0
        self._unread = False
        self._muted = 0

    @property
    def job_id(self) -> str:
        """Whose story it is."""
        return self._ids[1]

    @property
    def streams(self) -> bool:
        """Tell that deltas are told too."""
        return True

    def pending(self, watch: Watch) -> bool:
        """Tell whether there is a step to take."""
        mine = self._place or self._full or self._reset or self._end or self._behind
        return bool(mine or watch.stale or watch.deltas or watch.number > self._looked)

    async def step(self, watch: Watch) -> list[bytes]:
        """Take the next step; return the blocks that are to be sent.

        Raises:
            NotFound, Gone: the job is no more.
            Exception: what the database raised; then the same step is the next one again.
        """
        if self._place is not None:
            return await self._resume(self._place, watch)
        if self._full is not None or self._reset is not None:
            return await self._tell_whole(watch)
        if watch.stale:
            return await self._read_log(watch)
        if watch.deltas:
            return self._take_heard(watch)
        if self._end is not None:
            return self._tell_end(*self._end)
        return await self._look(watch)

    async def _resume(self, place: Place, watch: Watch) -> list[bytes]:
        job, rows = await self._sources.reader.after(*self._ids, place.number - 1)
        self._place = None
        self._reset = obstacle(place, job, rows)
        runs = place.number == job["version"] and job["state"] == JobState.RUNNING
        began = bool(rows) and rows[0]["type"] == EventType.STARTED
        self._telling.move(place, claim=runs or began)
        watch.stale = watch.stale or runs
        return []

    async def _tell_whole(self, watch: Watch) -> list[bytes]:
        full = self._full or await self._sources.jobs.load(*self._ids)
        shown = await self._sources.jobs.show(full)
        job, number, ended = full.job, full.job["version"], has_ended(full.job)
        rows = (await self._sources.reader.after(*self._ids, number - 1))[1] if ended else ()
        blocks = []
        if self._reset is not None:
            blocks.append(event_blocks.reset(self.job_id, self._reset))
            self._count("reset")
        blocks.append(event_blocks.snapshot(shown, number, ended=ended))
        self._count("snapshot")
        self._full = self._reset = self._end = None
        self._telling.move(Place(number), claim=job["state"] == JobState.RUNNING)
        self._telling.muted = number == self._muted
        self._behind, watch.stale = True, True
        if ended:
            row = rows[0] if rows and rows[0]["number"] == number else event_blocks.event_of(job)
            blocks.append(self._tell(job, row))
        return blocks

    async def _read_log(self, watch: Watch) -> list[bytes]:
        watch.stale = self._unread = False
        told = self._telling
        if not told.listens:
            return []
        try:
            logged = await self._sources.log.after(
                self.job_id, told.place.number, told.known, most=PAGE
            )
        except redis.RedisError:
            # What is missed is noticed by its number, or at the end.
            self._unread = True
            return []
        if not told.confirm(logged):
            self._reset = ResetReason.TRIMMED
            return []
        watch.stale = len(logged) == PAGE
        new, gap = told.follow(logged)
        if gap:
            # Nobody will ever have it all: the rest of this claim is of no use.
            told.muted = True
            self._muted = told.place.number
            self._reset = ResetReason.TRIMMED if told.place.delta else None
        return self._say(new)

    def _take_heard(self, watch: Watch) -> list[bytes]:
        heard = list(watch.deltas)
        watch.deltas.clear()
        new, gap = self._telling.follow(heard) if self._telling.sure else ([], True)
        watch.stale = watch.stale or gap
        return self._say(new)

    async def _look(self, watch: Watch) -> list[bytes]:
        heard, told = watch.number, self._telling
        job, rows = await self._sources.reader.after(*self._ids, told.place.number)
        self._behind, self._looked = False, max(heard, job["version"])
        if job["version"] == told.place.number:
            self.over = has_ended(job)
            return []
        if not rows or rows[0]["number"] != told.place.number + 1:
            self._reset = ResetReason.TRIMMED
            return []
        if told.claim and len(rows) == 1 and is_final_event(rows[0]["type"]):
            # First all that the claim said, as far as it was not heard.
            self._end = job, rows[0]
            watch.stale = watch.stale or not told.whole
            return []
        if told.place.delta or any(is_final_event(each["type"]) for each in rows[:-1]):
            self._reset = ResetReason.RESTARTED
            return []
        if _is_whole_claim(rows[-2:]):
            # What it said comes before its end, which the next look finds.
            rows, self._behind = rows[:-1], True
        blocks = [self._tell(job, row) for row in rows]
        watch.stale = watch.stale or told.claim
        return blocks

    def _tell_end(self, job: Row, row: Row) -> list[bytes]:
        told = self._telling
        self._end = None
        whole = told.sure and not self._unread and row["type"] != EventType.COMPLETED
        if told.place.delta and not (told.whole or whole):
            self._reset = ResetReason.INCOMPLETE
            return []
        return [self._tell(job, row)]

    def _tell(self, job: Row, row: Row) -> bytes:
        self._telling.move(Place(row["number"]), claim=row["type"] == EventType.STARTED)
        self.over = is_final_event(row["type"])
        self._count(row["type"])
        return event_blocks.change(job, row)

    def _say(self, deltas: Sequence[Delta]) -> list[bytes]:
        if deltas:
            self._count("job.delta", len(deltas))
        return [event_blocks.delta(each) for each in deltas]

    def _count(self, name: str, events: int = 1) -> None:
        self._sources.counter.sent(name, events)


def _is_whole_claim(rows: Sequence[Row]) -> bool:
    return (
        [row["type"] for row in rows[:1]] == [EventType.STARTED]
        and len(rows) > 1
        and is_final_event(rows[1]["type"])
    )
