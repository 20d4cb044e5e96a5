"""A streamed response, from bytes to events, and whether it came to its proper end; pure."""

from collections.abc import Iterator, Mapping

import orjson
from pydantic import JsonValue

from shared.dialects.responses.events import FAILED, LAST
from shared.inference.response import InferenceChunk, LimitFeedback
from shared.providers.completion import usage_of
from shared.providers.errors import Unavailable
from shared.providers.failures import from_error_object, malformed
from shared.providers.sse import EventParser

DONE = b"[DONE]"


class ResponsesReader:
    """Turns the bytes of one stream into events; `done` once the last one was read."""

    def __init__(
        self, *, provider: str, max_event_bytes: int, feedback: LimitFeedback | None = None
    ) -> None:
        self.done = False
        self._provider = provider
        self._parser = EventParser(max_event_bytes=max_event_bytes)
        self._feedback = feedback

    def feed(self, piece: bytes) -> Iterator[InferenceChunk]:
        """Yield the events that the next bytes complete.

        Raises:
            ProviderError: an event is no JSON object, or is an error.
            EventTooLarge: an event exceeds the limit.
        """
        for event in self._parser.feed(piece):
            if event.data == DONE:
                continue
            chunk = self._chunk(event.data)
            if chunk is not None:
                yield chunk
            if self.done:
                return

    def close(self) -> None:
        """Make sure that the stream came to an end.

        Raises:
            Unavailable: it broke off.
        """
        if not self.done:
            message = f"{self._provider} broke off its stream"
            raise Unavailable(message, provider=self._provider, status=200)

    def _chunk(self, raw: bytes) -> InferenceChunk | None:
        value = _object(raw, provider=self._provider)
        kind = value.get("type")
        response = value.get("response")
        whole: Mapping[str, JsonValue] = response if isinstance(response, dict) else {}
        self._refuse(value, whole, raw)
        if not isinstance(kind, str) or not kind.startswith("response."):
            return None  # a ping, or whatever else a gateway thinks of
        self.done = kind in LAST
        if self.done and not isinstance(whole.get("output"), list):
            raise malformed("streamed no output", raw, provider=self._provider)
        feedback, self._feedback = self._feedback, None
        return InferenceChunk(value, usage_of(whole), feedback)

    def _refuse(
        self, value: dict[str, JsonValue], whole: Mapping[str, JsonValue], raw: bytes
    ) -> None:
        kind = value.get("type")
        failure = value.get("error") or (value if kind == "error" else None)
        if kind == FAILED:
            failure = whole.get("error") or value
        if failure:
            raise from_error_object(
                failure,
                provider=self._provider,
                raw=raw,
                otherwise=Unavailable,
                usage=usage_of(whole),
            )


def tokens_in(raw: bytes, *, provider: str) -> int:
    """Read how many tokens a request was counted to have.

    Raises:
        Malformed: it does not say.
    """
    tokens = _object(raw, provider=provider).get("input_tokens")
    if isinstance(tokens, int) and tokens >= 0:
        return tokens
    raise malformed("counted no tokens", raw, provider=provider)


def _object(raw: bytes, *, provider: str) -> dict[str, JsonValue]:
    try:
        value: JsonValue = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise malformed("streamed no JSON", raw, provider=provider) from error
    if not isinstance(value, dict):
        raise malformed("streamed no JSON object", raw, provider=provider)
    return value
