"""SQL of calls: their rows are written before the send and completed after it, behind the fence."""

from collections.abc import Container, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import insert_into, now_ms
from shared.jobs.claims import AttemptEnd, AttemptStart, ClaimedJob, ClaimEnd
from shared.jobs.model import Attempt
from shared.jobs.prepared_store import perform_many
from shared.jobs.transitions import AttemptStatus, JobState


async def start_attempts(db: AsyncConnection, starts: Sequence[AttemptStart], owner: str) -> None:
    """Write the attempt rows of calls that are about to be made (after the fence)."""
    rows = [
        {
            "job_id": start.job.id,
            "claim_number": start.job.claim_number,
            "call": start.call,
            "generation": start.job.generation,
            "deployment": start.deployment,
            "lane": start.lane,
            "owner": owner,
            "limiter_wait_ms": start.limiter_wait_ms,
        }
        for start in starts
    ]
    await perform_many(db, _start(db.dialect.name), rows)


@cache
def _start(dialect: str) -> Any:
    statement = insert_into(dialect, Attempt).values(
        status=AttemptStatus.STARTED, started_at=now_ms(), possibly_billed=False, late=False
    )
    # The row may be there from a commit whose answer was lost; the fence says that it is ours.
    return statement.on_conflict_do_nothing()


async def failures(db: AsyncConnection, job: ClaimedJob) -> list[tuple[str, str]]:
    """Return who failed in earlier claims of a job's generation, and by which code."""
    query = select(col(Attempt.deployment), col(Attempt.error_code)).where(
        col(Attempt.job_id) == job.id,
        col(Attempt.generation) == job.generation,
        col(Attempt.status) == AttemptStatus.ERROR,
        col(Attempt.error_code).is_not(None),
    )
    return [(row.deployment, row.error_code) for row in await db.execute(query)]


async def end_attempts(
    db: AsyncConnection, ends: Sequence[ClaimEnd], held: Container[tuple[str, int]]
) -> None:
    """Write what became of the calls, also of those whose claim was lost: they cost all the same."""
    rows = [
        _attempt_row(end, attempt, late=end.job.claim not in held)
        for end in ends
        for attempt in end.attempts
    ]
    if not rows:
        return
    await perform_many(db, _END_ATTEMPTS, rows)


async def end_earlier(db: AsyncConnection, starts: Sequence[AttemptStart]) -> list[ClaimEnd]:
    """Write what became of calls while their claims go on (after the fence); return what is new of it.

    The very same may be there from a commit whose answer was lost: it has been counted.
    """
    new = []
    for start in starts:
        end = ClaimEnd(start.job, JobState.RUNNING, failures=start.failures)
        rows = [(each, _attempt_row(end, each, late=False)) for each in start.earlier]
        counts = [(each, (await db.execute(_END_EARLIER, row)).rowcount) for each, row in rows]
        if some := [each for each, count in counts if count]:
            new.append(replace(end, attempts=tuple(some)))
    return new


_END_ATTEMPTS = (
    update(Attempt)
    .where(
        col(Attempt.job_id) == bindparam("at_job"),
        col(Attempt.claim_number) == bindparam("at_claim"),
        col(Attempt.call) == bindparam("at_call"),
        # One that the rescue has called unknown is known after all. (IN cannot be sent many at once.)
        or_(
            col(Attempt.status) == AttemptStatus.STARTED,
            col(Attempt.status) == AttemptStatus.UNKNOWN,
        ),
    )
    .values(finished_at=now_ms())
)


_END_EARLIER = _END_ATTEMPTS.where(col(Attempt.status) == AttemptStatus.STARTED)


def _attempt_row(end: ClaimEnd, attempt: AttemptEnd, *, late: bool) -> dict[str, Any]:
    usage = attempt.usage
    return {
        "at_job": end.job.id,
        "at_claim": end.job.claim_number,
        "at_call": attempt.call,
        "status": attempt.status,
        "http_status": attempt.http_status,
        "error_code": attempt.error_code,
        "error_message": attempt.error_message,
        "input_tokens": usage and usage.input_tokens,
        "output_tokens": usage and usage.output_tokens,
        "cached_tokens": usage and usage.cached_tokens,
        "cost_nanousd": attempt.cost_nanousd,
        "first_token_ms": attempt.first_token_ms,
        "total_ms": attempt.total_ms,
        "possibly_billed": attempt.possibly_billed,
        "dropped": list(attempt.dropped) or None,
        "late": late,
    }
