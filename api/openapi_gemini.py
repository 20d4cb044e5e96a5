"""The operations that Google's clients call, and what they answer, as models."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api.gemini.batch_request import BatchGenerateContent
from api.openapi_known_models import GeminiModel, GeminiModelList
from api.openapi_models import Job
from api.openapi_parts import ANY, JSON, Answer, Operation
from shared.auth.permissions import Permission

_ASKED = ("model", "Idempotency-Key", "Prefer", "Penstock-On-Disconnect")
_STORED = ("Location", "Retry-After", "Idempotent-Replayed", "Preference-Applied")
_ACCEPTED = Answer("With `Prefer: respond-async`: the job, stored.", Job, _STORED)
_TOLD = ("Penstock-Job-Id", "Idempotent-Replayed")
_DIRECT = (400, 404, 409, 413, 422, 429, 502, 504)
_KEYED = (401, 403, 500, 503)
_TEXTS = {
    400: "The request is not understood.",
    401: "No key, or not one of ours.",
    403: "The key's role may not do this.",
    404: "No such model or thing.",
    409: "It is not in a state that allows this.",
    413: "It is larger than the limit that the message names.",
    422: "It contradicts what is stored, or can never fit a limit.",
    429: "A limit of the tenant; `RetryInfo` among the details says when to come again.",
    500: "It went wrong on our side.",
    502: "The provider failed.",
    503: "The service, or every provider of the model, is down or full.",
    504: "The provider did not answer in time.",
}


class _Asked(BaseModel):
    model_config = ConfigDict(extra="allow")


class GenerateContent(_Asked):
    """What to generate from; every other key goes to the provider."""

    contents: list[dict[str, JsonValue]] = Field(min_length=1)


class CountTokens(_Asked):
    """What to count: contents, or a whole request."""

    contents: list[dict[str, JsonValue]] | None = None
    generateContentRequest: dict[str, JsonValue] | None = None  # noqa: N815 - Google's name


class EmbedContent(_Asked):
    """One text."""

    content: dict[str, JsonValue]


class BatchEmbedContents(_Asked):
    """Many texts."""

    requests: list[dict[str, JsonValue]] = Field(min_length=1)


class GoogleStatus(BaseModel):
    """What went wrong, as `google.rpc.Status`."""

    code: int
    message: str
    status: str
    details: list[dict[str, JsonValue]]


class GoogleError(BaseModel):
    """An error as Google's clients expect it."""

    error: GoogleStatus


class BatchStats(BaseModel):
    """How many requests there are, in quotes."""

    requestCount: str  # noqa: N815 - Google's name
    pendingRequestCount: str  # noqa: N815 - Google's name
    successfulRequestCount: str  # noqa: N815 - Google's name
    failedRequestCount: str  # noqa: N815 - Google's name


class BatchMetadata(BaseModel):
    """How a batch stands."""

    type: str = Field(alias="@type")
    name: str
    displayName: str  # noqa: N815 - Google's name
    state: str
    createTime: str  # noqa: N815 - Google's name
    updateTime: str  # noqa: N815 - Google's name
    endTime: str | None = None  # noqa: N815 - Google's name
    model: str | None = None
    batchStats: BatchStats  # noqa: N815 - Google's name
    output: dict[str, JsonValue] | None = None


class BatchOperation(BaseModel):
    """A batch as Google's clients know it."""

    name: str
    metadata: BatchMetadata
    done: bool
    response: dict[str, JsonValue] | None = None
    error: dict[str, JsonValue] | None = None


class BatchOperationList(BaseModel):
    """A page of them."""

    operations: list[BatchOperation]
    nextPageToken: str | None = None  # noqa: N815 - Google's name


class Nothing(BaseModel):
    """Nothing more is said."""


