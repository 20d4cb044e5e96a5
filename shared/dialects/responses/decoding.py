"""A stream of the Responses API, read into neutral words. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.dialects.responses import events
from shared.dialects.responses.answers import call_of, finish_of, parts_of, read_usage
from shared.dialects.responses.thoughts import BREAK, thinking_of
from shared.dialects.translator import Json
from shared.inference.conversation import Part
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

TEXT, REFUSAL = "response.output_text.delta", "response.refusal.delta"
SUMMARY, SUMMARY_PART = (
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_part.added",
)
THOUGHT = "response.reasoning_text.delta"
ARGUMENTS = "response.function_call_arguments.delta"
ADDED, DONE = "response.output_item.added", "response.output_item.done"


class ResponsesDecoder:
    """One response as its provider streams it."""

    def __init__(self) -> None:
        self._began = False
        self._calls: dict[int, int] = {}
        self._argued: set[int] = set()
        self._thoughts: dict[int, str] = {}
        """Where a thought's words come from: some send both them and their summary."""
        self._parts: list[Part] = []

    def read(self, event: Json) -> Sequence[Delta]:
        """Return what an event says."""
        return list(self._read(event))

    def _read(self, event: Json) -> Iterator[Delta]:
        kind = event.get("type")
        response = event.get("response")
        if isinstance(response, dict):
            yield from self._lifecycle(str(kind), response)
            return
        if kind == TEXT:
            yield TextDelta(0, _delta(event), _logprobs(event))
        elif kind == REFUSAL:
            yield RefusalDelta(0, _delta(event))
        elif kind in {SUMMARY, THOUGHT, SUMMARY_PART}:
            yield from self._thinking(str(kind), event)
        elif kind == ARGUMENTS:
            yield from self._arguments(event)
        elif kind in {ADDED, DONE} and isinstance(event.get("item"), dict):
            yield from self._item(event, event["item"], done=kind == DONE)

    def _lifecycle(self, kind: str, response: dict[str, Any]) -> Iterator[Delta]:
        if not self._began:
            self._began = True
            created = response.get("created_at")
            seconds = int(created) if isinstance(created, int | float) else 0
            yield Began(str(response.get("id") or ""), str(response.get("model") or ""), seconds)
        if kind in events.LAST:
            yield Finished(0, finish_of(response, self._parts))
            usage = read_usage(response.get("usage"))
            if usage is not None:
                yield Used(usage)

    def _thinking(self, kind: str, event: Json) -> Iterator[Delta]:
        index = _index(event)
        if kind == SUMMARY_PART:
            if event.get("summary_index") and self._thoughts.get(index) == SUMMARY:
                yield ThinkingDelta(0, BREAK)
        elif self._thoughts.setdefault(index, kind) == kind:
            yield ThinkingDelta(0, _delta(event))

    def _arguments(self, event: Json) -> Iterator[Delta]:
        call = self._calls.get(_index(event))
        if call is not None:
            self._argued.add(_index(event))
            yield ToolCallDelta(0, call, _delta(event))

    def _item(self, event: Json, item: dict[str, Any], *, done: bool) -> Iterator[Delta]:
        index = _index(event)
        if done:
            self._parts += parts_of(item)
        if item.get("type") == "function_call":
            yield from self._call(index, item, done=done)
        elif item.get("type") == "reasoning" and done:
            yield from self._thought(index, item)

    def _call(self, index: int, item: Json, *, done: bool) -> Iterator[Delta]:
        call = call_of(item)
        if index not in self._calls:
            number = self._calls[index] = len(self._calls)
            yield ToolCallBegan(0, number, call.id, call.name, call.signature)
        if done and index not in self._argued and call.arguments:
            # A provider that sends calls whole.
            yield ToolCallDelta(0, self._calls[index], call.arguments)

    def _thought(self, index: int, item: Json) -> Iterator[Delta]:
        thinking = thinking_of(item)
        if index not in self._thoughts and thinking.text:
            yield ThinkingDelta(0, thinking.text)
        if thinking.signature is not None or thinking.redacted is not None:
            yield ThinkingDelta(0, "", thinking.signature, thinking.redacted, thinking.dialect)


def _delta(event: Json) -> str:
    value = event.get("delta")
    return value if isinstance(value, str) else ""


def _index(event: Json) -> int:
    value = event.get("output_index")
    return value if isinstance(value, int) else 0


def _logprobs(event: Json) -> dict[str, Any] | None:
    tokens = event.get("logprobs")
    if not isinstance(tokens, list) or not tokens:
        return None
    return {"content": [{**each, "bytes": each.get("bytes") or None} for each in tokens]}
