"""What Mistral's clients may ask for about batch jobs."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from shared.jobs.bodies import FileId, ModelName
from shared.jobs.endpoints import Endpoint
from shared.jobs.options import Metadata

LONGEST_H = 168


def _as_it_is(value: Any) -> Any:
    # Each request is checked by itself, with its number.
    return value


class BatchJobRequest(BaseModel):
    """A request of a batch job; the check of lines says what it may be."""

    body: dict[str, Any]
    custom_id: str | None = None


def _served(value: Endpoint) -> Endpoint:
    if value not in {Endpoint.CHAT, Endpoint.EMBEDDINGS}:
        message = f"must be {Endpoint.CHAT} or {Endpoint.EMBEDDINGS}"
        raise ValueError(message)
    return value


class BatchJobSubmit(BaseModel):
    """`POST /v1/batch/jobs`: just one of `input_files` and `requests`."""

    model_config = ConfigDict(extra="forbid")

    endpoint: Annotated[Endpoint, AfterValidator(_served)]
    input_files: list[FileId] | None = Field(
        None, min_length=1, description="Files of lines with `custom_id` and `body`."
    )
    requests: (
        list[Annotated[Any, PlainValidator(_as_it_is, json_schema_input_type=BatchJobRequest)]]
        | None
    ) = Field(None, min_length=1, description="The requests themselves.")
    model: ModelName | None = Field(None, description="Of requests that name none.")
    agent_id: None = None
    metadata: Metadata | None = None
    timeout_hours: int = Field(24, ge=1, le=LONGEST_H)
