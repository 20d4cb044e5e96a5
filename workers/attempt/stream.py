"""Reading a provider's stream to its end, into the one object that the job keeps."""

from collections.abc import AsyncIterator, Mapping
from time import monotonic
from typing import Any, Protocol

import orjson
from pydantic import JsonValue

from shared.inference.response import InferenceChunk, InferenceResponse, LimitFeedback
from shared.inference.usage import Usage
from shared.limiter.estimate import BYTES_A_TOKEN, estimate
from shared.providers.errors import Malformed
from workers.attempt.joining import Joined, objects

OK = 200
SAID = (
    "content",
    "tool_calls",
    "reasoning_content",
    "reasoning",
    "refusal",
    "function_call",
    "audio",
)
"""What of a delta is the model's own: the role, which often comes alone and first, is not."""


class Follower(Protocol):
    """Who is told of each chunk as it comes."""

    def add(self, chunk: dict[str, Any], *, at_once: bool) -> None:
        """Take a chunk; `at_once` marks the first ones, which somebody waits for."""
        ...


class Heard:
    """What came of one stream, whole or cut: what there is to keep and what there is to bill."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.usage: Usage | None = None
        self.feedback: LimitFeedback | None = None
        self.first_token_ms: int | None = None
        self.chunks = 0
        self._joined = Joined()

    def add(self, chunk: InferenceChunk) -> None:
        """Add the next chunk."""
        self.chunks += 1
        self.usage = chunk.usage or self.usage
        self.feedback = chunk.feedback or self.feedback
        self._joined.add(chunk.data)

    def body(self) -> bytes:
        """Return the `chat.completion` as JSON."""
        return orjson.dumps(self._joined.whole())

    def billed(self, body: Mapping[str, JsonValue]) -> Usage | None:
        """Return what a stream that was cut is billed as; None if nothing came of it.

        It is the usage that a chunk reported last. Without one it is an estimate, made as the
        limiter makes them: the request's `body` was read, and every text that came was generated.
        """
        if self.usage is not None or not self.chunks:
            return self.usage
        asked = estimate(body, default_output_tokens=0)
        return Usage(asked.input_tokens, -(-self._joined.said_bytes() // BYTES_A_TOKEN))


async def read_stream(
    chunks: AsyncIterator[InferenceChunk], heard: Heard, follower: Follower | None = None
) -> InferenceResponse:
    """Join the chunks into a `chat.completion`, with the time to the first token in milliseconds.

    The first token is the first content, refusal, reasoning or call that is not empty: a chunk
    that only names the role comes before the model has begun. What was read so far is in `heard`
    at any time, also after an error.

    Raises:
        ProviderError: what the stream raised; a part of an answer is never a result.
    """
    began = monotonic()
    try:
        async for chunk in chunks:
            heard.add(chunk)
            at_once = heard.chunks == 1
            if heard.first_token_ms is None and _says_something(chunk.data):
                heard.first_token_ms = round((monotonic() - began) * 1000)
                at_once = True
            if follower is not None:
                follower.add(chunk.data, at_once=at_once)
        body = heard.body()
    except orjson.JSONEncodeError as error:
        message = f"{heard.provider} streamed what cannot be written as JSON again: {error}"
        raise Malformed(message, provider=heard.provider, status=OK, usage=heard.usage) from error
    return InferenceResponse(OK, body, heard.usage, heard.feedback, heard.first_token_ms)


def _says_something(chunk: Mapping[str, Any]) -> bool:
    for choice in objects(chunk.get("choices")):
        delta = choice.get("delta")
        if isinstance(delta, dict) and any(delta.get(name) for name in SAID):
            return True
    return False
