"""What a client may ask for when it submits a job: the models of the request bodies."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    JsonValue,
    PlainValidator,
    StrictBool,
    StrictInt,
    StringConstraints,
)

from api.webhooks.request import JobWebhook
from shared.jobs.draft import Endpoint, OnUnknown
from shared.jobs.transitions import Priority

MOST_ATTEMPTS = 20
MOST_TAGS = 16
MOST_CHOICES = 128
"""A request for more answers than this costs a worker more than anyone means to ask for."""


def _printable(value: str) -> str:
    if "\x00" in value:
        message = "must not contain NUL characters"
        raise ValueError(message)
    return value


Embeddable = str | list[str] | list[int] | list[list[int]]


def _embeddable(value: Any) -> Any:
    # By hand: a union tries every kind on every element, and reports each that does not fit.
    if isinstance(value, str) and value:
        return value
    kinds = set(map(type, value)) if isinstance(value, list) else set()
    if kinds in ({str}, {int}):
        return value
    if kinds == {list} and all(set(map(type, each)) == {int} for each in value):
        return value
    message = (
        "must be a text, a list of texts, a list of token numbers or a list of such lists, and"
        " not be empty"
    )
    raise ValueError(message)


Text = Annotated[str, AfterValidator(_printable)]
Tag = Annotated[str, StringConstraints(max_length=512), AfterValidator(_printable)]
TagName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_printable)]
Metadata = Annotated[dict[TagName, Tag], Field(max_length=MOST_TAGS)]
ModelName = Annotated[Text, Field(min_length=1, max_length=200)]
FileId = Annotated[Text, Field(min_length=1, max_length=64)]
CustomId = Annotated[
    str, StringConstraints(min_length=1, max_length=256), AfterValidator(_printable)
]


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


class JobSubmit(JobOptions):
    """`POST /v1/jobs`: a request to one of the endpoints, to be performed by a worker."""

    endpoint: Endpoint
    body: dict[str, JsonValue]


class ChatBody(BaseModel):
    """What of a chat completion matters to us; every other key goes to the provider as it is."""

    model_config = ConfigDict(extra="allow")

    model: ModelName
    messages: Annotated[list[dict[str, Any]], FailFast(), Field(min_length=1)]
    stream: StrictBool | None = None
    stream_options: dict[str, Any] | None = None
    n: Annotated[StrictInt, Field(ge=1, le=MOST_CHOICES)] | None = None


class EmbeddingsBody(BaseModel):
    """The least that an embedding needs."""

    model_config = ConfigDict(extra="allow")

    model: ModelName
    input: Annotated[Embeddable, PlainValidator(_embeddable, json_schema_input_type=Embeddable)]


class DocumentTask(BaseModel):
    """What to read out of a document: instructions in words and a JSON schema for the answer."""

    model_config = ConfigDict(extra="forbid")

    model: ModelName
    instructions: str = Field("", max_length=20_000)
    json_schema: dict[str, JsonValue] = Field(alias="schema")


class DocumentBody(DocumentTask):
    """The body of a job whose endpoint is `/v1/documents`."""

    file_id: FileId


class DocumentSubmit(DocumentBody, JobOptions):
    """`POST /v1/documents` with the id of a file that is there already."""


class DocumentForm(DocumentTask, JobOptions):
    """`POST /v1/documents` as a form: these parts, `schema` and `metadata` as JSON, and a `file`."""


class JobLookup(BaseModel):
    """`POST /v1/jobs/lookup`: many jobs in one request."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=1000)


def in_ms(moment: datetime | None) -> int | None:
    """Turn a timestamp with a zone into milliseconds since the epoch."""
    return None if moment is None else round(moment.timestamp() * 1000)
