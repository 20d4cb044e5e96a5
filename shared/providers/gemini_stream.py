"""A stream of Google's, from bytes to chunks, and whether it came to its proper end; pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.dialects.gemini.usage import read_usage
from shared.inference.response import InferenceChunk, LimitFeedback
from shared.providers.errors import Unavailable
from shared.providers.failures import malformed
from shared.providers.gemini_answers import blocked_prompt, is_broken, parts_of, read_object
from shared.providers.sse import EventParser


class GeminiStreamReader:
    """Turns the bytes of one stream into chunks. Nothing marks its end but the last bytes."""

    def __init__(
        self, *, provider: str, max_event_bytes: int, feedback: LimitFeedback | None = None
    ) -> None:
        self.done = False
        self._provider = provider
        self._parser = EventParser(max_event_bytes=max_event_bytes)
        self._feedback = feedback
        self._last = b""
        self._finished: dict[int, bool] = {}
        self._spoke: set[int] = set()

    def feed(self, piece: bytes) -> Iterator[InferenceChunk]:
        """Yield the chunks that the next bytes complete.

        Raises:
            ProviderError: an event is no JSON object, is an error, or says that the prompt was blocked.
            EventTooLarge: an event exceeds the limit.
        """
        for event in self._parser.feed(piece):
            self._last = event.data
            chunk = self._chunk(event.data)
            if chunk is not None:
                yield chunk

    def close(self) -> None:
        """Make sure that the stream came to an end: every candidate gave a reason for its own.

        Raises:
            Malformed: it had no candidates at all.
            Unavailable: it broke off.
        """
        if self._last and not self._finished:
            raise malformed("streamed no candidates", self._last, provider=self._provider)
        if not self._finished or not all(self._finished.values()):
            message = f"{self._provider} broke off its stream"
            raise Unavailable(message, provider=self._provider, status=200)

    def _chunk(self, raw: bytes) -> InferenceChunk | None:
        value = read_object(raw, provider=self._provider, otherwise=Unavailable, what="streamed")
        candidates = value.get("candidates")
        if not candidates:
            blocked = blocked_prompt(value, raw, provider=self._provider)
            if blocked is not None:
                raise blocked
        usage = read_usage(value)
        if not isinstance(candidates, list) and usage is None:
            return None  # whatever a gateway thinks of
        for candidate in candidates or []:
            if isinstance(candidate, dict):
                self._follow(candidate, raw)
        feedback, self._feedback = self._feedback, None
        return InferenceChunk(value, usage, feedback)

    def _follow(self, candidate: Mapping[str, Any], raw: bytes) -> None:
        index = candidate.get("index")
        number = index if isinstance(index, int) else 0
        parts = parts_of(candidate)
        if parts:
            self._spoke.add(number)
        if number not in self._spoke and is_broken(candidate, parts):
            what = f"streamed an answer that is {candidate['finishReason']}"
            raise malformed(what, raw, provider=self._provider)
        ended = candidate.get("finishReason") is not None
        self._finished[number] = ended or self._finished.get(number, False)
