"""A streamed message, from bytes to events, and whether it came to its proper end; pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from shared.dialects.messages.usage import merged, read_usage
from shared.inference.response import InferenceChunk, LimitFeedback
from shared.inference.usage import Usage
from shared.providers.anthropic_answers import decoded
from shared.providers.errors import Unavailable
from shared.providers.failures import from_error_object, malformed
from shared.providers.sse import EventParser


class MessagesReader:
    """Turns the bytes of one stream into its events; `done` once `message_stop` was read.

    Nothing else ends one: a message that has its `stop_reason` may still lack its usage.
    """

    def __init__(
        self, *, provider: str, max_event_bytes: int, feedback: LimitFeedback | None = None
    ) -> None:
        self.done = False
        self._provider = provider
        self._parser = EventParser(max_event_bytes=max_event_bytes)
        self._began = False
        self._used: dict[str, Any] = {}
        self._feedback = feedback

    def feed(self, piece: bytes) -> Iterator[InferenceChunk]:
        """Yield the events that the next bytes complete; pings are left out.

        Raises:
            ProviderError: an event is no JSON object, is an error, or ends what never began.
            EventTooLarge: an event exceeds the limit.
        """
        for event in self._parser.feed(piece):
            value = decoded(event.data, provider=self._provider, what="streamed")
            kind = value.get("type")
            if kind == "error" or value.get("error"):
                raise from_error_object(
                    value, provider=self._provider, raw=event.data, otherwise=Unavailable
                )
            if kind == "ping":
                continue
            if kind == "message_stop" and not self._began:
                raise malformed("streamed no message", event.data, provider=self._provider)
            yield self._chunk(value)
            if kind == "message_stop":
                self.done = True
                return

    def close(self) -> None:
        """Make sure that the stream came to its end.

        Raises:
            Unavailable: it broke off.
        """
        if not self.done:
            message = f"{self._provider} broke off its stream"
            raise Unavailable(message, provider=self._provider, status=200)

    def _chunk(self, value: dict[str, JsonValue]) -> InferenceChunk:
        feedback, self._feedback = self._feedback, None
        return InferenceChunk(value, self._usage(value), feedback)

    def _usage(self, value: Mapping[str, JsonValue]) -> Usage | None:
        message = value.get("message")
        if value.get("type") == "message_start" and isinstance(message, dict):
            # Of the output it knows nothing yet: what it says is no usage to settle by.
            self._began = True
            self._used = merged({}, message.get("usage"))
        if value.get("type") == "message_delta" and value.get("usage"):
            self._used = merged(self._used, value["usage"])
            return read_usage(self._used)
        return None