_HELLO: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
_TEXT: dict[str, Any] = {"content": {"parts": [{"text": "one text"}]}}
_ACTS = (
    ("generateContent", "Generate an answer, now", GenerateContent, _HELLO),
    ("streamGenerateContent", "Generate an answer in pieces, now", GenerateContent, _HELLO),
    ("countTokens", "Count the tokens of a request", CountTokens, _HELLO),
    ("embedContent", "Have one text embedded, now", EmbedContent, _TEXT),
    ("batchEmbedContents", "Have texts embedded, now", BatchEmbedContents, {"requests": [_TEXT]}),
)
_ANSWERS = {
    "streamGenerateContent": "Pieces: events with `alt=sse`, else the elements of one array.",
}


def told(answers: Mapping[str, Answer], *errors: int) -> dict[str, Answer]:
    """Return answers with the errors, as Google's clients want them."""
    every = (*errors, *_KEYED)
    return {**answers, **{str(each): Answer(_TEXTS[each], GoogleError) for each in every}}


def _acts(version: str) -> Iterator[Operation]:
    for act, summary, body, example in _ACTS:
        text = _ANSWERS.get(act, "The answer, in Google's words.")
        streams = act in _ANSWERS
        yield Operation(
            f"{act}{version.title()}",
            "POST",
            f"/{version}/models/{{model}}:{act}",
            summary,
            told(
                {
                    "200": Answer(text, headers=_TOLD, media_type=ANY if streams else JSON),
                    "202": _ACCEPTED,
                },
                *_DIRECT,
            ),
            Permission.JOBS_WRITE,
            {JSON: body},
            example,
            parameters=(*_ASKED, "alt") if streams else _ASKED,
        )


MODELS = (
    Operation(
        "listModelsV1Beta",
        "GET",
        "/v1beta/models",
        "List the models that may be named",
        told({"200": Answer("A page.", GeminiModelList)}, 400),
        Permission.JOBS_READ,
        parameters=("pageSize", "pageToken"),
    ),
    Operation(
        "getModelV1Beta",
        "GET",
        "/v1beta/models/{model}",
        "Get a model; its name may have slashes",
        told({"200": Answer("The model.", GeminiModel)}, 404),
        Permission.JOBS_READ,
        parameters=("model",),
    ),
)


def _batches(version: str) -> Iterator[Operation]:
    yield Operation(
        f"batchGenerateContent{version.title()}",
        "POST",
        f"/{version}/models/{{model}}:batchGenerateContent",
        "Create a batch by Google's protocol",
        told({"200": Answer("The batch, an operation.", BatchOperation)}, 400, 404, 413, 422, 429),
        Permission.JOBS_WRITE,
        {JSON: BatchGenerateContent},
        {"batch": {"inputConfig": {"requests": {"requests": [{"request": _HELLO}]}}}},
        parameters=("model", "Idempotency-Key"),
    )
    yield Operation(
        f"cancelGeminiBatch{version.title()}",
        "POST",
        f"/{version}/batches/{{batch_id}}:cancel",
        "Cancel a batch",
        told({"200": Answer("An empty object.", Nothing)}, 404, 409),
        Permission.JOBS_WRITE,
        parameters=("batch_id",),
    )


BATCHES = (
    *_batches("v1beta"),
    *_batches("v1"),
    Operation(
        "listGeminiBatches",
        "GET",
        "/v1beta/batches",
        "List batches by Google's protocol",
        told({"200": Answer("A page.", BatchOperationList)}, 400),
        Permission.JOBS_READ,
        parameters=("pageSize", "pageToken"),
    ),
    Operation(
        "getGeminiBatch",
        "GET",
        "/v1beta/batches/{batch_id}",
        "Get a batch; when it has ended, with what became of its requests",
        told({"200": Answer("The batch, an operation.", BatchOperation)}, 404),
        Permission.JOBS_READ,
        parameters=("batch_id",),
    ),
    Operation(
        "deleteGeminiBatch",
        "DELETE",
        "/v1beta/batches/{batch_id}",
        "Delete an ended batch's requests and results",
        told({"200": Answer("An empty object.", Nothing)}, 404, 409),
        Permission.JOBS_WRITE,
        parameters=("batch_id",),
    ),
)
GEMINI = (*_acts("v1beta"), *_acts("v1"), *MODELS, *BATCHES)
SHARED = ("listBatches", "getBatch", "deleteBatch")
"""Operations of others whose paths Google's newer clients use as well."""
