"""SQL of jobs as their tenant sees them: insert, read, list."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Float,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import Row, cut_page, fetch, insert_on_conflict, now_ms
from shared.jobs.model import (
    UNSUCCESSFUL,
    WAITING,
    Attempt,
    IdempotencyKey,
    Job,
    JobRequest,
    JobResult,
    in_state,
)
from shared.jobs.transitions import JobState

JOBS = Job.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """An idempotency key that a submit brings, and what the request looked like."""

    tenant_id: str
    key: str
    fingerprint: str
    job_id: str
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class StoredKey:
    """The first use of an idempotency key."""

    fingerprint: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; None means any. `waiting` stands for queued with a reason."""

    status: str | None = None
    endpoint: str | None = None
    batch_id: str | None = None
    tag: tuple[str, str] | None = None
    created_after: int | None = None
    created_before: int | None = None


async def reserve_keys(
    db: AsyncConnection, claims: Sequence[KeyClaim]
) -> dict[tuple[str, str], StoredKey]:
    """Store the keys that are new or expired; return the first use of each that is taken."""
    ordered = sorted(claims, key=lambda claim: (claim.tenant_id, claim.key))
    rows = [
        {
            "tenant_id": claim.tenant_id,
            "key": claim.key,
            "fingerprint": claim.fingerprint,
            "job_id": claim.job_id,
            "expires_at": now_ms() + claim.ttl_ms,
        }
        for claim in ordered
    ]
    statement = insert_on_conflict(db, IdempotencyKey).values(rows)
    fresh = statement.on_conflict_do_update(
        index_elements=["tenant_id", "key"],
        set_={name: statement.excluded[name] for name in ("fingerprint", "job_id", "expires_at")},
        where=col(IdempotencyKey.expires_at) < now_ms(),
    ).returning(col(IdempotencyKey.tenant_id), col(IdempotencyKey.key))
    stored = {(row.tenant_id, row.key) for row in await db.execute(fresh)}
    taken = [(c.tenant_id, c.key) for c in ordered if (c.tenant_id, c.key) not in stored]
    if not taken:
        return {}
    table = IdempotencyKey
    query = select(col(table.tenant_id), col(table.key), col(table.fingerprint), col(table.job_id))
    query = query.where(tuple_(col(table.tenant_id), col(table.key)).in_(taken))
    return {
        (row.tenant_id, row.key): StoredKey(row.fingerprint, row.job_id)
        for row in await db.execute(query)
    }


async def insert_jobs(
    db: AsyncConnection, jobs: Sequence[Mapping[str, Any]], requests: Sequence[Mapping[str, Any]]
) -> None:
    """Insert hot rows and their bodies; every mapping must have the same keys."""
    await db.execute(_ADD_JOBS, list(jobs))
    await db.execute(_ADD_REQUESTS, list(requests))


_ADD_JOBS, _ADD_REQUESTS = insert(JOBS), insert(JobRequest)


async def get(db: AsyncConnection, tenant_id: str, job_id: str) -> Row | None:
    """Return the hot row, also of a deleted job; None when the tenant has no such job."""
    found = await lookup(db, tenant_id, [job_id])
    return found[0] if found else None


async def lookup(db: AsyncConnection, tenant_id: str, ids: Sequence[str]) -> Sequence[Row]:
    """Return the hot rows of those ids that the tenant has, in no order."""
    found = await db.execute(_LOOKUP, {"ids": ids, "tenant": tenant_id})
    return cast("Sequence[Row]", found.mappings().all())


# Built once: SQLAlchemy takes longer to put a statement together than SQLite to perform it.
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_LOOKUP = select(JOBS).where(col(Job.id).in_(_IDS), col(Job.tenant_id) == bindparam("tenant"))


async def rows_of(db: AsyncConnection, ids: Iterable[str]) -> dict[str, Row]:
    """Return the hot rows of these jobs, whosever they are, by id."""
    query = select(JOBS).where(col(Job.id).in_(list(ids)))
    return {row["id"]: row for row in await fetch(db, query)}


async def attempts_of(db: AsyncConnection, ids: Sequence[str]) -> Sequence[Row]:
    """Return every attempt of these jobs, oldest first."""
    found = await db.execute(_ATTEMPTS_OF, {"ids": ids})
    return cast("Sequence[Row]", found.mappings().all())


