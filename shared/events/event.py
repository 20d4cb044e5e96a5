"""What happened to a job, as clients and webhook receivers see it; pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from shared.clock import rfc3339


class EventType(StrEnum):
    """The changes of a job's public status, and what is told of batches and of responses."""

    SCHEDULED = "job.scheduled"
    QUEUED = "job.queued"
    STARTED = "job.started"
    WAITING = "job.waiting"
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"
    EXPIRED = "job.expired"
    BATCH_PROGRESS = "batch.progress"
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_EXPIRED = "batch.expired"
    BATCH_CANCELLED = "batch.cancelled"
    RESPONSE_COMPLETED = "response.completed"
    RESPONSE_FAILED = "response.failed"
    RESPONSE_CANCELLED = "response.cancelled"
    RESPONSE_INCOMPLETE = "response.incomplete"


FINAL_EVENTS = (
    EventType.COMPLETED,
    EventType.FAILED,
    EventType.CANCELLED,
    EventType.EXPIRED,
)
"""After one of these a job has no further event, unless it is retried."""
_FINAL = frozenset(each.value for each in FINAL_EVENTS)


FINAL_BATCH_EVENTS = (
    EventType.BATCH_COMPLETED,
    EventType.BATCH_FAILED,
    EventType.BATCH_EXPIRED,
    EventType.BATCH_CANCELLED,
)
"""One of these is the end of a batch, unless it is retried."""


def is_job_event(event_type: str) -> bool:
    """Tell whether a job has such an event."""
    return event_type.startswith("job.")


def is_response_event(event_type: str) -> bool:
    """Tell whether it is told of a response that ran in the background."""
    return event_type.startswith("response.")


def is_final_event(event_type: str) -> bool:
    """Tell whether the event is the end of its job."""
    return event_type in _FINAL


def event_id(job_id: str, number: int) -> str:
    """Name the event that a job's change of this number is; the same wherever it is told."""
    return f"evt_{job_id.removeprefix('job_')}_{number}"


def envelope(
    event_type: str, identity: str, created_at: int, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the public event: Standard Webhooks' members and OpenAI's in one body.

    `created_at` is in milliseconds; the event shows it in seconds and as RFC 3339.
    """
    return {
        "id": identity,
        "object": "event",
        "type": event_type,
        "created_at": created_at // 1000,
        "timestamp": rfc3339(created_at),
        "data": data,
    }
