"""A job's step to a new state: what is committed, told and numbered as one event."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from shared.events.event import EventType, event_id
from shared.jobs.transitions import FINAL, JobState

_TYPES = {
    JobState.SCHEDULED: EventType.SCHEDULED,
    JobState.QUEUED: EventType.QUEUED,
    JobState.RUNNING: EventType.STARTED,
    JobState.COMPLETED: EventType.COMPLETED,
    JobState.FAILED: EventType.FAILED,
    JobState.CANCELLED: EventType.CANCELLED,
    JobState.EXPIRED: EventType.EXPIRED,
}
_OF_RESPONSES = {
    JobState.COMPLETED: EventType.RESPONSE_COMPLETED,
    JobState.FAILED: EventType.RESPONSE_FAILED,
    JobState.EXPIRED: EventType.RESPONSE_FAILED,
    JobState.CANCELLED: EventType.RESPONSE_CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Change:
    """`number` is the job's version after the step; `waits` tells a waiting job from a queued one.

    `answer` is a result, as HTTP status and body, that is sent along to whoever waits for it.
    `counted` says that the batch whose line it is knows of it already. Of a `background` response
    `incomplete` says that it ended before its model had come to the end.
    """

    job_id: str
    tenant_id: str
    number: int
    state: JobState
    reason: str | None = None
    waits: bool = False
    webhook: Mapping[str, JsonValue] | None = None
    batch_id: str | None = None
    answer: tuple[int, bytes] | None = None
    counted: bool = False
    background: bool = False
    incomplete: bool = False

    @property
    def type(self) -> EventType:
        """Name the event."""
        return EventType.WAITING if self.waits else _TYPES[self.state]

    @property
    def of_response(self) -> EventType | None:
        """Name the event that its end is in OpenAI's words; None for what is no such end."""
        if not self.background or self.is_quiet:
            return None
        cut = self.incomplete and self.state is JobState.COMPLETED
        return EventType.RESPONSE_INCOMPLETE if cut else _OF_RESPONSES.get(self.state)

    @property
    def event_id(self) -> str:
        """Name this one event."""
        return event_id(self.job_id, self.number)

    @property
    def is_quiet(self) -> bool:
        """Tell whether nobody is told but who asked for this one job: its batch speaks for it."""
        return self.batch_id is not None

    @property
    def is_final(self) -> bool:
        """Tell whether the job has ended with it."""
        return self.state in FINAL


def change_of(job: Mapping[str, Any]) -> Change:
    """Return the change that brought a job's row to what it is now."""
    state = JobState(job["state"])
    return Change(
        job_id=job["id"],
        tenant_id=job["tenant_id"],
        number=job["version"],
        state=state,
        reason=job["reason"],
        waits=state is JobState.QUEUED and job["not_before"] is not None,
        webhook=job["webhook"],
        batch_id=job["batch_id"],
        background=bool(job["background"]),
    )
