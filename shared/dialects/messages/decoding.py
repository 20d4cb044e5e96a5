"""Streams, from Anthropic's events to neutral pieces. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from shared.dialects.messages.answers import finish_of, refusal_of
from shared.dialects.messages.blocks import spelled
from shared.dialects.messages.usage import merged, read_usage
from shared.dialects.translator import Json
from shared.inference.dialect import Dialect
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

NOTHING: Mapping[str, Any] = {}


class MessagesDecoder:
    """Reads one stream; blocks that are nobody's but Anthropic's are left out."""

    def __init__(self) -> None:
        self._usage: dict[str, Any] = {}
        self._calls: dict[object, int] = {}
        self._silent: set[object] = set()
        self._readers: Mapping[str, Callable[[Json], Iterator[Delta]]] = {
            "message_start": self._start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._end,
        }

    def read(self, event: Json) -> Sequence[Delta]:
        """Return what an event says."""
        reader = self._readers.get(_text(event, "type"))
        return () if reader is None else tuple(reader(event))

    def _start(self, event: Json) -> Iterator[Delta]:
        message = _object(event, "message")
        self._usage = merged({}, message.get("usage"))
        yield Began(
            _text(message, "id"), _text(message, "model"), usage=read_usage(message.get("usage"))
        )

    def _block_start(self, event: Json) -> Iterator[Delta]:
        block, index = _object(event, "content_block"), event.get("index")
        match block.get("type"):
            case "tool_use":
                call = self._calls[index] = len(self._calls)
                yield ToolCallBegan(0, call, _text(block, "id"), _text(block, "name"))
                if block.get("input"):
                    yield ToolCallDelta(0, call, spelled(block["input"]))
                else:
                    self._silent.add(index)
            case "redacted_thinking":
                yield ThinkingDelta(0, redacted=_text(block, "data"), dialect=Dialect.MESSAGES)
            case "text" if block.get("text"):
                yield TextDelta(0, _text(block, "text"))
            case "thinking" if block.get("thinking"):
                yield ThinkingDelta(0, _text(block, "thinking"))
            case _:
                pass

    def _block_delta(self, event: Json) -> Iterator[Delta]:
        delta, index = _object(event, "delta"), event.get("index")
        match delta.get("type"):
            case "text_delta":
                yield TextDelta(0, _text(delta, "text"))
            case "thinking_delta":
                yield ThinkingDelta(0, _text(delta, "thinking"))
            case "signature_delta":
                signature = _text(delta, "signature")
                yield ThinkingDelta(0, signature=signature, dialect=Dialect.MESSAGES)
            case "input_json_delta" if index in self._calls and delta.get("partial_json"):
                self._silent.discard(index)
                yield ToolCallDelta(0, self._calls[index], _text(delta, "partial_json"))
            case _:
                pass

    def _block_stop(self, event: Json) -> Iterator[Delta]:
        index = event.get("index")
        if index in self._silent:
            # A call without arguments: elsewhere these are JSON all the same.
            self._silent.discard(index)
            yield ToolCallDelta(0, self._calls[index], "{}")

    def _end(self, event: Json) -> Iterator[Delta]:
        ended = _object(event, "delta")
        self._usage = merged(self._usage, event.get("usage"))
        refusal = refusal_of(ended)
        if refusal:
            yield RefusalDelta(0, refusal)
        if ended.get("stop_reason") is not None:
            stopped = _text(ended, "stop_sequence") or None
            yield Finished(0, finish_of(ended["stop_reason"]), stopped)
        usage = read_usage(self._usage) if event.get("usage") else None
        if usage is not None:
            yield Used(usage)


def _object(value: Json, name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else NOTHING


def _text(value: Json, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
