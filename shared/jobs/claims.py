"""What a worker holds and how it lets go: the values that pass between the engine and its SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import JsonValue

from shared.inference.usage import Usage
from shared.jobs.transitions import AttemptStatus, JobState, Reason


class Standing(StrEnum):
    """Whether a claim still holds when its worker is about to write."""

    HELD = "held"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job in a worker's hands, with all that its attempt needs.

    `version` is the job's after the claim: the number of the event that tells of it.
    """

    id: str
    tenant_id: str
    endpoint: str
    model: str
    priority: int
    generation: int
    claim_number: int
    failures: int
    waits: int
    crashes: int
    max_attempts: int
    on_unknown: str
    created_at: int
    complete_by: int
    time_left_ms: int
    error: dict[str, JsonValue] | None
    body: bytes | None
    blob: str | None
    version: int = 1
    webhook: Mapping[str, JsonValue] | None = None
    batch_id: str | None = None
    scheduled_at: int | None = None
    background: bool = False

    @property
    def claim(self) -> tuple[str, int]:
        """Name this claim of the job, and no earlier or later one."""
        return self.id, self.claim_number

    @property
    def is_silent(self) -> bool:
        """Tell whether nobody is told of this job: its batch speaks for it."""
        return self.batch_id is not None and self.webhook is None


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """What became of a call."""

    call: int
    status: AttemptStatus
    http_status: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    usage: Usage | None = None
    cost_nanousd: int | None = None
    first_token_ms: int | None = None
    total_ms: int | None = None
    possibly_billed: bool = False
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptStart:
    """A call about to be made.

    `earlier` is what became of calls of this claim before it, `failures` how many of them used up
    an attempt: that is kept with it, for a worker may die in any call.
    """

    job: ClaimedJob
    call: int
    deployment: str
    lane: str
    limiter_wait_ms: int
    earlier: Sequence[AttemptEnd] = ()
    failures: int = 0


@dataclass(frozen=True, slots=True)
class PartEnd:
    """One answer of a job that needs several: kept at once, with what its call cost."""

    job: ClaimedJob
    number: int
    body: bytes
    attempt: AttemptEnd


@dataclass(frozen=True, slots=True)
class Result:
    """What is kept for the client: the status and body, inline or in a blob.

    `incomplete` says that a response ended before its model had come to the end.
    """

    status_code: int
    body: bytes | None
    blob: str | None = None
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class ClaimEnd:
    """How a worker lets go of a job: a final state, or back to the queue after `delay_ms`.

    `failures` is how many of its calls failed and used up an attempt, `waited` that one was put off.
    """

    job: ClaimedJob
    state: JobState
    reason: Reason | None = None
    delay_ms: int | None = None
    failures: int = 0
    waited: bool = False
    lane: str | None = None
    error: dict[str, JsonValue] | None = None
    result: Result | None = None
    attempts: Sequence[AttemptEnd] = field(default=())
