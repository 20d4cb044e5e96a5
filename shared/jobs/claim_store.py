"""SQL of a worker's hold on jobs: claim, renew, and the fence before every later write."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    String,
    bindparam,
    case,
    column,
    func,
    insert,
    literal_column,
    or_,
    select,
    table,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import chunks, now_ms
from shared.jobs.claims import ClaimedJob, ClaimEnd, Result, Standing
from shared.jobs.model import Job, JobRequest, JobResult, in_state
from shared.jobs.prepared_store import among_ids, many_ids, perform_many
from shared.jobs.transitions import JobState

IDS_PER_STATEMENT = 500
ANY_NUMBER = 2**31 - 1
NO_NUMBERS: Mapping[str, int] = MappingProxyType({})


async def claim(
    db: AsyncConnection,
    ids: Sequence[str],
    *,
    owner: str,
    lease_ms: int,
    most_crashes: int | None = None,
) -> list[ClaimedJob]:
    """Take those of the jobs that are ready; another worker's, or a finished one, is left out.

    So are, where `most_crashes` is given, jobs that have outlived more workers than that.
    """
    dialect = db.dialect.name
    most = ANY_NUMBER if most_crashes is None else most_crashes
    wanted = {
        "ids": many_ids(dialect, ids),
        "claimer": owner,
        "lease_ms": lease_ms,
        "most_crashes": most,
    }
    jobs = [ClaimedJob(*row) for row in await db.execute(_take(dialect), wanted)]
    return sorted(jobs, key=lambda job: (job.priority, job.created_at, job.id))


def _of_request(column: Any) -> Any:
    stored = select(col(column)).where(col(JobRequest.job_id) == col(Job.id))
    return stored.scalar_subquery().label(column.key)


def _claimed() -> list[Any]:
    known = {
        "time_left_ms": (col(Job.complete_by) - now_ms()).label("time_left_ms"),
        # With the claim, not after it: a lone job's way has enough statements.
        "body": _of_request(JobRequest.body),
        "blob": _of_request(JobRequest.blob),
    }
    # In the order in which a claimed job takes them.
    names = [each.name for each in fields(ClaimedJob)]
    return [known[name] if name in known else col(getattr(Job, name)) for name in names]


_READY = (
    in_state(JobState.QUEUED),
    func.coalesce(col(Job.not_before), 0) <= now_ms(),
    col(Job.complete_by) > now_ms(),
    col(Job.crashes) <= bindparam("most_crashes", type_=Integer),
    col(Job.held).is_(None),
    # A batch that is paused or cancelled holds all its lines at once, long before each is marked.
    or_(
        col(Job.batch_id).is_(None),
        col(Job.batch_id).not_in(
            select(column("id")).select_from(table("batch")).where(literal_column("held"))
        ),
    ),
)
# Built once: SQLAlchemy takes longer to put a statement together than SQLite to perform it.
_CLAIM = (
    update(Job)
    .values(
        state=JobState.RUNNING,
        reason=None,
        not_before=None,
        owner=bindparam("claimer"),
        claim_number=Job.claim_number + 1,
        version=Job.version + 1,
        lease_expires_at=now_ms() + bindparam("lease_ms", type_=BigInteger),
        started_at=func.coalesce(col(Job.started_at), now_ms()),
    )
    .returning(*_claimed())
)


@cache
def _take(dialect: str) -> Any:
    ready = (among_ids(dialect, col(Job.id)), *_READY)
    if dialect != "postgresql":
        return _CLAIM.where(*ready)
    free = select(col(Job.id)).where(*ready).with_for_update(skip_locked=True)
    return _CLAIM.where(col(Job.id).in_(free))


async def renew(
    db: AsyncConnection, ids: Sequence[str], *, owner: str, lease_ms: int
) -> dict[str, bool]:
    """Extend the leases still held; return them with whether their cancellation was asked for."""
    held: dict[str, bool] = {}
    for some in chunks(sorted(ids), IDS_PER_STATEMENT):
        mine = [col(Job.id).in_(some), col(Job.owner) == owner, in_state(JobState.RUNNING)]
        if db.dialect.name == "postgresql":
            # In the order in which the fence locks, or the two could wait for each other.
            locked = select(col(Job.id)).where(*mine).order_by(col(Job.id)).with_for_update()
            mine = [col(Job.id).in_(locked)]
        extend = (
            update(Job)
            .where(*mine)
            .values(lease_expires_at=now_ms() + lease_ms)
            .returning(col(Job.id), col(Job.cancel_requested))
        )
        held.update({row.id: row.cancel_requested for row in await db.execute(extend)})
    return held


async def fence(
    db: AsyncConnection, jobs: Sequence[ClaimedJob], *, owner: str
) -> dict[tuple[str, int], Standing]:
    """Return the standing of the claims that still hold; those not in it are lost.

    Every write of a worker goes through here: who lost the lease changes nothing. The rows
    stay locked until the transaction ends (SQLite has one writer at a time anyway).
    """
    claims = {job.claim for job in jobs}
    dialect = db.dialect.name
    wanted = {"ids": many_ids(dialect, [job_id for job_id, _ in claims]), "holder": owner}
    return {
        (job_id, number): Standing.CANCELLED if cancel_requested else Standing.HELD
        for job_id, number, cancel_requested in await db.execute(_held(dialect), wanted)
        if (job_id, number) in claims
    }


@cache
def _held(dialect: str) -> Any:
    query = select(col(Job.id), col(Job.claim_number), col(Job.cancel_requested)).where(
        among_ids(dialect, col(Job.id)),
        col(Job.owner) == bindparam("holder"),
        in_state(JobState.RUNNING),
    )
    return query.order_by(col(Job.id)).with_for_update() if dialect == "postgresql" else query


async def end_claims(
    db: AsyncConnection, ends: Sequence[ClaimEnd], numbers: Mapping[str, int] = NO_NUMBERS
) -> None:
    """Write the new states and the results of claims that still hold (after the fence).

    `numbers` are the outcome numbers of lines of batches that end with it.
    """
    results = [_result_row(end, end.result) for end in ends if end.result is not None]
    if results:
        await perform_many(db, _ADD_RESULTS, results)
    finals = [
        {**_row(end), "outcome": numbers.get(end.job.id)}
        for end in ends
        if end.state != JobState.QUEUED
    ]
    if finals:
        await perform_many(db, _END_FINALLY, finals)
    waits = [_waiting_row(end) for end in ends if end.state == JobState.QUEUED]
    if waits:
        await perform_many(db, _END_WAITING, waits)


_ADD_RESULTS = insert(JobResult).values(created_at=now_ms())


def _added(column: Any, name: str) -> Any:
    # What one call cost joins what earlier ones did; unknown plus known is known.
    more = bindparam(name, type_=BigInteger)
    return func.coalesce(column + more, column, more)


_MORE_COSTS = {
    "input_tokens": _added(Job.input_tokens, "more_input"),
    "output_tokens": _added(Job.output_tokens, "more_output"),
    "cached_tokens": _added(Job.cached_tokens, "more_cached"),
    "cost_nanousd": _added(Job.cost_nanousd, "more_cost"),
}
_END = (
    update(Job)
    .where(col(Job.id) == bindparam("at_job"))
    .values(
        owner=None,
        lease_expires_at=None,
        version=Job.version + 1,
        failures=Job.failures + bindparam("more_failures", type_=Integer),
        # It stays in the lane where it queues, wherever its last call went.
        lane=func.coalesce(col(Job.lane), bindparam("went", type_=String)),
        # A claim that made no call says nothing of the provider: the back-off stays as it is.
        waits=case(
            (bindparam("waited", type_=Integer) == 1, Job.waits + 1),
            (bindparam("called", type_=Integer) == 0, Job.waits),
            else_=0,
        ),
        **_MORE_COSTS,
    )
)


_END_FINALLY = _END.values(
    finished_at=now_ms(), not_before=None, outcome_number=bindparam("outcome", type_=BigInteger)
)
_END_WAITING = _END.values(
    not_before=now_ms() + bindparam("delay_ms", type_=BigInteger), wakeup_at=None
)


async def add_progress(db: AsyncConnection, progress: Sequence[ClaimEnd]) -> None:
    """Add what calls cost to jobs whose claim goes on (after the fence), and how many failed in it so far."""
    for each in progress:
        failures = each.job.failures + each.failures
        await db.execute(_GOES_ON, {**_costs(each), "failures_now": failures})


_GOES_ON = (
    update(Job)
    .where(col(Job.id) == bindparam("at_job"))
    .values(
        failures=case(
            (
                col(Job.failures) < bindparam("failures_now", type_=Integer),
                bindparam("failures_now"),
            ),
            else_=col(Job.failures),
        ),
        **_MORE_COSTS,
    )
)


def _row(end: ClaimEnd) -> dict[str, Any]:
    return {
        **_costs(end),
        "state": end.state,
        "reason": end.reason,
        "went": end.lane,
        "error": end.error,
        "more_failures": end.failures,
        "waited": int(end.waited),
        "called": int(bool(end.attempts)),
    }


def _costs(end: ClaimEnd) -> dict[str, Any]:
    usages = [attempt.usage for attempt in end.attempts if attempt.usage is not None]
    costs = [each.cost_nanousd for each in end.attempts if each.cost_nanousd is not None]
    return {
        "at_job": end.job.id,
        "more_input": sum(usage.input_tokens for usage in usages) if usages else None,
        "more_output": sum(usage.output_tokens for usage in usages) if usages else None,
        "more_cached": sum(usage.cached_tokens for usage in usages) if usages else None,
        "more_cost": sum(costs) if costs else None,
    }


def _waiting_row(end: ClaimEnd) -> dict[str, Any]:
    return {**_row(end), "delay_ms": end.delay_ms or 0}


def _result_row(end: ClaimEnd, result: Result) -> Mapping[str, Any]:
    return {
        "job_id": end.job.id,
        "generation": end.job.generation,
        "status_code": result.status_code,
        "body": result.body,
        "blob": result.blob,
    }
