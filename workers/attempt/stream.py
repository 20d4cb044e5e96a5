"""Reading a provider's stream to its end, into the one object that the job keeps."""

from collections.abc import AsyncIterator, Mapping, Sequence
from time import monotonic
from typing import Any, Protocol

import orjson
from pydantic import JsonValue

from shared.dialects.bridge import StreamBridge
from shared.dialects.registry import translator_of
from shared.inference.dialect import Dialect
from shared.inference.response import InferenceChunk, InferenceResponse, LimitFeedback
from shared.inference.usage import Usage
from shared.limiter.tokens import TokenCounter
from shared.providers.errors import Malformed

OK = 200


class Follower(Protocol):
    """Who is told of each chunk as it comes."""

    def add(self, chunk: dict[str, Any], *, at_once: bool) -> None:
        """Take a chunk; `at_once` marks the first ones, which somebody waits for."""
        ...


class Heard:
    """What came of one stream, whole or cut: what there is to keep and what there is to bill."""

    def __init__(
        self, provider: str, dialect: Dialect = Dialect.CHAT, bridge: StreamBridge | None = None
    ) -> None:
        """Begin; `dialect` is the client's, `bridge` translates what the provider says into it."""
        self.provider = provider
        self.usage: Usage | None = None
        self.feedback: LimitFeedback | None = None
        self.first_token_ms: int | None = None
        self.chunks = 0
        self._bridge = bridge
        self._joined = translator_of(dialect).joined()

    def add(self, chunk: InferenceChunk) -> tuple[Sequence[dict[str, Any]], bool]:
        """Take the next chunk; return what it is to the client, and whether the model speaks in it."""
        self.chunks += 1
        self.usage = chunk.usage or self.usage
        self.feedback = chunk.feedback or self.feedback
        return self._keep((chunk.data,) if self._bridge is None else self._bridge.feed(chunk.data))

    def end(self) -> Sequence[dict[str, Any]]:
        """Return what is left to tell the client after the last chunk of a whole stream."""
        return () if self._bridge is None else self._keep(self._bridge.end())[0]

    def body(self) -> bytes:
        """Return the whole answer as JSON, in the client's dialect."""
        return orjson.dumps(self._joined.whole())

    def billed(
        self, body: Mapping[str, JsonValue], model: str, tokens: TokenCounter
    ) -> Usage | None:
        """Return what a stream that was cut is billed as; None if nothing came of it.

        It is the usage that a chunk reported last. Without one it is counted: the request's `body`
        was read, and every text that came was generated.
        """
        if self.usage is not None or not self.chunks:
            return self.usage
        return Usage(tokens.count_request(body, model), tokens.count(self._joined.said(), model))

    def _keep(self, events: Sequence[dict[str, Any]]) -> tuple[Sequence[dict[str, Any]], bool]:
        speaks = False
        for event in events:
            speaks = self._joined.add(event) or speaks
        return events, speaks


async def read_stream(
    chunks: AsyncIterator[InferenceChunk], heard: Heard, follower: Follower | None = None
) -> InferenceResponse:
    """Join the chunks into the whole answer, with the time to the first token in milliseconds.

    The first token is the first content, refusal, reasoning or call that is not empty. What was
    read so far is in `heard` at any time, also after an error.

    Raises:
        ProviderError: what the stream raised; a part of an answer is never a result.
    """
    began = monotonic()
    try:
        async for chunk in chunks:
            events, speaks = _told(heard, chunk)
            at_once = heard.chunks == 1
            if heard.first_token_ms is None and speaks:
                heard.first_token_ms = round((monotonic() - began) * 1000)
                at_once = True
            _follow(follower, events, at_once=at_once)
        _follow(follower, heard.end(), at_once=False)
        body = heard.body()
    except orjson.JSONEncodeError as error:
        message = f"{heard.provider} streamed what cannot be written as JSON again: {error}"
        raise Malformed(message, provider=heard.provider, status=OK, usage=heard.usage) from error
    return InferenceResponse(OK, body, heard.usage, heard.feedback, heard.first_token_ms)


def _told(heard: Heard, chunk: InferenceChunk) -> tuple[Sequence[dict[str, Any]], bool]:
    try:
        return heard.add(chunk)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        message = f"{heard.provider} streamed what cannot be told as it was asked: {error}"
        raise Malformed(message, provider=heard.provider, status=OK, usage=heard.usage) from error


def _follow(follower: Follower | None, events: Sequence[dict[str, Any]], *, at_once: bool) -> None:
    if follower is not None:
        for event in events:
            follower.add(event, at_once=at_once)
