"""What a client may ask for about webhooks: the models of the request bodies."""

from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from starlette.requests import Request

from api.body import parse_object, read_body
from api.errors import invalid_fields
from shared.events.event import EventType
from shared.jobs.options import EventTypes, Url, visible

MAX_BODY_BYTES = 64 * 1024
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(visible)]


class EndpointCreate(BaseModel):
    """`POST /v1/webhook_endpoints`: a receiver of the events of all the tenant's jobs."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="What it is for, in your own words.")
    url: Url = Field(description="Who is told, by POST.")
    event_types: EventTypes = Field(
        default=[], description="Of what; an empty list means of everything, now and later."
    )


class EndpointUpdate(BaseModel):
    """`POST /v1/webhook_endpoints/{id}`: only what is given changes."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    url: Url | None = None
    event_types: EventTypes | None = None
    enabled: bool | None = Field(
        None, description="`true` after it was disabled: begin again, with a clean record."
    )


class SecretRotate(BaseModel):
    """Take another secret; the body may be left out."""

    model_config = ConfigDict(extra="forbid")

    keep_old_secret_active_for_24_hours: bool = Field(
        False, description="Sign with both for a day, so that receivers can change over."
    )


class EndpointTest(BaseModel):
    """Send one sample event now."""

    model_config = ConfigDict(extra="forbid")

    event_type: EventType


class EndpointRecover(BaseModel):
    """Send what failed or was skipped once more."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime = Field(description="From this time on, at most 14 days back.")
    until: AwareDatetime | None = Field(None, description="Before this time; now if not given.")


Model = TypeVar("Model", bound=BaseModel)


async def read_or_default(request: Request, model: type[Model]) -> Model:
    """Return the body as a model whose fields all have defaults, which no body at all stands for.

    Raises:
        BadRequest: there is a body and it does not fit.
        TooLarge: it is larger than any such body is.
    """
    raw = await read_body(request, max_bytes=MAX_BODY_BYTES)
    if not raw.strip():
        return model()
    try:
        return model.model_validate(parse_object(raw))
    except ValidationError as error:
        raise invalid_fields(error) from error
