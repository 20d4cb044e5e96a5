"""A stream of OpenAI's chat, written; pure, and quick: it runs for every piece of every stream."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.dialects.chat.answers import PREFIX, write_logprobs
from shared.dialects.chat.calls import FUNCTION, signed
from shared.dialects.chat.usage import write_usage
from shared.dialects.translator import Head, Json
from shared.inference.generation import (
    Began,
    Delta,
    Finished,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegan,
    ToolCallDelta,
    Used,
)
from shared.inference.usage import Usage

Chunk = dict[str, Any]


class ChatEncoder:
    """One stream of chunks: the role with a choice's first words, the usage at the very end."""

    __slots__ = ("_calls", "_head", "_opened", "_usage")

    def __init__(self, head: Head, _asked: Json) -> None:
        self._head = {
            "id": PREFIX + head.id,
            "object": "chat.completion.chunk",
            "created": head.created_s,
            "model": head.model,
        }
        self._opened: set[int] = set()
        self._usage: Usage | None = None
        # Calls that have no arguments so far.
        self._calls: dict[int, set[int]] = {}

    def write(self, delta: Delta) -> Sequence[Chunk]:
        """Return the chunk that says it, if there is anything to say."""
        match delta:
            case TextDelta():
                said = {"content": delta.text}
                return self._chunk(delta.choice, said, logprobs=delta.logprobs)
            case ToolCallBegan() | ToolCallDelta():
                return self._call(delta)
            case ThinkingDelta():
                said = {"reasoning_content": delta.text}
                return self._chunk(delta.choice, said) if delta.text else ()
            case RefusalDelta():
                return self._chunk(delta.choice, {"refusal": delta.text})
            case Finished():
                return self._finished(delta)
            case Began() | Used():
                self._usage = delta.usage or self._usage
                return ()

    def end(self) -> Sequence[Chunk]:
        """Return the usage, as far as it is known."""
        if self._usage is None:
            return ()
        return ({**self._head, "choices": [], "usage": write_usage(self._usage)},)

    def _call(self, delta: ToolCallBegan | ToolCallDelta) -> Sequence[Chunk]:
        if isinstance(delta, ToolCallDelta):
            self._calls.get(delta.choice, set()).discard(delta.index)
            piece: Chunk = {"index": delta.index, FUNCTION: {"arguments": delta.arguments}}
            return self._chunk(delta.choice, {"tool_calls": [piece]})
        self._calls.setdefault(delta.choice, set()).add(delta.index)
        function = {"name": delta.name, "arguments": ""}
        piece = {"index": delta.index, "id": delta.id, "type": FUNCTION, FUNCTION: function}
        return self._chunk(delta.choice, {"tool_calls": [signed(piece, delta.signature)]})

    def _finished(self, delta: Finished) -> Sequence[Chunk]:
        # Clients read arguments as JSON, which nothing is not.
        bare = [
            {"index": index, FUNCTION: {"arguments": "{}"}}
            for index in sorted(self._calls.pop(delta.choice, ()))
        ]
        last = self._chunk(delta.choice, {}, finish=delta.finish.value)
        return (*self._chunk(delta.choice, {"tool_calls": bare}), *last) if bare else last

    def _chunk(
        self,
        choice: int,
        delta: Chunk,
        *,
        finish: str | None = None,
        logprobs: Mapping[str, Any] | None = None,
    ) -> Sequence[Chunk]:
        if choice not in self._opened:
            self._opened.add(choice)
            delta = {"role": "assistant", **delta}
        said = {
            "index": choice,
            "delta": delta,
            "logprobs": None if logprobs is None else write_logprobs(logprobs),
            "finish_reason": finish,
        }
        return ({**self._head, "choices": [said]},)
