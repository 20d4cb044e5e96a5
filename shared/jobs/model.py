"""The tables of a job: the hot row, its bodies (written once), its attempts, its idempotency key."""

from typing import Any

from pydantic import JsonValue
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Index,
    LargeBinary,
    false,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel, col

from shared.jobs.transitions import JobState

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


WAITING = (JobState.QUEUED, JobState.SCHEDULED)
UNSUCCESSFUL = (JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED)


def in_state(*states: JobState) -> ColumnElement[bool]:
    """Compare `Job.state` with literals: a partial index is only used where the plan can see them."""
    literals: list[ColumnElement[str]] = [literal_column(f"'{state.value}'") for state in states]
    state = col(Job.state)
    return state == literals[0] if len(literals) == 1 else state.in_(literals)


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class Job(SQLModel, table=True):
    """One request to one endpoint. Small, because every change rewrites it.

    `claim_number` grows with each claim and is, together with `owner`, the fence.
    `failures` counts the attempts that consumed the budget, `waits` the back-offs in a row,
    `crashes` the deaths of a worker that held the job. `wakeup_at` is when a message was
    last promised for it; NULL means that one is due. `webhook` is `{"url", "events"}`.

    `line` is its place in its batch's input, `outcome_number` the one among the lines that ended.
    `tokens` is what its call is taken to need. While `held` says why, nobody may claim it.
    `twin_key` is the same for jobs of one tenant that ask the same, where one answer may serve
    all; `follows` then names the one that asks. `background` marks a response of OpenAI's that
    nobody waits for: its end is told in their words too.
    """

    id: str = Field(primary_key=True)
    tenant_id: str
    endpoint: str
    model: str
    state: str
    reason: str | None = None
    priority: int
    generation: int = 1
    version: int = 1
    claim_number: int = 0
    failures: int = 0
    waits: int = 0
    crashes: int = 0
    max_attempts: int
    on_unknown: str
    owner: str | None = None
    lease_expires_at: int | None = Field(default=None, sa_type=BigInteger)
    cancel_requested: bool = False
    created_at: int = Field(sa_type=BigInteger)
    scheduled_at: int | None = Field(default=None, sa_type=BigInteger)
    not_before: int | None = Field(default=None, sa_type=BigInteger)
    started_at: int | None = Field(default=None, sa_type=BigInteger)
    finished_at: int | None = Field(default=None, sa_type=BigInteger)
    complete_by: int = Field(sa_type=BigInteger)
    wakeup_at: int | None = Field(default=None, sa_type=BigInteger)
    deleted_at: int | None = Field(default=None, sa_type=BigInteger)
    request_bytes: int
    lane: str | None = None
    error: dict[str, JsonValue] | None = Field(default=None, sa_type=Json)
    input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cached_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cost_nanousd: int | None = Field(default=None, sa_type=BigInteger)
    cached: bool = False
    background: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    custom_id: str | None = None
    batch_id: str | None = None
    line: int | None = None
    outcome_number: int | None = Field(default=None, sa_type=BigInteger)
    tokens: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    held: str | None = None
    twin_key: str | None = None
    follows: str | None = None
    tags: dict[str, str] = Field(default_factory=dict, sa_column=Column("metadata", Json))
    webhook: dict[str, JsonValue] | None = Field(default=None, sa_type=Json)

    __table_args__ = (
        # Partial indexes: the finished millions cost the engine's queries nothing.
        Index("job_by_tenant", "tenant_id", "created_at", "id"),
        # Those among the millions that somebody asks for.
        Index(
            "job_failed",
            "tenant_id",
            "state",
            "created_at",
            "id",
            **_where("state IN ('failed', 'cancelled', 'expired')"),
        ),
        Index("job_running", "lease_expires_at", "lane", "state", **_where("state = 'running'")),
        # Not in the order of the queue: no plan may walk all of it for one tenant's first job.
        Index("job_queued", "model", **_where("state = 'queued'")),
        # All that the dispatcher reads of a job: it never looks at the rows themselves.
        Index(
            "job_due",
            "lane",
            "tenant_id",
            "priority",
            "created_at",
            "id",
            "not_before",
            "tokens",
            "crashes",
            "model",
            "batch_id",
            # Always the same; without them SQLite would look at the rows to be sure of it.
            "state",
            "wakeup_at",
            "held",
            **_where("state = 'queued' AND wakeup_at IS NULL AND held IS NULL"),
        ),
        Index(
            "job_woken",
            "priority",
            "wakeup_at",
            "lane",
            "tenant_id",
            **_where("state = 'queued' AND wakeup_at IS NOT NULL"),
        ),
        Index("job_scheduled", "not_before", **_where("state = 'scheduled'")),
        Index("job_deadline", "complete_by", **_where("state IN ('queued', 'scheduled')")),
        # A tenant's list of what waits, and the sums over it.
        Index(
            "job_backlog",
            "tenant_id",
            "created_at",
            "id",
            "request_bytes",
            "tokens",
            **_where("state IN ('queued', 'scheduled')"),
        ),
        Index(
            "job_line_waiting",
            "batch_id",
            "held",
            "id",
            **_where("batch_id IS NOT NULL AND state IN ('queued', 'scheduled')"),
        ),
        Index(
            "job_line_ended",
            "batch_id",
            "outcome_number",
            **_where("outcome_number IS NOT NULL"),
        ),
        # Empty, unless a worker of an older version ends lines: it counts none.
        Index(
            "job_uncounted",
            "id",
            **_where("batch_id IS NOT NULL AND outcome_number IS NULL AND finished_at IS NOT NULL"),
        ),
        Index(
            "job_twin",
            "twin_key",
            **_where("twin_key IS NOT NULL AND state IN ('queued', 'scheduled', 'running')"),
        ),
        Index("job_following", "follows", **_where("state = 'queued' AND held = 'coalesced'")),
        # What retention reads: lines of batches go with their batch.
        Index(
            "job_past",
            "tenant_id",
            "finished_at",
            "id",
            **_where("finished_at IS NOT NULL AND batch_id IS NULL"),
        ),
    )


