"""A streamed chat completion, from bytes to chunks, and whether it came to its proper end; pure."""

from collections.abc import Iterator, Mapping

import orjson
from pydantic import JsonValue

from shared.inference.response import InferenceChunk, LimitFeedback
from shared.providers.completion import choice_error, usage_of
from shared.providers.errors import Unavailable
from shared.providers.failures import from_error_object, malformed
from shared.providers.sse import EventParser

DONE = b"[DONE]"


class StreamReader:
    """Turns the bytes of one stream into chunks; `done` once `[DONE]` was read."""

    def __init__(
        self,
        *,
        provider: str,
        choices: int,
        max_event_bytes: int,
        feedback: LimitFeedback | None = None,
    ) -> None:
        self.done = False
        self._provider = provider
        self._parser = EventParser(max_event_bytes=max_event_bytes)
        self._expected = choices
        self._finished: dict[int, bool] = {}
        self._feedback = feedback

    def feed(self, piece: bytes) -> Iterator[InferenceChunk]:
        """Yield the chunks that the next bytes complete.

        Raises:
            ProviderError: an event is no JSON object, or is an error.
            EventTooLarge: an event exceeds the limit.
        """
        for event in self._parser.feed(piece):
            if event.data == DONE:
                self.done = True
                return
            chunk = self._chunk(event.data)
            if chunk is not None:
                yield chunk

    def close(self) -> None:
        """Make sure that the stream came to an end: `[DONE]`, or a finish reason on every choice.

        Raises:
            Malformed: it had no choices at all.
            Unavailable: it broke off.
        """
        if self.done and not self._finished:
            raise malformed("streamed no choices", DONE, provider=self._provider)
        complete = len(self._finished) >= self._expected and all(self._finished.values())
        if not self.done and not complete:
            message = f"{self._provider} broke off its stream"
            raise Unavailable(message, provider=self._provider, status=200)

    def _chunk(self, raw: bytes) -> InferenceChunk | None:
        value = _object(raw, provider=self._provider)
        usage = usage_of(value)
        if not isinstance(value.get("choices"), list):
            if usage is None:
                return None  # a ping, or whatever else a gateway thinks of
            value["choices"] = []
        self._follow(value)
        feedback, self._feedback = self._feedback, None
        return InferenceChunk(value, usage, feedback)

    def _follow(self, chunk: Mapping[str, JsonValue]) -> None:
        choices = chunk["choices"]
        for choice in choices if isinstance(choices, list) else []:
            if not isinstance(choice, dict):
                continue
            index = choice.get("index")
            number = index if isinstance(index, int) else 0
            ended = choice.get("finish_reason") is not None
            self._finished[number] = ended or self._finished.get(number, False)


def _object(raw: bytes, *, provider: str) -> dict[str, JsonValue]:
    try:
        value: JsonValue = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise malformed("streamed no JSON", raw, provider=provider) from error
    if not isinstance(value, dict):
        raise malformed("streamed no JSON object", raw, provider=provider)
    failure = value.get("error") or choice_error(value)
    if failure:
        raise from_error_object(failure, provider=provider, raw=raw, otherwise=Unavailable)
    return value
