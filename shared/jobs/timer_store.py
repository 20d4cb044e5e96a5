"""SQL of the scheduler: what is due, overdue, abandoned or forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from sqlalchemy import Select, and_, bindparam, case, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import Row, fetch, now_ms
from shared.jobs.changes import Change, change_of
from shared.jobs.endpoints import Endpoint
from shared.jobs.model import CHANGED, WAITING, Attempt, Job, Json, in_state
from shared.jobs.transitions import AttemptStatus, JobState, Reason

LOST = "worker_lost"


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job that may run and needs a wake-up."""

    id: str
    priority: int
    crashes: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a job goes whose worker is gone."""

    change: Change
    error: dict[str, JsonValue] | None = None

    @property
    def job_id(self) -> str:
        """Return the job's id."""
        return self.change.job_id

    @property
    def state(self) -> JobState:
        """Return the state that it goes to."""
        return self.change.state

    @property
    def reason(self) -> str | None:
        """Return why."""
        return self.change.reason


async def any_ripe(db: AsyncConnection) -> bool:
    """Tell whether there are scheduled jobs whose time has come."""
    ripe = select(col(Job.id)).where(in_state(JobState.SCHEDULED), col(Job.not_before) <= now_ms())
    return (await db.execute(ripe.limit(1))).first() is not None


async def queue_scheduled(db: AsyncConnection, *, limit: int) -> list[Change]:
    """Move scheduled jobs whose time has come into the queue."""
    ripe = (
        select(col(Job.id))
        .where(in_state(JobState.SCHEDULED), col(Job.not_before) <= now_ms())
        .limit(limit)
    )
    move = (
        update(Job)
        .where(col(Job.id).in_(ripe), in_state(JobState.SCHEDULED))
        .values(state=JobState.QUEUED, not_before=None, wakeup_at=None, version=Job.version + 1)
        .returning(*CHANGED)
    )
    return [change_of(row) for row in await fetch(db, move)]


async def take_forgotten(
    db: AsyncConnection, *, priority: int, silent_ms: int, limit: int
) -> list[DueJob]:
    """Mark and return ready jobs that were woken long ago and that nobody claimed."""
    query = (
        select(col(Job.id), col(Job.priority), col(Job.crashes))
        .where(
            in_state(JobState.QUEUED),
            col(Job.held).is_(None),
            col(Job.priority) == priority,
            col(Job.wakeup_at) <= now_ms() - silent_ms,
            col(Job.wakeup_at).is_not(None),
            func.coalesce(col(Job.not_before), 0) <= now_ms(),
        )
        .order_by(col(Job.wakeup_at))
        .limit(limit)
    )
    return await _mark_woken(db, query)


async def _mark_woken(db: AsyncConnection, query: Select[str, int, int]) -> list[DueJob]:
    if db.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True)
    jobs = [DueJob(row.id, row.priority, row.crashes) for row in await db.execute(query)]
    if jobs:
        ids = [job.id for job in jobs]
        await db.execute(update(Job).where(col(Job.id).in_(ids)).values(wakeup_at=now_ms()))
    return jobs


async def abandoned(db: AsyncConnection, *, limit: int) -> Sequence[Row]:
    """Return running jobs whose lease is over, with `calling`: whether a call may be under way."""
    calling = (
        select(col(Attempt.job_id))
        .where(
            col(Attempt.job_id) == col(Job.id),
            col(Attempt.claim_number) == col(Job.claim_number),
            col(Attempt.status) == AttemptStatus.STARTED,
        )
        .exists()
    )
    query = (
        select(
            *CHANGED,
            col(Job.crashes),
            col(Job.cancel_requested),
            col(Job.on_unknown),
            (col(Job.complete_by) <= now_ms()).label("overdue"),
            calling.label("calling"),
        )
        .where(in_state(JobState.RUNNING), col(Job.lease_expires_at) <= now_ms())
        .order_by(col(Job.id))
        .limit(limit)
    )
    if db.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True, of=Job)
    return await fetch(db, query)


