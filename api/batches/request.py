"""What a client may ask for about batches: the models of the request bodies."""

import re
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PlainValidator,
    StringConstraints,
)

from shared.batches.options import OnInvalid
from shared.events.event import FINAL_BATCH_EVENTS, EventType, is_job_event
from shared.jobs.bodies import FileId, ModelName, Text
from shared.jobs.draft import OnUnknown
from shared.jobs.endpoints import Endpoint
from shared.jobs.options import (
    MOST_ATTEMPTS,
    CustomId,
    JobWebhook,
    Metadata,
    SomeEventTypes,
    Url,
)
from shared.jobs.transitions import Priority

DEFAULT_WINDOW = "24h"
SHORTEST_LIFE_S, LONGEST_LIFE_S = 3600, 2_592_000
LONGEST_RETENTION_S = 10 * 365 * 24 * 3600
_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_WINDOW = re.compile(r"([1-9][0-9]{0,6})([mhd])")


def _window(value: str) -> str:
    if _WINDOW.fullmatch(value) is None:
        message = "must be a number of minutes, hours or days, such as `30m`, `24h` or `7d`"
        raise ValueError(message)
    return value


def window_ms(window: str) -> int:
    """Return the milliseconds that a completion window stands for."""
    found = _WINDOW.fullmatch(window)
    if found is None:
        message = f"{window!r} is no completion window"
        raise ValueError(message)
    return int(found[1]) * _UNITS_MS[found[2]]


def _of_batches(values: list[EventType]) -> list[EventType]:
    if any(map(is_job_event, values)):
        message = "must all be events of a batch (batch.…)"
        raise ValueError(message)
    return values


def _without_nul(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    # It is kept as JSON, and PostgreSQL keeps none with a NUL in it.
    try:
        written = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        message = "is nested too deeply"
        raise ValueError(message) from error
    if _NUL.search(written):
        message = "must not contain NUL characters"
        raise ValueError(message)
    return value


Window = Annotated[str, StringConstraints(max_length=16), AfterValidator(_window)]


class BatchWebhook(BaseModel):
    """Where the events of one batch go, signed with the tenant's webhook secret."""

    model_config = ConfigDict(extra="forbid")

    url: Url = Field(description="Who is told, by POST.")
    events: Annotated[SomeEventTypes, AfterValidator(_of_batches)] = Field(
        default_factory=lambda: list(FINAL_BATCH_EVENTS),
        description="Of what; of the end, whichever it is, if not given.",
    )


class OutputExpiresAfter(BaseModel):
    """For how long the output files are kept."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"] = Field(description="When the output file was made.")
    seconds: int = Field(ge=SHORTEST_LIFE_S, le=LONGEST_LIFE_S)


class BatchLine(BaseModel):
    """A line of a batch. Checked by `shared.batches.lines`; this says what it may be."""

    model_config = ConfigDict(extra="forbid")

    custom_id: CustomId = Field(description="Tells the results apart: used once in a batch.")
    method: Literal["POST"]
    url: Endpoint
    body: dict[str, JsonValue]
    priority: Priority | None = None
    metadata: Metadata | None = None
    webhook: JobWebhook | None = None
    max_attempts: int | None = Field(None, ge=1, le=MOST_ATTEMPTS)


def _as_it_is(value: Any) -> Any:
    # Each line is checked by itself, with its number: here it may be anything.
    return value


RawLine = Annotated[Any, PlainValidator(_as_it_is, json_schema_input_type=BatchLine)]


class BatchFile(BaseModel):
    """A document of a batch, under a name of its own."""

    model_config = ConfigDict(extra="forbid")

    file_id: FileId
    custom_id: CustomId


class BatchAsked(BaseModel):
    """What holds for a whole batch, wherever its lines come from."""

    model_config = ConfigDict(extra="forbid")

    endpoint: Endpoint | None = Field(
        None, description="What every line calls; if not given, each line's `url` decides."
    )
    completion_window: Window | None = Field(
        None, description="`<n>m`, `<n>h` or `<n>d`: expire after that time; 24h if not given."
    )
    complete_by: AwareDatetime | None = Field(
        None, description="The same as a moment; not both of them."
    )
    metadata: Metadata | None = Field(None, description="Up to 16 strings of your own.")
    output_expires_after: OutputExpiresAfter | None = None
    priority: Priority = Field(Priority.BULK, description="Of lines that name no other.")
    max_attempts: int = Field(5, ge=1, le=MOST_ATTEMPTS, description="Failed calls of a line.")
    on_unknown: OnUnknown = Field(
        OnUnknown.RETRY, description="Whether to call again when a call's fate is not known."
    )
    on_invalid: OnInvalid = Field(
        OnInvalid.REJECT, description="Whether lines that cannot be done fail it or are left out."
    )
    coalesce: bool = Field(False, description="Let identical lines be asked only once.")
    open: bool = Field(False, description="Take more lines until it is closed.")
    webhook: BatchWebhook | None = Field(None, description="Who is told of this batch's events.")
    retention_seconds: int | None = Field(
        None, ge=1, le=LONGEST_RETENTION_S, description="Keep its results so long after its end."
    )
    dry_run: bool = Field(False, description="Check and estimate only: nothing is stored.")
    model: ModelName | None = Field(None, description="Of documents: who reads them.")
    instructions: Text | None = Field(
        None, max_length=20_000, description="Of documents: what to do with them."
    )
    json_schema: Annotated[dict[str, JsonValue], AfterValidator(_without_nul)] | None = Field(
        None, alias="schema", description="Of documents: what the answers are to fit."
    )
    images: Literal["auto", "never", "always"] | None = Field(
        None, description="Of documents: whether pages are shown as pictures; `auto` if not given."
    )


class BatchSubmit(BatchAsked):
    """`POST /v1/batches`: just one of `input_file_id`, `requests`, `files` and `archive`."""

    input_file_id: FileId | None = Field(
        None, description="A JSONL file with a request a line, uploaded with the purpose `batch`."
    )
    requests: list[RawLine] | None = Field(None, min_length=1, description="The lines themselves.")
    files: list[FileId | BatchFile] | None = Field(
        None, min_length=1, description="Uploaded documents: each is one line."
    )
    archive: FileId | None = Field(
        None, description="An uploaded zip file: each document in it is one line."
    )


class BatchForm(BatchAsked):
    """`POST /v1/batches` as a form: these parts, and a `file`, which is a .zip or JSONL."""


class BatchAppend(BaseModel):
    """`POST /v1/batches/{id}/requests`: more lines for an open batch."""

    model_config = ConfigDict(extra="forbid")

    requests: list[RawLine] = Field(min_length=1, description="The lines.")


class BatchRetry(BaseModel):
    """Run what failed or expired once more; the body may be left out."""

    model_config = ConfigDict(extra="forbid")

    completion_window: Window | None = Field(
        None, description="From now on; as long as the first time if not given."
    )