_ATTEMPTS_OF = (
    select(Attempt.__table__)  # type: ignore[attr-defined]
    .where(col(Attempt.job_id).in_(_IDS))
    .order_by(col(Attempt.job_id), col(Attempt.claim_number), col(Attempt.call))
)


async def results_of(db: AsyncConnection, ids: Sequence[str]) -> dict[str, Row]:
    """Return the result row of each job's current generation, by job id."""
    found = await db.execute(_RESULTS_OF, {"ids": ids})
    return {row["job_id"]: row for row in cast("Sequence[Row]", found.mappings().all())}


_RESULTS_OF = (
    select(JobResult.__table__)  # type: ignore[attr-defined]
    .join(
        JOBS,
        and_(
            col(Job.id) == col(JobResult.job_id), col(Job.generation) == col(JobResult.generation)
        ),
    )
    .where(col(JobResult.job_id).in_(_IDS))
)


async def request_of(db: AsyncConnection, job_id: str) -> Row | None:
    """Return what is to be sent, `body` or the key of its `blob`; None when it is gone."""
    request = JobRequest
    query = select(col(request.body), col(request.blob)).where(col(request.job_id) == job_id)
    found = await fetch(db, query)
    return found[0] if found else None


async def page(
    db: AsyncConnection,
    tenant_id: str,
    filters: Filters,
    *,
    after: tuple[int, str] | None,
    ascending: bool,
    limit: int,
) -> Sequence[Row]:
    """Return hot rows in order of (created_at, id), beginning behind `after`."""
    query = _narrow(select(JOBS), filters).where(
        col(Job.tenant_id) == tenant_id, col(Job.deleted_at).is_(None)
    )
    columns = (col(Job.created_at), col(Job.id))
    cut = cut_page(query, columns, after=after, ascending=ascending, limit=limit)
    return await fetch(db, cut)


def _narrow(query: Select[Any], filters: Filters) -> Select[Any]:
    if filters.status is not None:
        query = query.where(*_with_status(filters.status))
    if filters.endpoint is not None:
        query = query.where(col(Job.endpoint) == filters.endpoint)
    if filters.batch_id is not None:
        query = query.where(_of_batch(filters.batch_id))
    if filters.tag is not None:
        name, text = filters.tag
        query = query.where(col(Job.tags)[name].as_string() == text)
    if filters.created_after is not None:
        query = query.where(col(Job.created_at) >= filters.created_after)
    if filters.created_before is not None:
        query = query.where(col(Job.created_at) < filters.created_before)
    return query


def _with_status(status: str) -> Sequence[ColumnElement[bool]]:
    if status == "waiting":
        return (*_with_state(JobState.QUEUED), col(Job.not_before).is_not(None))
    state = JobState(status)
    if state is JobState.QUEUED:
        return (*_with_state(state), col(Job.not_before).is_(None))
    return _with_state(state)


def _with_state(state: JobState) -> Sequence[ColumnElement[bool]]:
    # SQLite only uses a partial index whose very words it finds.
    words = (in_state(*group) for group in (WAITING, UNSUCCESSFUL) if state in group)
    return (in_state(state), *words)


def _of_batch(batch_id: str) -> ColumnElement[bool]:
    # For each of these there is an index: a line has its number, or it waits, or it runs.
    each = (col(Job.outcome_number).is_not(None), in_state(*WAITING), in_state(JobState.RUNNING))
    return or_(*(and_(col(Job.batch_id) == batch_id, its) for its in each))


async def backlog(db: AsyncConnection) -> dict[str, tuple[int, int, int]]:
    """Return (jobs, bytes, tokens) that wait, by tenant."""
    # As floats: two absurd numbers of tokens must not be more than a sum can hold.
    size, tokens = func.sum(col(Job.request_bytes)), func.sum(cast_to(col(Job.tokens), Float))
    query = (
        select(col(Job.tenant_id), func.count(), size, tokens)
        .where(in_state(*WAITING))
        .group_by(col(Job.tenant_id))
    )
    return {
        row[0]: (int(row[1]), int(row[2] or 0), int(row[3] or 0)) for row in await db.execute(query)
    }


async def forget_keys(db: AsyncConnection) -> None:
    """Remove idempotency keys past their time."""
    await db.execute(delete(IdempotencyKey).where(col(IdempotencyKey.expires_at) < now_ms()))