async def reclaim(db: AsyncConnection, verdicts: Sequence[Verdict]) -> None:
    """Take jobs from owners that are gone; their calls under way become `unknown`."""
    ids = [verdict.job_id for verdict in verdicts]
    started = col(Attempt.status) == AttemptStatus.STARTED
    await db.execute(
        update(Attempt)
        .where(col(Attempt.job_id).in_(ids), started)
        .values(
            status=AttemptStatus.UNKNOWN,
            error_code=LOST,
            error_message="The worker was lost during the call; whether it was billed is not known.",
            possibly_billed=True,
            finished_at=now_ms(),
        )
    )
    rows = [
        {
            "at_job": verdict.job_id,
            "state": verdict.state,
            "reason": verdict.reason,
            "error": verdict.error,
        }
        for verdict in verdicts
    ]
    take = (
        update(Job)
        .where(col(Job.id) == bindparam("at_job"), in_state(JobState.RUNNING))
        .values(
            owner=None,
            lease_expires_at=None,
            crashes=Job.crashes + 1,
            failures=Job.failures + _HEDGES_LOST,
            version=Job.version + 1,
        )
    )
    again = [row for row in rows if row["state"] == JobState.QUEUED]
    if again:
        await db.execute(take.values(not_before=None, wakeup_at=None), again)
    ended = [row for row in rows if row["state"] != JobState.QUEUED]
    if ended:
        await db.execute(take.values(finished_at=now_ms()), ended)


_LOST_TOGETHER = (
    select(func.count())
    .select_from(Attempt)
    .where(
        col(Attempt.job_id) == col(Job.id),
        col(Attempt.claim_number) == col(Job.claim_number),
        col(Attempt.error_code) == LOST,
    )
    .correlate(Job)
    .scalar_subquery()
)
# Of two calls under way one was a hedge, and that costs a failure; parts of a document cost none.
_HEDGES_LOST = case(
    (and_(col(Job.endpoint) != Endpoint.DOCUMENTS, _LOST_TOGETHER > 1), _LOST_TOGETHER - 1),
    else_=0,
)


# Why a job waited tells more than that its time is over.
_PUT_OFF = (
    *(Reason.RATE_LIMITED, Reason.CONCURRENCY, Reason.BACKOFF, Reason.PROVIDER_PAUSED),
    *(Reason.OVERLOADED, Reason.PROVIDER_DOWN, Reason.QUOTA_EXHAUSTED, Reason.LIMITER_UNAVAILABLE),
)
_TOO_LATE = "The job did not end by its complete_by time"
_LATE = case(
    *(
        (
            col(Job.reason) == reason,
            literal(
                {
                    "code": "deadline",
                    "message": f"{_TOO_LATE}. It waited: {reason}.",
                    "waited_for": reason,
                },
                Json,
            ),
        )
        for reason in _PUT_OFF
    ),
    else_=literal({"code": "deadline", "message": f"{_TOO_LATE}."}, Json),
)


async def expire(
    db: AsyncConnection, *, limit: int, spared: Sequence[str] = (), spared_ms: int = 0
) -> list[Change]:
    """End jobs that waited past their deadline; those of `spared` models so much later."""
    late = (
        select(col(Job.id))
        .where(
            in_state(*WAITING),
            col(Job.complete_by) <= now_ms(),
        )
        .limit(limit)
    )
    if spared:
        long_late = col(Job.complete_by) <= now_ms() - spared_ms
        late = late.where(or_(col(Job.model).not_in(spared), long_late))
    if db.dialect.name == "postgresql":
        late = late.with_for_update(skip_locked=True)
    end = (
        update(Job)
        .where(col(Job.id).in_(late), in_state(*WAITING))
        .values(
            state=JobState.EXPIRED,
            reason=Reason.DEADLINE,
            error=_LATE,
            not_before=None,
            finished_at=now_ms(),
            version=Job.version + 1,
        )
        .returning(*CHANGED)
    )
    return [change_of(row) for row in await fetch(db, end)]


async def calls_under_way(
    db: AsyncConnection, ids: Sequence[str] | None = None
) -> dict[str, list[str]]:
    """Return the limiter operations of the claims of these jobs (None: of all) by lane."""
    query = (
        select(col(Attempt.lane), col(Attempt.job_id), col(Attempt.claim_number), col(Attempt.call))
        .join(Job, col(Job.id) == col(Attempt.job_id))
        .where(
            in_state(JobState.RUNNING),
            col(Attempt.claim_number) == col(Job.claim_number),
            col(Attempt.status) == AttemptStatus.STARTED,
        )
    )
    if ids is not None:
        query = query.where(col(Job.id).in_(ids))
    lanes: dict[str, list[str]] = {}
    for row in await db.execute(query):
        lanes.setdefault(row.lane, []).append(f"{row.job_id}:{row.claim_number}:{row.call}")
    return lanes
