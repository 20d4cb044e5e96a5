"""What may stand beside a request, wherever it is submitted: who is told, when, how often, under which name."""

from datetime import datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from shared.events.event import FINAL_EVENTS, EventType, is_job_event
from shared.jobs.bodies import printable
from shared.jobs.draft import OnUnknown
from shared.jobs.transitions import Priority

MOST_ATTEMPTS = 20
MOST_TAGS = 16
LONGEST_URL = 2048


def visible(value: str) -> str:
    """Refuse a text with characters that are not to be seen."""
    if not value.isprintable():
        message = "must be printable characters"
        raise ValueError(message)
    return value


def _once_each(values: list[EventType]) -> list[EventType]:
    return list(dict.fromkeys(values))


def _of_jobs(values: list[EventType]) -> list[EventType]:
    if not all(map(is_job_event, values)):
        message = "must all be events of a job (job.…)"
        raise ValueError(message)
    return values


Tag = Annotated[str, StringConstraints(max_length=512), AfterValidator(printable)]
TagName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(printable)]
Metadata = Annotated[dict[TagName, Tag], Field(max_length=MOST_TAGS)]
CustomId = Annotated[
    str, StringConstraints(min_length=1, max_length=256), AfterValidator(printable)
]
Url = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_URL), AfterValidator(visible)
]
EventTypes = Annotated[list[EventType], Field(max_length=100), AfterValidator(_once_each)]
SomeEventTypes = Annotated[EventTypes, Field(min_length=1)]


class JobWebhook(BaseModel):
    """Where the events of one job go, signed with the tenant's webhook secret."""

    model_config = ConfigDict(extra="forbid")

    url: Url = Field(description="Who is told, by POST.")
    events: Annotated[SomeEventTypes, AfterValidator(_of_jobs)] = Field(
        default_factory=lambda: list(FINAL_EVENTS),
        description="Of what; of the end, whichever it is, if not given.",
    )


class JobOptions(BaseModel):
    """What may stand beside a request, whichever endpoint it names."""

    model_config = ConfigDict(extra="forbid")

    priority: Priority = Field(Priority.STANDARD, description="Which queue it waits in.")
    scheduled_at: AwareDatetime | None = Field(None, description="Do not begin before this time.")
    complete_by: AwareDatetime | None = Field(
        None, description="Expire when not done by then; 24 hours from now if not given."
    )
    max_attempts: int = Field(5, ge=1, le=MOST_ATTEMPTS, description="Failed calls at the most.")
    on_unknown: OnUnknown = Field(
        OnUnknown.RETRY, description="Whether to call again when a call's fate is not known."
    )
    metadata: Metadata = Field(default_factory=dict, description="Up to 16 strings of your own.")
    custom_id: CustomId | None = Field(None, description="Your own name for the job.")
    webhook: JobWebhook | None = Field(None, description="Who is told of this job's events.")


def in_ms(moment: datetime | None) -> int | None:
    """Turn a timestamp with a zone into milliseconds since the epoch."""
    return None if moment is None else round(moment.timestamp() * 1000)
