"""The operations of OpenAI's Responses, and what they answer, as models."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api.openapi_models import Job
from api.openapi_openai import LIMITS
from api.openapi_parts import ANY, JSON, Answer, Operation
from shared.auth.permissions import Permission
from shared.jobs.bodies import ResponsesBody

ASKED = ("Idempotency-Key", "Prefer", "Penstock-On-Disconnect")
ERRORS = (400, 404, 409, 413, 422, 429, 502, 504)
TOLD = ("Penstock-Job-Id", "Idempotent-Replayed", "openai-processing-ms", *LIMITS)
STORED = Answer(
    "With `Prefer: respond-async`: the job, stored.",
    Job,
    ("Location", "Retry-After", "Idempotent-Replayed", "Preference-Applied"),
)
_ONE = "/v1/responses/{response_id}"
_EXAMPLE = {"model": "sandbox/echo", "input": "Say hello."}


class ResponseFailure(BaseModel):
    """Why there is no answer."""

    code: str = Field(description="`server_error`, `rate_limit_exceeded` or `invalid_prompt`.")
    message: str


class ResponseObject(BaseModel):
    """A response; the request's own fields are repeated in it."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    background: bool
    store: bool
    model: str
    output: list[dict[str, JsonValue]] = Field(description="Empty until there is an answer.")
    error: ResponseFailure | None
    incomplete_details: dict[str, JsonValue] | None
    previous_response_id: str | None
    instructions: JsonValue
    tools: list[JsonValue]
    tool_choice: JsonValue
    text: dict[str, JsonValue]
    metadata: dict[str, JsonValue]
    usage: dict[str, JsonValue] | None


class ResponseDeleted(BaseModel):
    """What is left of a response."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class ResponseItems(BaseModel):
    """A page of what a model was given."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ResponseTokens(BaseModel):
    """How many tokens an input is; an estimate where the provider does not count."""

    object: Literal["response.input_tokens"]
    input_tokens: int


RESPONSES = (
    Operation(
        "createResponse",
        "POST",
        "/v1/responses",
        "Have a response made, now or in the background",
        {
            "200": Answer(
                "The response; with `stream` its events, as server-sent events.",
                headers=TOLD,
                media_type=ANY,
            ),
            "202": STORED,
        },
        Permission.JOBS_WRITE,
        {JSON: ResponsesBody},
        _EXAMPLE,
        parameters=ASKED,
        errors=ERRORS,
    ),
    Operation(
        "countResponseTokens",
        "POST",
        "/v1/responses/input_tokens",
        "Count the tokens of an input",
        {"200": Answer("The count.", ResponseTokens, TOLD), "202": STORED},
        Permission.JOBS_WRITE,
        {JSON: ResponsesBody},
        _EXAMPLE,
        parameters=ASKED,
        errors=ERRORS,
    ),
    Operation(
        "getResponse",
        "GET",
        _ONE,
        "Get a response, or follow its events",
        {
            "200": Answer(
                "The response as it is now; with `stream` its events, as server-sent events.",
                media_type=ANY,
            )
        },
        Permission.JOBS_READ,
        parameters=("response_id", "stream", "starting_after"),
        errors=(400, 404),
    ),
    Operation(
        "deleteResponse",
        "DELETE",
        _ONE,
        "Delete a response and all that was kept of it",
        {"200": Answer("It is gone.", ResponseDeleted)},
        Permission.JOBS_WRITE,
        parameters=("response_id",),
        errors=(404, 409),
    ),
    Operation(
        "cancelResponse",
        "POST",
        f"{_ONE}/cancel",
        "Cancel a response that runs in the background",
        {"200": Answer("The response as it is now.", ResponseObject)},
        Permission.JOBS_WRITE,
        parameters=("response_id",),
        errors=(400, 404),
    ),
    Operation(
        "listResponseInputItems",
        "GET",
        f"{_ONE}/input_items",
        "List what the model was given",
        {"200": Answer("A page of the items.", ResponseItems)},
        Permission.JOBS_READ,
        parameters=("response_id", "after_item", "limit", "order"),
        errors=(400, 404),
    ),
)
