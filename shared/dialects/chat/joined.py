"""A streamed answer put together again, whatever its provider thinks a chunk is; pure.

Pieces of a text are kept and joined once, so that a long answer costs no more than its length.
What has not the form of OpenAI's chunks is left out: it is no reason to lose the rest.
"""

from collections.abc import Iterator
from typing import Any

import orjson

SAID = (
    "content",
    "tool_calls",
    "reasoning_content",
    "reasoning",
    "refusal",
    "function_call",
    "audio",
)
"""What of a delta is the model's own: the role is not."""
WHOLE = frozenset({"role", "id", "type"})
"""Texts that do not come in pieces: the last one stands."""


class ChatJoined:
    """A `chat.completion` in the making."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: dict[str, Any]) -> bool:
        """Add the next `chat.completion.chunk`; True when the model says something in it.

        A chunk that only names the role comes before the model has begun.
        """
        speaks = False
        for name, value in chunk.items():
            if value is not None and name != "choices":
                self._head[name] = value
        for part in objects(chunk.get("choices")):
            index = part.get("index")
            number = index if isinstance(index, int) else 0
            choice = self._choices.get(number)
            if choice is None:
                choice = self._choices[number] = _Choice(number)
            speaks = choice.add(part) or speaks
        return speaks

    def whole(self) -> dict[str, Any]:
        """Return what there is as a `chat.completion` object."""
        choices = [self._choices[number].whole() for number in sorted(self._choices)]
        return {**self._head, "object": "chat.completion", "choices": choices}

    def said(self) -> str:
        """Return all that the model generated: its texts and calls."""
        return "".join(choice.said() for choice in self._choices.values())


def objects(value: object) -> Iterator[dict[str, Any]]:
    """Yield the objects in what should be a list of objects."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield item


class _Choice:
    def __init__(self, number: int) -> None:
        self._number = number
        self._message = _Fields()
        self._calls: dict[int, _Fields] = {}
        self._logprobs: _Fields | None = None
        self._finish_reason: object = None

    def add(self, part: dict[str, Any]) -> bool:
        delta = part.get("delta")
        speaks = isinstance(delta, dict) and any(delta.get(name) for name in SAID)
        if isinstance(delta, dict):
            self._message.add(delta, but="tool_calls")
            for piece in objects(delta.get("tool_calls")):
                self._call(piece).add(piece, but="index")
        if part.get("finish_reason") is not None:
            self._finish_reason = part["finish_reason"]
        logprobs = part.get("logprobs")
        if isinstance(logprobs, dict):
            self._logprobs = self._logprobs or _Fields()
            self._logprobs.add(logprobs)
        return speaks

    def whole(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": None, **self._message.whole()}
        if self._calls:
            calls = [self._calls[number].whole() for number in sorted(self._calls)]
            message["tool_calls"] = [_callable(call) for call in calls]
        return {
            "index": self._number,
            "message": message,
            "logprobs": None if self._logprobs is None else self._logprobs.whole(),
            "finish_reason": self._finish_reason,
        }

    def said(self) -> str:
        fields = [self._message, *self._calls.values()]
        return "".join(each.said() for each in fields)

    def _call(self, piece: dict[str, Any]) -> "_Fields":
        number = piece.get("index")
        if not isinstance(number, int):
            # Vendors that send whole calls leave it out: then an id begins a new one.
            number = max(self._calls, default=0)
            number += bool(piece.get("id") and self._calls)
        call = self._calls.get(number)
        if call is None:
            call = self._calls[number] = _Fields()
        return call


class _Fields:
    """An object that comes in pieces.

    Texts and lists grow, and objects, down to one level; anything else is replaced by what is newer.
    """

    def __init__(self, *, nested: bool = False) -> None:
        self._texts: dict[str, list[str]] = {}
        self._values: dict[str, Any] = {}
        self._inner: dict[str, _Fields] = {}
        self._nested = nested

    def add(self, piece: dict[str, Any], *, but: str | None = None) -> None:
        for name, value in piece.items():
            if value is None or name == but:
                continue
            if isinstance(value, str) and name not in WHOLE:
                self._texts.setdefault(name, []).append(value)
            elif isinstance(value, list):
                self._extend(name, value)
            elif isinstance(value, dict) and not self._nested:
                self._inner.setdefault(name, _Fields(nested=True)).add(value)
            else:
                self._values[name] = value

    def whole(self) -> dict[str, Any]:
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        inner = {name: fields.whole() for name, fields in self._inner.items()}
        found = {**self._values, **texts, **inner}
        for name in self._texts.keys() & self._values.keys():
            if isinstance(self._values[name], list):
                # Mistral's reasoning models send parts first, then plain text.
                found[name] = [*self._values[name], {"type": "text", "text": texts[name]}]
        return found

    def said(self) -> str:
        texts = [piece for pieces in self._texts.values() for piece in pieces]
        lists = [_spelled(value) for value in self._values.values() if isinstance(value, list)]
        return "".join([*texts, *lists, *(fields.said() for fields in self._inner.values())])

    def _extend(self, name: str, value: list[Any]) -> None:
        known = self._values.get(name)
        if isinstance(known, list):
            known.extend(value)
        else:
            self._values[name] = list(value)


def _spelled(value: list[Any]) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # Nested deeper than is written: no model says such a thing.
        return ""


def _callable(call: dict[str, Any]) -> dict[str, Any]:
    if "function" in call:
        call["function"] = {"name": "", "arguments": "", **call["function"]}
    return call
