"""How much of one block of a streamed message was sent, and what is left of the whole one; pure."""

from collections.abc import Iterator
from typing import Any

import orjson

from api.direct.failures import StreamBroken

Json = dict[str, Any]
# What grows by deltas: the member of a block, its delta's type and member.
_TEXTS = {"text": "text_delta", "thinking": "thinking_delta", "signature": "signature_delta"}
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


class SentBlock:
    """Characters of texts, citations, and the JSON of a call's input."""

    __slots__ = ("_begun", "_citations", "_ended", "_input", "_texts")

    def __init__(self) -> None:
        self._begun = False
        self._ended = False
        self._texts: dict[str, int] = {}
        self._citations = 0
        self._input: list[str] = []

    def count(self, event: Json) -> None:
        """Note an event of this block that is being sent."""
        kind = event["type"]
        if kind == "content_block_start":
            self._begun = True
            self._note_texts(event.get("content_block") or {})
        elif kind == "content_block_delta":
            self._note_delta(event.get("delta") or {})
        elif kind == "content_block_stop":
            self._ended = True

    def rest(self, block: Json) -> Iterator[Json]:
        """Yield the events, without their index, that bring the client to the whole block.

        Raises:
            StreamBroken: a call broke off in its input.
        """
        if self._ended:
            return
        if not self._begun:
            yield {"type": "content_block_start", "content_block": _empty(block)}
        for delta in self._deltas(block):
            yield {"type": "content_block_delta", "delta": delta}
        self._begun = self._ended = True
        yield {"type": "content_block_stop"}

    def _note_texts(self, source: Json) -> None:
        for name in _TEXTS:
            if isinstance(text := source.get(name), str):
                self._texts[name] = self._texts.get(name, 0) + len(text)

    def _note_delta(self, delta: Json) -> None:
        if isinstance(part := delta.get("partial_json"), str):
            self._input.append(part)
        elif "citation" in delta:
            self._citations += 1
        else:
            self._note_texts(delta)

    def _deltas(self, block: Json) -> Iterator[Json]:
        for name, kind in _TEXTS.items():
            text, sent = block.get(name), self._texts.get(name, 0)
            if isinstance(text, str) and len(text) > sent:
                yield {"type": kind, name: text[sent:]}
        for citation in (block.get("citations") or ())[self._citations :]:
            yield {"type": "citations_delta", "citation": citation}
        if block.get("type") in _CALLS:
            yield from self._call(block.get("input") or {})

    def _call(self, value: Json) -> Iterator[Json]:
        sent = "".join(self._input)
        if not sent:
            yield {"type": "input_json_delta", "partial_json": orjson.dumps(value).decode()}
        elif not _is(sent, value):
            # The same value can be written in many ways: where to go on is not known.
            raise StreamBroken("The stream was lost in the middle of a tool call. Try again.")


def _empty(block: Json) -> Json:
    """Return a block as it begins: what comes by deltas is not there yet, all else is."""
    begun = {name: "" if name in _TEXTS else value for name, value in block.items()}
    if block.get("type") in _CALLS:
        begun["input"] = {}
    if "citations" in block:
        begun["citations"] = None if block["citations"] is None else []
    return begun


def _is(sent: str, value: Json) -> bool:
    try:
        return bool(orjson.loads(sent) == value)
    except orjson.JSONDecodeError:
        return False
