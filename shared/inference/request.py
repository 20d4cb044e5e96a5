"""What to ask a model: neutral about who serves it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue


class Operation(StrEnum):
    """What kind of call it is."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One call: `body` is OpenAI's dialect as the client sent it, unknown keys included.

    `model` is the provider's own name of the model; it replaces `body["model"]` on the wire.
    """

    operation: Operation
    model: str
    body: Mapping[str, JsonValue]
