"""What Google's clients may ask for about batches."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from shared.jobs.bodies import Text

REQUESTS = {("batch", name, "requests", "requests") for name in ("inputConfig", "input_config")}
"""Where they stand in the body."""


def _as_it_is(value: Any) -> Any:
    # Each request is checked by itself, with its number.
    return value


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class InlinedRequest(_Asked):
    """A request of a batch; the check of lines says what it may be."""

    request: dict[str, Any]
    metadata: dict[str, str] | None = None


class InlinedRequests(_Asked):
    """The requests, one level down."""

    requests: list[
        Annotated[Any, PlainValidator(_as_it_is, json_schema_input_type=InlinedRequest)]
    ] = Field(min_length=1)


class InputConfig(_Asked):
    """Where the requests are: here."""

    requests: InlinedRequests


class GenerateContentBatch(_Asked):
    """The batch."""

    display_name: Text | None = Field(None, alias="displayName", max_length=256)
    input_config: InputConfig = Field(alias="inputConfig")


class BatchGenerateContent(_Asked):
    """`POST models/{model}:batchGenerateContent`."""

    batch: GenerateContentBatch
