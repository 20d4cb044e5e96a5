"""What the API answers, as models: the schemas of `/openapi.json`. Handlers build the same from rows."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from api.job_request import DocumentForm
from shared.auth.permissions import Role
from shared.jobs.endpoints import Endpoint
from shared.jobs.options import JobWebhook
from shared.jobs.transitions import AttemptStatus, Priority

Status = Literal[
    "scheduled", "queued", "waiting", "running", "completed", "failed", "cancelled", "expired"
]
Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]


class Usage(BaseModel):
    """Tokens, as the provider counted them."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int


class Failure(BaseModel):
    """Why a job or a call failed; a provider's failure also has its name, status and words."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str | None


class Attempt(BaseModel):
    """One call to a provider."""

    number: int
    deployment: str
    status: AttemptStatus
    http_status: int | None
    error: Failure | None
    started_at: AwareDatetime
    limiter_wait_ms: int
    first_token_ms: int | None
    total_ms: int | None
    usage: Usage | None
    cost_usd: str | None = Field(description="A decimal number of US dollars.")
    possibly_billed: bool = Field(description="Whether the provider may have charged for it.")
    dropped: list[str] = Field(description="What of the request was left out or changed.")


class Place(BaseModel):
    """Where a job stands in the queue."""

    position: int
    eta_s: float | None = Field(description="Seconds by the measured pace, if there is one.")


class Result(BaseModel):
    """The provider's answer."""

    status_code: int
    body: JsonValue


class Links(BaseModel):
    """Where to go from here."""

    model_config = ConfigDict(extra="allow")

    self: str
    result: str
    events: str
    cancel: str
    retry: str


JOB_EXAMPLE: dict[str, Any] = {
    "id": "job_068g2m9c0q3hk6v1r7d5s4b2n8",
    "object": "job",
    "endpoint": "/v1/chat/completions",
    "model": "sandbox/echo",
    "status": "queued",
    "status_reason": None,
    "priority": "standard",
    "generation": 1,
    "created_at": "2026-01-01T00:00:00.000Z",
    "scheduled_at": None,
    "not_before": None,
    "started_at": None,
    "finished_at": None,
    "complete_by": "2026-01-02T00:00:00.000Z",
    "queue": {"position": 12, "eta_s": 3.4},
    "attempts": [],
    "result": None,
    "error": None,
    "usage": None,
    "cost_usd": None,
    "cached": False,
    "custom_id": None,
    "batch_id": None,
    "metadata": {"team": "billing"},
    "webhook": None,
    "links": {
        "self": "/v1/jobs/job_068g2m9c0q3hk6v1r7d5s4b2n8",
        "result": "/v1/jobs/job_068g2m9c0q3hk6v1r7d5s4b2n8/result",
        "events": "/v1/jobs/job_068g2m9c0q3hk6v1r7d5s4b2n8/events",
        "cancel": "/v1/jobs/job_068g2m9c0q3hk6v1r7d5s4b2n8/cancel",
        "retry": "/v1/jobs/job_068g2m9c0q3hk6v1r7d5s4b2n8/retry",
    },
}


class Job(BaseModel):
    """One request to one endpoint, and how far it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB_EXAMPLE]})

    id: str
    object: Literal["job"]
    endpoint: Endpoint
    model: str
    status: Status
    status_reason: str | None = Field(description="Why it waits, or ended as it did.")
    priority: Priority
    generation: int = Field(description="1, and one more for each retry.")
    created_at: AwareDatetime
    scheduled_at: AwareDatetime | None
    not_before: AwareDatetime | None
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    complete_by: AwareDatetime
    queue: Place | None
    attempts: list[Attempt] = Field(description="The calls of this generation.")
    result: Result | None
    error: Failure | None
    usage: Usage | None
    cost_usd: str | None
    cached: bool
    custom_id: str | None
    batch_id: str | None
    metadata: dict[str, str]
    webhook: JobWebhook | None
    links: Links


class Page(BaseModel):
    """What every page of a list has."""

    object: Literal["list"]
    first_id: str | None
    last_id: str | None
    has_more: bool
    next_after: str | None = Field(description="What `after` is for the next page.")


class JobList(Page):
    """A page of jobs, without their results."""

    data: list[Job]


class JobsFound(BaseModel):
    """The jobs that were asked for, with their results."""

    object: Literal["list"]
    data: list[Job]
    missing: list[str]


class Deleted(BaseModel):
    """What was deleted."""

    id: str
    object: Literal["job", "file", "batch"]
    deleted: Literal[True]


class File(BaseModel):
    """A stored file; times are in seconds since the epoch, as OpenAI's are."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["processed"]
    status_details: None


class FileList(Page):
    """A page of files."""

    data: list[File]


class FileUpload(BaseModel):
    """The parts of an upload."""

    purpose: Purpose
    anchor: Literal["created_at"] | None = Field(None, alias="expires_after[anchor]")
    seconds: int | None = Field(None, alias="expires_after[seconds]", ge=3600, le=2_592_000)
    file: bytes = Field(description="The bytes, with a filename.")


class DocumentUpload(DocumentForm):
    """The parts of a document job; `schema` and `metadata` are JSON."""

    file: bytes = Field(description="The document, with a filename.")


class Key(BaseModel):
    """A key, as its tenant may see it."""

    id: str
    object: Literal["api_key"]
    name: str
    role: Role
    prefix: str
    status: Literal["active", "revoked", "expired"]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None
    last_used_at: AwareDatetime | None


class NewKey(Key):
    """A key with its secret, which is shown this once."""

    key: str


class KeyList(Page):
    """A page of keys."""

    data: list[Key]


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    detail: str
    pointer: str


class OpenAIError(BaseModel):
    """OpenAI's error object, with the job that it is about, if it is about one."""

    message: str
    type: str
    param: str | None
    code: str | None
    job_id: str | None = None
    job_status: str | None = None
    job_status_reason: str | None = None


class Problem(BaseModel):
    """An error: the members of RFC 9457 and OpenAI's `error` in one body."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str | None
    error: OpenAIError
    errors: list[FieldProblem] = Field(
        default=[], description="All that is wrong with the body, at most twenty."
    )


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class NotAsItShouldBe(BaseModel):
    """A part that is missing or does not answer."""

    part: str
    detail: str


class Readiness(BaseModel):
    """Whether jobs are stored (`accepting`) and performed (`consuming`)."""

    status: Literal["ready", "not_ready"]
    accepting: bool
    consuming: bool
    problems: list[NotAsItShouldBe]
