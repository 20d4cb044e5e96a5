"""The endpoints that a job can name: in which dialect each is asked, and what it does. Pure."""

import re
from collections.abc import Mapping
from enum import StrEnum

from shared.inference.dialect import Dialect, Operation

MODEL = "{model}"
_OF_MODELS = f"/v1beta/models/{MODEL}:"


class Endpoint(StrEnum):
    """What a job calls. Google's have the model in their path; a job's `model` is in its body."""

    CHAT = "/v1/chat/completions"
    COMPLETIONS = "/v1/completions"
    RESPONSES = "/v1/responses"
    RESPONSES_COUNT = "/v1/responses/input_tokens"
    EMBEDDINGS = "/v1/embeddings"
    DOCUMENTS = "/v1/documents"
    MESSAGES = "/v1/messages"
    MESSAGES_COUNT = "/v1/messages/count_tokens"
    GEMINI = f"{_OF_MODELS}generateContent"
    GEMINI_COUNT = f"{_OF_MODELS}countTokens"
    GEMINI_EMBED = f"{_OF_MODELS}embedContent"
    GEMINI_EMBED_BATCH = f"{_OF_MODELS}batchEmbedContents"

    @property
    def dialect(self) -> Dialect:
        """The format of its body and of its answer; a document is asked for as a chat."""
        return _DIALECTS[self][1]

    @property
    def operation(self) -> Operation:
        """What kind of call it is."""
        return _DIALECTS[self][0]


_DIALECTS: Mapping[Endpoint, tuple[Operation, Dialect]] = {
    Endpoint.CHAT: (Operation.GENERATE, Dialect.CHAT),
    Endpoint.COMPLETIONS: (Operation.GENERATE, Dialect.COMPLETIONS),
    Endpoint.RESPONSES: (Operation.GENERATE, Dialect.RESPONSES),
    Endpoint.RESPONSES_COUNT: (Operation.COUNT, Dialect.RESPONSES),
    Endpoint.EMBEDDINGS: (Operation.EMBED, Dialect.EMBEDDINGS),
    Endpoint.DOCUMENTS: (Operation.GENERATE, Dialect.CHAT),
    Endpoint.MESSAGES: (Operation.GENERATE, Dialect.MESSAGES),
    Endpoint.MESSAGES_COUNT: (Operation.COUNT, Dialect.MESSAGES),
    Endpoint.GEMINI: (Operation.GENERATE, Dialect.GEMINI),
    Endpoint.GEMINI_COUNT: (Operation.COUNT, Dialect.GEMINI),
    Endpoint.GEMINI_EMBED: (Operation.EMBED, Dialect.GEMINI_EMBEDDING),
    Endpoint.GEMINI_EMBED_BATCH: (Operation.EMBED, Dialect.GEMINI_EMBEDDINGS),
}
_BY_PATH = {endpoint.value: endpoint for endpoint in Endpoint}
# A client's base URL may have one of these before the path.
_PREFIX = re.compile(r"^/(?:openai|anthropic|gemini|mistral)(?=/)")
_GEMINI = re.compile(r"^/v1(?:beta)?/models/(?P<model>.+):(?P<act>[A-Za-z]+)$")


def parse_endpoint(path: str) -> tuple[Endpoint, str | None] | None:
    """Return the endpoint of a path and the model in it; None where nothing is called so.

    `/anthropic/v1/messages` and `/v1/models/gemini-pro:generateContent` are known as well.
    """
    bare = _PREFIX.sub("", path)
    known = _BY_PATH.get(bare)
    if known is not None:
        return known, None
    found = _GEMINI.match(bare)
    known = found and _BY_PATH.get(_OF_MODELS + found["act"])
    return (known, found["model"]) if found and known else None
