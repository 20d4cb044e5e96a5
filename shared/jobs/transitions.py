"""The states of a job, and the one table of which may follow which."""

from enum import StrEnum


class JobState(StrEnum):
    """Stored state; `waiting` is not one of them: it is `queued` with a `not_before`."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class AttemptStatus(StrEnum):
    """What became of one call to a provider."""

    STARTED = "started"
    OK = "ok"
    ERROR = "error"
    UNKNOWN = "unknown"
    INTERRUPTED = "interrupted"


class Reason(StrEnum):
    """Why a job waits, or why it ended as it did."""

    RATE_LIMITED = "rate_limited"
    CONCURRENCY = "concurrency"
    BACKOFF = "backoff"
    PROVIDER_PAUSED = "provider_paused"
    OVERLOADED = "overloaded"
    PROVIDER_DOWN = "provider_down"
    QUOTA_EXHAUSTED = "quota_exhausted"
    LIMITER_UNAVAILABLE = "limiter_unavailable"
    INTERRUPTED = "interrupted"
    RESCUED = "rescued"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    REJECTED = "rejected"
    UNKNOWN_OUTCOME = "unknown_outcome"
    POISON = "poison"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    INVALID_DOCUMENT = "invalid_document"
    SCHEMA_MISMATCH = "schema_mismatch"
    RESULT_TOO_LARGE = "result_too_large"
    INTERNAL_ERROR = "internal_error"
    DEFAULT_ANSWER = "default_answer"


CANCELLED = (
    "The job was cancelled: its owner asked for it, or the caller who waited for it went away."
)
"""What its error says then."""


class Priority(StrEnum):
    """How a client ranks a job."""

    INTERACTIVE = "interactive"
    STANDARD = "standard"
    BULK = "bulk"

    @property
    def rank(self) -> int:
        """Order for the database: 0 goes first."""
        return _RANKS[self]

    @classmethod
    def of_rank(cls, rank: int) -> "Priority":
        """Return the priority that has this rank."""
        return _BY_RANK[rank]


# Every job asks, often: an enum is slow to list its members.
_BY_RANK = tuple(Priority)
_RANKS = {priority: rank for rank, priority in enumerate(_BY_RANK)}

FINAL = frozenset(
    {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED},
)
OPEN = frozenset(JobState) - FINAL

FOLLOWS: dict[JobState, frozenset[JobState]] = {
    JobState.SCHEDULED: frozenset({JobState.QUEUED, JobState.CANCELLED, JobState.EXPIRED}),
    # Completed by nobody's call only where its route has an answer of its own.
    JobState.QUEUED: frozenset({JobState.RUNNING, *FINAL} - {JobState.FAILED}),
    JobState.RUNNING: FINAL | {JobState.QUEUED},
    # Only a retry, which opens a new generation, leaves these two.
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.EXPIRED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
    JobState.COMPLETED: frozenset(),
}


def may_follow(current: JobState, to: JobState) -> bool:
    """Tell whether a job may go from one state to the other."""
    return to in FOLLOWS[current]


def sources(to: JobState) -> list[JobState]:
    """List the states from which one may be reached, for the WHERE clause that guards a write."""
    return [state for state in JobState if may_follow(state, to)]
