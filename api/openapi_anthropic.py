"""The operations that Anthropic's clients call, and what they answer, as models."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from api.openapi_models import Job
from api.openapi_parts import ANY, JSON, Answer, Operation
from shared.auth.permissions import Permission
from shared.jobs.bodies import CountMessagesBody, MessagesBody

_ASKED = ("Idempotency-Key", "Prefer", "Penstock-On-Disconnect", "anthropic-version")
_STORED = ("Location", "Retry-After", "Idempotent-Replayed", "Preference-Applied")
_ACCEPTED = Answer("With `Prefer: respond-async`: the job, stored.", Job, _STORED)
_HELLO: dict[str, Any] = {
    "model": "sandbox/echo",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Say hello."}],
}
_TEXTS = {
    400: "The request is not understood.",
    401: "No key, or not one of ours.",
    403: "The key's role may not do this.",
    404: "No such model or thing.",
    409: "It is not in a state that allows this.",
    413: "It is larger than the limit that the message names.",
    422: "It contradicts what is stored, or can never fit a limit.",
    429: "A limit of the tenant.",
    500: "It went wrong on our side.",
    502: "The provider failed.",
    503: "The service, or every provider of the model, is down or full.",
    504: "The provider did not answer in time.",
}
_ID = "message_batch_id"
_DIRECT = (400, 404, 409, 413, 422, 429, 502, 504)


class ErrorTold(BaseModel):
    """What went wrong."""

    type: str
    message: str
    details: dict[str, JsonValue] = Field(description="With `error_code`, and `param` if any.")


class AnthropicError(BaseModel):
    """An error as Anthropic's clients expect it."""

    type: Literal["error"]
    error: ErrorTold
    request_id: str | None


class TokenCount(BaseModel):
    """How many tokens a request is; an estimate where the provider does not count."""

    input_tokens: int


def told(answers: dict[str, Answer], *errors: int) -> dict[str, Answer]:
    """Return answers with the errors, as Anthropic's clients want them."""
    every = (*errors, 401, 403, 500, 503)
    return {**answers, **{str(each): Answer(_TEXTS[each], AnthropicError) for each in every}}


MESSAGES = (
    Operation(
        "createMessage",
        "POST",
        "/v1/messages",
        "Have a message answered, now, by Anthropic's protocol",
        told(
            {
                "200": Answer(
                    "A message; with `stream` its events, each with its name.",
                    headers=("Penstock-Job-Id", "Idempotent-Replayed", "request-id"),
                    media_type=ANY,
                ),
                "202": _ACCEPTED,
            },
            *_DIRECT,
        ),
        Permission.JOBS_WRITE,
        {JSON: MessagesBody},
        _HELLO,
        parameters=_ASKED,
    ),
    Operation(
        "countMessageTokens",
        "POST",
        "/v1/messages/count_tokens",
        "Count the tokens of messages",
        told({"200": Answer("The number.", TokenCount), "202": _ACCEPTED}, *_DIRECT),
        Permission.JOBS_WRITE,
        {JSON: CountMessagesBody},
        {name: value for name, value in _HELLO.items() if name != "max_tokens"},
        parameters=_ASKED,
    ),
)


class BatchRequest(BaseModel):
    """One request of a batch."""

    model_config = ConfigDict(extra="forbid")

    custom_id: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$", description="Used once in a batch.")
    params: MessagesBody = Field(description="As for `POST /v1/messages`, without `stream`.")


class BatchCreate(BaseModel):
    """`POST /v1/messages/batches`: read and checked as it arrives, never as a whole."""

    model_config = ConfigDict(extra="forbid")

    requests: list[BatchRequest] = Field(min_length=1, max_length=100_000)


class RequestCounts(BaseModel):
    """All are being processed until the batch has ended as a whole."""

    processing: int
    succeeded: int
    errored: int
    canceled: int
    expired: int


class MessageBatch(BaseModel):
    """A batch of messages; everywhere else it is the batch of the same id after `batch_`."""

    id: str
    type: Literal["message_batch"]
    processing_status: Literal["in_progress", "canceling", "ended"]
    request_counts: RequestCounts
    created_at: AwareDatetime
    expires_at: AwareDatetime
    ended_at: AwareDatetime | None
    cancel_initiated_at: AwareDatetime | None
    archived_at: AwareDatetime | None = Field(description="When its results were removed.")
    results_url: str | None = Field(description="A path, once it has ended.")


class MessageBatchList(BaseModel):
    """A page."""

    data: list[MessageBatch]
    has_more: bool
    first_id: str | None
    last_id: str | None


class MessageBatchDeleted(BaseModel):
    """Its results are gone."""

    id: str
    type: Literal["message_batch_deleted"]


_ONE = {"200": Answer("The batch.", MessageBatch)}

BATCHES = (
    Operation(
        "createMessageBatch",
        "POST",
        "/v1/messages/batches",
        "Create a batch of messages",
        told(_ONE, 400, 413, 422, 429),
        Permission.JOBS_WRITE,
        {JSON: BatchCreate},
        {"requests": [{"custom_id": "one", "params": _HELLO}]},
        parameters=("Idempotency-Key", "anthropic-version"),
    ),
    Operation(
        "listMessageBatches",
        "GET",
        "/v1/messages/batches",
        "List batches of messages, newest first",
        told({"200": Answer("A page.", MessageBatchList)}, 400),
        Permission.JOBS_READ,
        parameters=("after_id", "before_id", "message_batch_limit"),
    ),
    Operation(
        "getMessageBatch",
        "GET",
        "/v1/messages/batches/{message_batch_id}",
        "Get a batch of messages",
        told(_ONE, 404),
        Permission.JOBS_READ,
        parameters=(_ID,),
    ),
    Operation(
        "deleteMessageBatch",
        "DELETE",
        "/v1/messages/batches/{message_batch_id}",
        "Delete the requests and results of an ended batch of messages",
        told({"200": Answer("They are gone.", MessageBatchDeleted)}, 404, 409),
        Permission.JOBS_WRITE,
        parameters=(_ID,),
    ),
    Operation(
        "cancelMessageBatch",
        "POST",
        "/v1/messages/batches/{message_batch_id}/cancel",
        "Cancel a batch of messages",
        told(_ONE, 404, 409),
        Permission.JOBS_WRITE,
        parameters=(_ID,),
    ),
    Operation(
        "getMessageBatchResults",
        "GET",
        "/v1/messages/batches/{message_batch_id}/results",
        "Get the results of an ended batch of messages",
        told(
            {"200": Answer("A line of JSON for each request.", media_type="application/x-jsonl")},
            404,
            409,
        ),
        Permission.JOBS_READ,
        parameters=(_ID,),
    ),
)
