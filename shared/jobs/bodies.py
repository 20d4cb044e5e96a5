"""What the body of a request to each endpoint must have at least; every other key is the provider's matter."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    JsonValue,
    PlainValidator,
    StrictBool,
    StrictInt,
)

from shared.jobs.draft import Endpoint

MOST_CHOICES = 128
"""A request for more answers than this costs a worker more than anyone means to ask for."""


def printable(value: str) -> str:
    """Refuse a text with NUL characters, which PostgreSQL does not store."""
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


Text = Annotated[str, AfterValidator(printable)]
ModelName = Annotated[Text, Field(min_length=1, max_length=200)]
FileId = Annotated[Text, Field(min_length=1, max_length=64)]


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
    images: Literal["auto", "never", "always"] = "auto"


class DocumentBody(DocumentTask):
    """The body of a job whose endpoint is `/v1/documents`."""

    file_id: FileId


BODIES: Mapping[Endpoint, type[ChatBody | EmbeddingsBody | DocumentBody]] = {
    Endpoint.CHAT: ChatBody,
    Endpoint.EMBEDDINGS: EmbeddingsBody,
    Endpoint.DOCUMENTS: DocumentBody,
}
"""What is checked of the body of each endpoint."""
