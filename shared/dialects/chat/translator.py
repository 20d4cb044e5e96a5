"""OpenAI's chat completions, in neutral words and back."""

from typing import Any

from shared.dialects.chat.joined import ChatJoined
from shared.dialects.translator import (
    Head,
    Json,
    StreamDecoder,
    StreamEncoder,
    Translator,
    Written,
)
from shared.inference.dialect import Dialect
from shared.inference.generation import GenerationRequest, GenerationResponse


def read_request(body: Json) -> GenerationRequest:
    """Read a request."""
    raise NotImplementedError


def write_request(request: GenerationRequest) -> Written:
    """Write a request."""
    raise NotImplementedError


def read_answer(body: Json) -> GenerationResponse:
    """Read an answer."""
    raise NotImplementedError


def write_answer(answer: GenerationResponse, head: Head, asked: Json) -> dict[str, Any]:
    """Write an answer."""
    raise NotImplementedError


def decoder() -> StreamDecoder:
    """Return what reads a stream."""
    raise NotImplementedError


def encoder(head: Head, asked: Json) -> StreamEncoder:
    """Return what writes a stream."""
    raise NotImplementedError


CHAT = Translator(
    dialect=Dialect.CHAT,
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    decoder=decoder,
    encoder=encoder,
    joined=ChatJoined,
)
