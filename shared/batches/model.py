"""The tables of batches: the batch with its counters, what it is made of, and what is told of it."""

from enum import StrEnum
from typing import Any

from pydantic import JsonValue
from sqlalchemy import JSON, BigInteger, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class BatchState(StrEnum):
    """Stored state; that it is paused is a flag beside it."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


ENDED = frozenset(
    {BatchState.COMPLETED, BatchState.FAILED, BatchState.EXPIRED, BatchState.CANCELLED}
)


class InputKind(StrEnum):
    """What an input is: a request a line, a file (`{"custom_id", "file_id"}`) a line, or an archive."""

    JSONL = "jsonl"
    FILES = "files"
    ZIP = "zip"


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class Batch(SQLModel, table=True):
    """Many requests that end together.

    `total` counts the lines that became jobs or will; `completed + failed + cancelled + expired`
    those that ended, and those are just the ones that can be downloaded. `outcomes` is the number
    that was last given to an ended line: it only grows. `held` (a flag) keeps its waiting lines
    from being claimed: it is paused or being cancelled. `open` means that lines may still be
    added, `retrying` that failed and expired lines are being opened again,
    `purging` that what is left of it is being removed since `purged_at`. `options` is what
    holds for each line: see `shared.batches.options`. `version` numbers what is told of it.
    """

    id: str = Field(primary_key=True)
    tenant_id: str
    state: str
    held: bool = False
    paused: bool = False
    open: bool = False
    retrying: bool = False
    purging: bool = False
    version: int = 1
    endpoint: str | None = None
    model: str | None = None
    input_file_id: str | None = None
    completion_window: str
    complete_by: int = Field(sa_type=BigInteger)
    options: dict[str, JsonValue] = Field(default_factory=dict, sa_type=Json)
    tags: dict[str, str] = Field(default_factory=dict, sa_column=Column("metadata", Json))
    webhook: dict[str, JsonValue] | None = Field(default=None, sa_type=Json)
    output_life_s: int | None = None
    retention_s: int | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    outcomes: int = Field(default=0, sa_type=BigInteger)
    invalid: int = 0
    errors: list[dict[str, JsonValue]] | None = Field(default=None, sa_type=Json)
    input_tokens: int | None = Field(default=None, sa_type=BigInteger)
    output_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cached_tokens: int | None = Field(default=None, sa_type=BigInteger)
    cost_nanousd: int | None = Field(default=None, sa_type=BigInteger)
    output_file_id: str | None = None
    error_file_id: str | None = None
    told_at: int | None = Field(default=None, sa_type=BigInteger)
    told_ended: int = 0
    created_at: int = Field(sa_type=BigInteger)
    in_progress_at: int | None = Field(default=None, sa_type=BigInteger)
    finalizing_at: int | None = Field(default=None, sa_type=BigInteger)
    cancelling_at: int | None = Field(default=None, sa_type=BigInteger)
    finished_at: int | None = Field(default=None, sa_type=BigInteger)
    purged_at: int | None = Field(default=None, sa_type=BigInteger)

    __table_args__ = (
        Index("batch_by_tenant", "tenant_id", "created_at", "id"),
        Index("batch_alive", "created_at", **_where("finished_at IS NULL")),
        Index("batch_held", "id", **_where("held")),
        Index("batch_purging", "id", **_where("purging")),
        Index(
            "batch_past", "finished_at", **_where("finished_at IS NOT NULL AND purged_at IS NULL")
        ),
    )


class BatchInput(SQLModel, table=True):
    """A pile of lines that came at once: the batch's file, or what was appended later.

    First every line is checked (`checked`, `lines` valid ones found), then stored as jobs:
    `stored_bytes` and `stored_lines` (read, whether valid or not) are how far that has come,
    `stored_jobs` is how many jobs it gave. `first_line` is the number that its first line has.
    """

    __tablename__ = "batch_input"

    batch_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    kind: str = InputKind.JSONL
    blob: str
    file_id: str | None = None
    bytes: int = Field(sa_type=BigInteger)
    checked: bool = False
    lines: int = 0
    first_line: int = 1
    stored: bool = False
    stored_bytes: int = Field(default=0, sa_type=BigInteger)
    stored_lines: int = 0
    stored_jobs: int = 0

    __table_args__ = (
        Index("batch_input_blob", "blob"),
        Index("batch_input_unread", "blob", **_where("NOT stored")),
    )


class BatchEvent(SQLModel, table=True):
    """What was told of a batch, as it stood then; `number` is the batch's version."""

    __tablename__ = "batch_event"

    batch_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    type: str
    data: dict[str, JsonValue] = Field(default_factory=dict, sa_type=Json)
    created_at: int = Field(sa_type=BigInteger)
