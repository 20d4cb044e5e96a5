"""SQL of what a tenant does to its jobs: cancel, retry, delete."""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import fetch, now_ms
from shared.events import store as event_store
from shared.jobs.changes import Change, change_of
from shared.jobs.model import CHANGED, Job, JobRequest, JobResult
from shared.jobs.part_model import JobPart
from shared.jobs.transitions import CANCELLED, FINAL, JobState, Reason, may_follow, sources
from shared.webhooks import fanout_store

CANCELLED_ERROR = {"code": "cancelled", "message": CANCELLED}


async def cancel(
    db: AsyncConnection, tenant_id: str, job_id: str
) -> tuple[JobState | None, Change | None]:
    """Cancel a waiting job at once, ask a running one to stop.

    Returns the state that it is in now: `cancelled`, `running` (asked), or the final state
    that came first; None when the tenant has no such job. With it the change, if this made one.
    """
    mine = (col(Job.id) == job_id, col(Job.tenant_id) == tenant_id, col(Job.deleted_at).is_(None))
    look = select(col(Job.state)).where(*mine)
    if db.dialect.name == "postgresql":
        # Or it could go from running back to the queue between our two looks at it.
        look = look.with_for_update()
    found = (await db.execute(look)).scalar_one_or_none()
    state = None if found is None else JobState(found)
    if state is None or not may_follow(state, JobState.CANCELLED):
        return state, None
    if state is JobState.RUNNING:
        await db.execute(update(Job).where(*mine).values(cancel_requested=True))
        return state, None
    at_once = (
        update(Job)
        .where(*mine)
        .values(
            state=JobState.CANCELLED,
            reason=Reason.CANCELLED,
            error=CANCELLED_ERROR,
            not_before=None,
            finished_at=now_ms(),
            version=Job.version + 1,
        )
        .returning(*CHANGED)
    )
    rows = await fetch(db, at_once)
    return JobState.CANCELLED, change_of(rows[0])


async def retry(
    db: AsyncConnection, tenant_id: str, job_id: str, *, lifetime_ms: int
) -> Change | None:
    """Open a new generation of a job that did not complete; None when its state forbids it.

    The scheduler wakes it at its next tick.
    """
    again = (
        update(Job)
        .where(
            col(Job.id) == job_id,
            col(Job.tenant_id) == tenant_id,
            col(Job.deleted_at).is_(None),
            col(Job.state).in_([state for state in sources(JobState.QUEUED) if state in FINAL]),
        )
        .values(
            state=JobState.QUEUED,
            reason=None,
            error=None,
            generation=Job.generation + 1,
            failures=0,
            waits=0,
            crashes=0,
            lane=None,
            cancel_requested=False,
            started_at=None,
            finished_at=None,
            not_before=None,
            complete_by=now_ms() + lifetime_ms,
            wakeup_at=None,
            version=Job.version + 1,
        )
        .returning(*CHANGED)
    )
    rows = await fetch(db, again)
    return change_of(rows[0]) if rows else None


async def erase(db: AsyncConnection, tenant_id: str, job_id: str) -> Sequence[str] | None:
    """Remove the bodies of a finished job at once and leave a tombstone with its counts and cost.

    Returns the keys of blobs to remove after the commit, or None when there is no such job
    or it has not ended.
    """
    mark = (
        update(Job)
        .where(
            col(Job.id) == job_id,
            col(Job.tenant_id) == tenant_id,
            col(Job.deleted_at).is_(None),
            col(Job.state).in_(FINAL),
        )
        .values(
            deleted_at=now_ms(),
            tags={},
            error=None,
            custom_id=None,
            # Whoever names a URL may have put a secret into it.
            webhook=None,
            version=Job.version + 1,
        )
    )
    if not (await db.execute(mark)).rowcount:
        return None
    request, result = JobRequest, JobResult
    gone = delete(request).where(col(request.job_id) == job_id).returning(col(request.blob))
    blobs = list((await db.execute(gone)).scalars())
    gone_too = delete(result).where(col(result.job_id) == job_id).returning(col(result.blob))
    blobs += (await db.execute(gone_too)).scalars()
    await db.execute(delete(JobPart).where(col(JobPart.job_id) == job_id))
    await event_store.forget(db, [job_id])
    await fanout_store.forget(db, [job_id])
    return [key for key in blobs if key is not None]
