"""All that a worker writes, in order and in groups: attempt rows before the sends, ends after them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.batches import tally
from shared.database import Database, on_commit
from shared.failpoints import failpoint
from shared.group_commit import GroupCommit
from shared.jobs import attempt_store, claim_store, part_store
from shared.jobs.announcer import Announcer
from shared.jobs.bell import Bell
from shared.jobs.changes import Change
from shared.jobs.claims import AttemptStart, ClaimEnd, PartEnd, Standing
from shared.jobs.transitions import CANCELLED, FINAL, JobState, Priority, Reason
from shared.telemetry.metrics import WorkerMetrics

Entry = AttemptStart | PartEnd | ClaimEnd

MOST_SENT = 16 * 1024
"""A larger answer is read from the database by whoever waits for it."""
PATIENCE_S = 60.0
"""How long a result waits for a database that is away; after that the job is left to be rescued."""


class Journal:
    """One per worker process; every write passes the fence."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        *,
        owner: str,
        metrics: WorkerMetrics | None = None,
        bell: Bell | None = None,
    ) -> None:
        self._owner = owner
        self._bell = bell
        self._announcer = announcer
        self._metrics = metrics or WorkerMetrics()
        self._group: GroupCommit[Entry, Standing] = GroupCommit(
            database, self._write, linger_s=0.004, patience_s=PATIENCE_S
        )

    async def start(self, start: AttemptStart) -> Standing:
        """Write an attempt row, unless the claim is lost or the job cancelled: then do not send."""
        return await self._group.add(start)

    async def part(self, part: PartEnd) -> Standing:
        """Keep one answer of several and its cost; of a lost claim only the cost of the call."""
        return await self._group.add(part)

    async def end(self, end: ClaimEnd) -> bool:
        """Write how a claim ended; False when it was lost, and then only its cost is kept."""
        return await self._group.add(end) is not Standing.LOST

    async def close(self) -> None:
        """Write what is pending."""
        await self._group.close()

    async def _write(self, db: AsyncConnection, entries: Sequence[Entry]) -> Sequence[Standing]:
        self._metrics.written(len(entries))
        held = await claim_store.fence(db, [entry.job for entry in entries], owner=self._owner)
        starts, parts, ends = _sorted(entries)
        sendable = [start for start in starts if held.get(start.job.claim) is Standing.HELD]
        if sendable:
            await attempt_store.start_attempts(db, sendable, self._owner)
        second = [start for start in sendable if start.earlier]
        if ends or parts or second:
            await self._end(db, parts, ends, held, second)
        return [held.get(entry.job.claim, Standing.LOST) for entry in entries]

    async def _end(
        self,
        db: AsyncConnection,
        parts: Sequence[PartEnd],
        ends: Sequence[ClaimEnd],
        held: Mapping[tuple[str, int], Standing],
        second: Sequence[AttemptStart],
    ) -> None:
        mine = [_obeying(end, held[end.job.claim]) for end in ends if end.job.claim in held]
        await attempt_store.end_attempts(db, [*map(_as_end, parts), *ends], held)
        new = await part_store.keep(db, [part for part in parts if part.job.claim in held])
        progress = [*map(_as_end, new), *await attempt_store.end_earlier(db, second)]
        await claim_store.add_progress(db, progress)
        # In one go: batches are locked in the order of their ids.
        numbers = await tally.add(db, _contributions([*progress, *mine]))
        if mine:
            await claim_store.end_claims(db, mine, numbers)
            told = [_change(end) for end in mine if not end.job.is_silent]
            await self._announcer.announce(db, told)
            if self._bell is not None:
                # What was put back unsent frees no place: its own was never taken.
                left = [end.lane for end in mine if end.attempts]
                on_commit(db, partial(self._bell.ring, left))
            on_commit(db, partial(failpoint, "after_result_commit"))
            failpoint("before_result_commit")


def _as_end(part: PartEnd) -> ClaimEnd:
    # What a part shares with an end: the call, and what it cost.
    return ClaimEnd(part.job, JobState.RUNNING, attempts=(part.attempt,))


def _change(end: ClaimEnd) -> Change:
    # The fence held: since the claim nobody else has changed the job.
    return Change(
        job_id=end.job.id,
        tenant_id=end.job.tenant_id,
        number=end.job.version + 1,
        state=end.state,
        reason=end.reason,
        waits=end.state == JobState.QUEUED,
        webhook=end.job.webhook,
        batch_id=end.job.batch_id,
        counted=True,
        answer=_answer(end),
        background=end.job.background,
        incomplete=end.result is not None and end.result.incomplete,
    )


def _contributions(ends: Sequence[ClaimEnd]) -> list[tally.Contribution]:
    return [
        tally.Contribution(
            job_id=end.job.id,
            batch_id=end.job.batch_id,
            state=end.state if end.state in FINAL else None,
            usage=[each.usage for each in end.attempts if each.usage is not None],
            cost_nanousd=_sum(each.cost_nanousd for each in end.attempts),
        )
        for end in ends
        if end.job.batch_id is not None and (end.state in FINAL or end.attempts)
    ]


def _sum(costs: Iterable[int | None]) -> int | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None


def _answer(end: ClaimEnd) -> tuple[int, bytes] | None:
    # Its caller waits for it: sent along it saves the way through the database.
    result = end.result
    awaited = end.job.priority == Priority.INTERACTIVE.rank and end.state == JobState.COMPLETED
    # What is to be told beside it stands in the rows.
    awaited = awaited and end.reason is None and not any(each.dropped for each in end.attempts)
    if not awaited or result is None or result.body is None or len(result.body) > MOST_SENT:
        return None
    return result.status_code, result.body


def _obeying(end: ClaimEnd, standing: Standing) -> ClaimEnd:
    # A job whose cancellation was asked for must not go back to wait for its turn.
    if standing is not Standing.CANCELLED or end.state != JobState.QUEUED:
        return end
    return replace(
        end,
        state=JobState.CANCELLED,
        reason=Reason.CANCELLED,
        delay_ms=None,
        error={"code": "cancelled", "message": CANCELLED},
    )


def _sorted(
    entries: Sequence[Entry],
) -> tuple[list[AttemptStart], list[PartEnd], list[ClaimEnd]]:
    starts = [entry for entry in entries if isinstance(entry, AttemptStart)]
    parts = [entry for entry in entries if isinstance(entry, PartEnd)]
    ends = [entry for entry in entries if isinstance(entry, ClaimEnd)]
    return starts, parts, ends
