"""A stream in Google's words. Pure."""

from collections.abc import Sequence
from typing import Any

from shared.dialects.gemini.answers import (
    FINISHES,
    MALFORMED_CALL,
    candidate,
    wants_thoughts,
    written_part,
)
from shared.dialects.gemini.usage import written_usage
from shared.dialects.translator import Head, Json, Unsupported
from shared.inference.conversation import ToolCall
from shared.inference.generation import (
    Began,
    Delta,
    Finish,
    Finished,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegan,
    ToolCallDelta,
    Used,
)
from shared.inference.usage import Usage


class GeminiEncoder:
    """Writes a chunk a text, calls only when they are whole, and every end with the usage in the last chunk."""

    def __init__(self, head: Head, asked: Json) -> None:
        self._frame = {"modelVersion": head.model, "responseId": head.id}
        self._thoughts = wants_thoughts(asked)
        self._calls: dict[int, list[ToolCallBegan]] = {}
        self._arguments: dict[tuple[int, int], list[str]] = {}
        self._reasons: dict[int, str] = {}
        self._usage: Usage | None = None

    def write(self, delta: Delta) -> Sequence[dict[str, Any]]:
        """Return the chunks that say it: mostly one, or none where it has to wait."""
        match delta:
            case TextDelta(number, text, logprobs) if text or logprobs:
                return (self._chunk(candidate(number, [{"text": text}], None, logprobs)),)
            case RefusalDelta(number, text) if text:
                return (self._chunk(candidate(number, [{"text": text}])),)
            case ThinkingDelta(number, text) if text and self._thoughts:
                return (self._chunk(candidate(number, [{"text": text, "thought": True}])),)
            case Finished(number, finish):
                return self._finished(number, finish)
            case _:
                self._keep(delta)
                return ()

    def end(self) -> Sequence[dict[str, Any]]:
        """Return the last chunk."""
        reasons = self._reasons or {0: FINISHES[Finish.STOP]}
        candidates = [
            candidate(number, [{"text": ""}], reasons[number]) for number in sorted(reasons)
        ]
        usage = {} if self._usage is None else {"usageMetadata": written_usage(self._usage)}
        return ({"candidates": candidates, **usage, **self._frame},)

    def _keep(self, delta: Delta) -> None:
        if isinstance(delta, ToolCallBegan):
            self._calls.setdefault(delta.choice, []).append(delta)
            self._arguments[delta.choice, delta.index] = []
        elif isinstance(delta, ToolCallDelta):
            self._arguments[delta.choice, delta.index].append(delta.arguments)
        elif isinstance(delta, Used):
            self._usage = delta.usage
        elif isinstance(delta, Began):
            self._usage = delta.usage or self._usage

    def _finished(self, number: int, finish: Finish) -> Sequence[dict[str, Any]]:
        self._reasons[number] = FINISHES[finish]
        parts: list[dict[str, Any]] = []
        for began in self._calls.pop(number, []):
            arguments = "".join(self._arguments.pop((number, began.index)))
            call = ToolCall(began.id, began.name, arguments, began.signature)
            try:
                written = written_part(call, thoughts=False)
            except Unsupported:
                # It broke off in the middle of its arguments.
                if finish is not Finish.LENGTH:
                    self._reasons[number] = MALFORMED_CALL
                continue
            parts += [] if written is None else [written]
        return (self._chunk(candidate(number, parts)),) if parts else ()

    def _chunk(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"candidates": [said], **self._frame}
