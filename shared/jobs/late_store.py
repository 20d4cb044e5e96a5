"""SQL of jobs whose time is over while they wait, and for which their route has an answer of its own."""

from collections.abc import Mapping, Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import Row, fetch, now_ms
from shared.jobs.changes import Change, change_of
from shared.jobs.model import CHANGED, Job, JobRequest, JobResult, in_state
from shared.jobs.transitions import JobState, Reason

OK = 200


async def late(
    db: AsyncConnection, models: Sequence[str], endpoints: Sequence[str], *, limit: int
) -> list[Row]:
    """Lock jobs of these that wait past their deadline; lines of batches are none of them."""
    query = (
        select(
            col(Job.id),
            col(Job.generation),
            col(Job.endpoint),
            col(Job.model),
            col(Job.created_at),
            col(JobRequest.body),
        )
        .join(JobRequest, col(JobRequest.job_id) == col(Job.id), isouter=True)
        .where(
            in_state(JobState.QUEUED),
            col(Job.complete_by) <= now_ms(),
            col(Job.model).in_(models),
            col(Job.endpoint).in_(endpoints),
            col(Job.batch_id).is_(None),
        )
        .limit(limit)
    )
    if db.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True, of=Job)
    return [dict(row) for row in (await db.execute(query)).mappings()]


async def complete(
    db: AsyncConnection, jobs: Sequence[Row], answers: Mapping[str, bytes]
) -> list[Change]:
    """Complete the jobs with these answers, by their ids."""
    end = (
        update(Job)
        .where(col(Job.id).in_(answers), in_state(JobState.QUEUED))
        .values(
            state=JobState.COMPLETED,
            reason=Reason.DEFAULT_ANSWER,
            not_before=None,
            finished_at=now_ms(),
            version=Job.version + 1,
        )
        .returning(*CHANGED)
    )
    changes = [change_of(row) for row in await fetch(db, end)]
    ended = {each.job_id for each in changes}
    rows = [
        {
            "job_id": job["id"],
            "generation": job["generation"],
            "status_code": OK,
            "body": answers[job["id"]],
        }
        for job in jobs
        if job["id"] in ended
    ]
    if rows:
        await db.execute(insert(JobResult).values(created_at=now_ms()), rows)
    return changes