CHANGED = (
    col(Job.id),
    col(Job.tenant_id),
    col(Job.version),
    col(Job.state),
    col(Job.reason),
    col(Job.not_before),
    col(Job.webhook),
    col(Job.batch_id),
    col(Job.background),
)
"""The columns from which a change is told."""


class JobRequest(SQLModel, table=True):
    """What is to be sent: the body as JSON bytes, or the key of the blob that holds it."""

    __tablename__ = "job_request"

    job_id: str = Field(primary_key=True)
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    blob: str | None = None

    __table_args__ = (Index("job_request_blob", "blob", **_where("blob IS NOT NULL")),)


class JobResult(SQLModel, table=True):
    """What came back: one row for each generation of a job, and the database sees to that."""

    __tablename__ = "job_result"

    job_id: str = Field(primary_key=True)
    generation: int = Field(primary_key=True)
    status_code: int
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    blob: str | None = None
    created_at: int = Field(sa_type=BigInteger)

    __table_args__ = (Index("job_result_blob", "blob", **_where("blob IS NOT NULL")),)


class Attempt(SQLModel, table=True):
    """One call to a provider; its row is written before the send.

    `dropped` names what of the request was left out, because the provider knows no such thing.
    """

    job_id: str = Field(primary_key=True)
    claim_number: int = Field(primary_key=True)
    call: int = Field(primary_key=True)
    generation: int
    deployment: str
    lane: str
    owner: str
    status: str
    http_status: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    started_at: int = Field(sa_type=BigInteger)
    finished_at: int | None = Field(default=None, sa_type=BigInteger)
    limiter_wait_ms: int = 0
    first_token_ms: int | None = None
    total_ms: int | None = None
    input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cached_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cost_nanousd: int | None = Field(default=None, sa_type=BigInteger)
    possibly_billed: bool = False
    late: bool = False
    dropped: list[str] | None = Field(default=None, sa_type=Json)


class IdempotencyKey(SQLModel, table=True):
    """A client's promise that a request with this key is the same request."""

    __tablename__ = "idempotency_key"

    tenant_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    job_id: str = Field(index=True)
    expires_at: int = Field(sa_type=BigInteger, index=True)
