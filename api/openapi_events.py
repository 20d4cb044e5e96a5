"""The operations of event streams, and what they answer, as models."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from api.openapi_parts import Answer, Operation
from shared.auth.permissions import Permission


class EventToken(BaseModel):
    """What opens the events of one job to a page that cannot show a key."""

    object: Literal["event_token"]
    token: str
    expires_at: AwareDatetime = Field(
        description="Until then it opens a stream; one more hour it resumes one."
    )
    url: str = Field(description="What an `EventSource` is given.")


EVENTS = (
    Operation(
        "followJob",
        "GET",
        "/v1/jobs/{job_id}/events",
        "Follow a job: server-sent events until it has ended",
        {
            "200": Answer("Events, each with one line of JSON.", media_type="text/event-stream"),
            "204": Answer("You have been told its end.", media_type=None),
        },
        Permission.JOBS_READ,
        parameters=("job_id", "Last-Event-ID", "last_event_id", "token"),
        errors=(404, 410, 429),
    ),
    Operation(
        "createEventToken",
        "POST",
        "/v1/jobs/{job_id}/events/token",
        "Make a token with which a page follows a job",
        {"200": Answer("The token.", EventToken)},
        Permission.JOBS_READ,
        parameters=("job_id",),
        errors=(404, 410),
    ),
)
