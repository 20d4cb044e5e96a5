"""The wire formats that clients and providers speak, and what can be asked in them."""

from enum import StrEnum


class Operation(StrEnum):
    """What kind of call it is."""

    GENERATE = "generate"
    EMBED = "embed"
    COUNT = "count"


class Dialect(StrEnum):
    """The format of a request's body and of its answer."""

    CHAT = "chat"
    """OpenAI's `POST /v1/chat/completions`; Mistral and many others speak it too."""
    COMPLETIONS = "completions"
    """OpenAI's legacy `POST /v1/completions`."""
    RESPONSES = "responses"
    """OpenAI's `POST /v1/responses`."""
    MESSAGES = "messages"
    """Anthropic's `POST /v1/messages`."""
    GEMINI = "gemini"
    """Google's `POST /v1beta/models/{model}:generateContent`."""
    EMBEDDINGS = "embeddings"
    """OpenAI's `POST /v1/embeddings`."""
    GEMINI_EMBEDDING = "gemini_embedding"
    """Google's `POST /v1beta/models/{model}:embedContent`: one text."""
    GEMINI_EMBEDDINGS = "gemini_embeddings"
    """Google's `POST /v1beta/models/{model}:batchEmbedContents`: many."""


EMBEDDING_DIALECTS = frozenset(
    {Dialect.EMBEDDINGS, Dialect.GEMINI_EMBEDDING, Dialect.GEMINI_EMBEDDINGS}
)
