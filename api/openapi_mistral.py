"""The operations that only Mistral's clients call, and what they answer, as models."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, JsonValue

from api.mistral.batch_request import BatchJobSubmit
from api.openapi_parts import JSON, Answer, Operation
from shared.auth.permissions import Permission

_KEYED = (401, 403, 500, 503)
_TEXTS = {
    400: "The request is not understood.",
    401: "No key, or not one of ours.",
    403: "The key's role may not do this.",
    404: "No such batch, file or model.",
    409: "It is not in a state that allows this.",
    413: "It is larger than the limit that the message names.",
    422: "It contradicts what is stored.",
    429: "A limit of the tenant.",
    500: "It went wrong on our side.",
    503: "The service, or a part of it, is down or full.",
}


class MistralError(BaseModel):
    """An error as Mistral's clients expect it."""

    object: Literal["error"]
    message: str
    type: str
    param: str | None
    code: str
    request_id: str | None


class MistralDetail(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str]
    msg: str
    type: str


class MistralInvalid(BaseModel):
    """An error with the status 422."""

    detail: list[MistralDetail]


class BatchJobError(BaseModel):
    """What was wrong, and how often."""

    message: str
    count: int


class BatchJob(BaseModel):
    """A batch; its times are in seconds."""

    id: str
    object: Literal["batch"]
    input_files: list[str]
    metadata: dict[str, str]
    endpoint: str
    model: str | None
    agent_id: None
    output_file: str | None
    error_file: str | None
    outputs: list[dict[str, JsonValue]] | None
    errors: list[BatchJobError]
    status: Literal[
        "QUEUED",
        "RUNNING",
        "SUCCESS",
        "FAILED",
        "TIMEOUT_EXCEEDED",
        "CANCELLATION_REQUESTED",
        "CANCELLED",
    ]
    created_at: int
    started_at: int | None
    completed_at: int | None
    total_requests: int
    completed_requests: int
    succeeded_requests: int
    failed_requests: int


class BatchJobList(BaseModel):
    """A numbered page of them."""

    object: Literal["list"]
    data: list[BatchJob]
    total: int


class BatchJobDeleted(BaseModel):
    """It is gone."""

    id: str
    object: Literal["batch"]
    deleted: Literal[True]


_LINE: dict[str, Any] = {
    "custom_id": "0",
    "body": {"messages": [{"role": "user", "content": "Say hello."}]},
}
_EXAMPLE = {"endpoint": "/v1/chat/completions", "model": "sandbox/echo", "requests": [_LINE]}


def told(answers: Mapping[str, Answer], *errors: int) -> dict[str, Answer]:
    """Return answers with the errors, as Mistral's clients want them."""
    rows = dict(answers)
    for each in (*errors, *_KEYED):
        model = MistralInvalid if each == 422 else MistralError  # noqa: PLR2004 - as surfaces.py
        rows[str(each)] = Answer(_TEXTS[each], model)
    return rows


BATCHES = (
    Operation(
        "createBatchJob",
        "POST",
        "/v1/batch/jobs",
        "Create a batch by Mistral's protocol",
        told({"200": Answer("The batch.", BatchJob)}, 400, 404, 413, 422, 429),
        Permission.JOBS_WRITE,
        {JSON: BatchJobSubmit},
        _EXAMPLE,
        parameters=("Idempotency-Key",),
    ),
    Operation(
        "listBatchJobs",
        "GET",
        "/v1/batch/jobs",
        "List batches by Mistral's protocol",
        told({"200": Answer("A page.", BatchJobList)}, 400),
        Permission.JOBS_READ,
        parameters=("page", "page_size"),
    ),
    Operation(
        "getBatchJob",
        "GET",
        "/v1/batch/jobs/{batch_id}",
        "Get a batch; with `inline=true` its results too, when it has ended",
        told({"200": Answer("The batch.", BatchJob)}, 404),
        Permission.JOBS_READ,
        parameters=("batch_id",),
    ),
    Operation(
        "cancelBatchJob",
        "POST",
        "/v1/batch/jobs/{batch_id}/cancel",
        "Cancel a batch",
        told({"200": Answer("The batch.", BatchJob)}, 404, 409),
        Permission.JOBS_WRITE,
        parameters=("batch_id",),
    ),
    Operation(
        "deleteBatchJob",
        "DELETE",
        "/v1/batch/jobs/{batch_id}",
        "Delete an ended batch's requests and results",
        told({"200": Answer("It is gone.", BatchJobDeleted)}, 404, 409),
        Permission.JOBS_WRITE,
        parameters=("batch_id",),
    ),
)
