"""What the API answers about batches, as models."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field, RootModel

from api.batches.request import BatchForm, BatchWebhook
from api.openapi_models import Page
from shared.batches.model import BatchState
from shared.jobs.endpoints import Endpoint


class BatchLineError(BaseModel):
    """What is wrong with a line, or with the whole."""

    code: str
    line: int | None
    message: str
    param: str | None


class BatchErrors(BaseModel):
    """Lines that cannot be done: the first of them."""

    object: Literal["list"]
    data: list[BatchLineError]


class RequestCounts(BaseModel):
    """OpenAI's counts: `failed` are all lines of the error file."""

    total: int
    completed: int
    failed: int


class BatchCounts(BaseModel):
    """What became of the lines: those that ended are just those that can be downloaded."""

    pending: int
    completed: int
    failed: int
    cancelled: int
    expired: int
    invalid: int = Field(description="Left out, because they cannot be done.")


class CachedTokens(BaseModel):
    """What was read from a provider's cache."""

    cached_tokens: int


class ReasoningTokens(BaseModel):
    """What was spent on reasoning: not told apart."""

    reasoning_tokens: int


class BatchUsage(BaseModel):
    """The tokens of all lines that ended, as the providers counted them."""

    input_tokens: int
    input_tokens_details: CachedTokens
    output_tokens: int
    output_tokens_details: ReasoningTokens
    total_tokens: int


class BatchLinks(BaseModel):
    """Paths of the batch."""

    self: str
    results: str
    events: str
    cancel: str


class Batch(BaseModel):
    """Many requests that end together; times are in seconds since the epoch, as OpenAI's are."""

    id: str
    object: Literal["batch"]
    endpoint: Endpoint | Literal["mixed"]
    model: str | None
    errors: BatchErrors | None
    input_file_id: str | None
    completion_window: str
    status: BatchState
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    cancelling_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: BatchUsage | None
    metadata: dict[str, str] | None
    counts: BatchCounts
    cost_usd: str | None
    paused: bool
    open: bool
    complete_by: AwareDatetime
    purged_at: AwareDatetime | None = Field(
        description="Since when its requests and results are gone; counts and cost stay."
    )
    webhook: BatchWebhook | None
    links: BatchLinks


class BatchList(Page):
    """A page of batches."""

    data: list[Batch]


class EstimatedTokens(BaseModel):
    """What the lines are taken to need: three bytes a token, and whole answers."""

    input: int
    output: int


class EstimatedCost(BaseModel):
    """US dollars: `min` with empty answers, `max` with answers as long as they may be."""

    min: str
    max: str


class BatchDryRun(BaseModel):
    """What a batch would be; nothing was stored."""

    object: Literal["batch.dry_run"]
    valid: bool = Field(description="Whether it would run.")
    total: int
    invalid: int
    errors: list[BatchLineError]
    models: dict[str, int] = Field(description="Lines by model.")
    estimated_tokens: EstimatedTokens | None = Field(description="null for documents.")
    estimated_cost_usd: EstimatedCost | None = Field(description="null where no price is known.")
    eta_s: float | None = Field(
        description="Seconds from now; null while nothing says how fast its models go."
    )


class BatchReply(RootModel[Batch | BatchDryRun]):
    """A batch, or what it would be."""


class BatchUpload(BatchForm):
    """The parts of a batch that comes with its file; objects among them are JSON."""

    file: bytes = Field(description="A .zip of documents, or JSONL, with a filename.")
