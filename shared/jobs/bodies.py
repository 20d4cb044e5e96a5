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

from shared.jobs.endpoints import Endpoint

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


Said = str | list[dict[str, Any]]


def _said(value: Any) -> Any:
    # By hand, for the same reason, and so that an error names the field and not a kind of it.
    fits = isinstance(value, str) or (isinstance(value, list) and set(map(type, value)) == {dict})
    if fits and value:
        return value
    message = "must be a text or a list of items, and not be empty"
    raise ValueError(message)


Text = Annotated[str, AfterValidator(printable)]
ModelName = Annotated[Text, Field(min_length=1, max_length=200)]
FileId = Annotated[Text, Field(min_length=1, max_length=64)]


class ModelBody(BaseModel):
    """A request to a model, whose name is in it."""

    model_config = ConfigDict(extra="allow")

    model: ModelName


class ChatBody(ModelBody):
    """What of a chat completion matters to us; every other key goes to the provider as it is."""

    messages: Annotated[list[dict[str, Any]], FailFast(), Field(min_length=1)]
    stream: StrictBool | None = None
    stream_options: dict[str, Any] | None = None
    n: Annotated[StrictInt, Field(ge=1, le=MOST_CHOICES)] | None = None


class EmbeddingsBody(ModelBody):
    """The least that an embedding needs."""

    input: Annotated[Embeddable, PlainValidator(_embeddable, json_schema_input_type=Embeddable)]


class DocumentTask(ModelBody):
    """What to read out of a document: instructions in words and a JSON schema for the answer."""

    model_config = ConfigDict(extra="forbid")

    instructions: str = Field("", max_length=20_000)
    json_schema: dict[str, JsonValue] = Field(alias="schema")
    images: Literal["auto", "never", "always"] = "auto"


class DocumentBody(DocumentTask):
    """The body of a job whose endpoint is `/v1/documents`."""

    file_id: FileId


class CompletionsBody(ModelBody):
    """The least of a legacy completion."""

    prompt: Annotated[Embeddable, PlainValidator(_embeddable, json_schema_input_type=Embeddable)]
    stream: StrictBool | None = None
    n: Annotated[StrictInt, Field(ge=1, le=MOST_CHOICES)] | None = None


class ResponsesBody(ModelBody):
    """What of a response matters to us."""

    input: Annotated[Said, PlainValidator(_said, json_schema_input_type=Said)]
    stream: StrictBool | None = None
    background: StrictBool | None = None
    store: StrictBool | None = None
    previous_response_id: FileId | None = None


class MessagesBody(ModelBody):
    """What of Anthropic's messages matters to us."""

    max_tokens: Annotated[StrictInt, Field(ge=1)]
    messages: Annotated[list[dict[str, Any]], FailFast(), Field(min_length=1)]
    stream: StrictBool | None = None


class CountMessagesBody(ModelBody):
    """Anthropic's messages, to be counted."""

    messages: Annotated[list[dict[str, Any]], FailFast(), Field(min_length=1)]


class GeminiBody(ModelBody):
    """What of Google's requests matters to us; `model` and `stream` stand in its path."""

    contents: Annotated[list[dict[str, Any]], FailFast(), Field(min_length=1)]
    stream: StrictBool | None = None


class GeminiCountBody(ModelBody):
    """Google's contents, to be counted: alone, or in the request that they belong to."""

    contents: list[dict[str, Any]] | None = None
    generateContentRequest: dict[str, Any] | None = None  # noqa: N815 - Google's name


class GeminiEmbedBody(ModelBody):
    """One text to embed."""

    content: dict[str, Any]


class GeminiEmbedBatchBody(ModelBody):
    """Many texts to embed."""

    requests: Annotated[list[dict[str, Any]], FailFast(), Field(min_length=1)]


BODIES: Mapping[Endpoint, type[ModelBody]] = {
    Endpoint.CHAT: ChatBody,
    Endpoint.COMPLETIONS: CompletionsBody,
    Endpoint.RESPONSES: ResponsesBody,
    Endpoint.RESPONSES_COUNT: ResponsesBody,
    Endpoint.EMBEDDINGS: EmbeddingsBody,
    Endpoint.DOCUMENTS: DocumentBody,
    Endpoint.MESSAGES: MessagesBody,
    Endpoint.MESSAGES_COUNT: CountMessagesBody,
    Endpoint.GEMINI: GeminiBody,
    Endpoint.GEMINI_COUNT: GeminiCountBody,
    Endpoint.GEMINI_EMBED: GeminiEmbedBody,
    Endpoint.GEMINI_EMBED_BATCH: GeminiEmbedBatchBody,
}
"""What is checked of the body of each endpoint; every one of them has a `model`."""
