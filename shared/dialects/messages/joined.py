"""A stream of Anthropic's events put together again, blocks that nobody here knows included. Pure.

Pieces of a text are kept and joined once, so that a long answer costs no more than its length.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from shared.dialects.messages.blocks import parsed
from shared.dialects.messages.usage import merged

INPUT = "input_json_delta"
LISTS = {"citations_delta": ("citation", "citations")}
"""Pieces that are items of a list: under which key they come, and which list they join."""
LAST = frozenset({"signature_delta"})
"""Pieces that are whole: the last one stands."""


class MessagesJoined:
    """A message in the making."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, _Block] = {}

    def add(self, event: dict[str, Any]) -> bool:
        """Add the next event; True when the model says something in it."""
        match event.get("type"):
            case "message_start":
                self._start(event.get("message"))
            case "content_block_start":
                return self._open(event.get("index"), event.get("content_block"))
            case "content_block_delta":
                return self._more(event.get("index"), event.get("delta"))
            case "message_delta":
                self._usage = merged(self._usage, event.get("usage"))
                self._note(event.get("delta"))
                others = {"type", "delta", "usage"}
                self._note({name: event[name] for name in event.keys() - others})
            case _:
                pass
        return False

    def whole(self) -> dict[str, Any]:
        """Return what there is as a `message`."""
        blocks = [self._blocks[index].whole() for index in sorted(self._blocks)]
        whole = {"type": "message", "role": "assistant", **self._head, "content": blocks}
        whole.setdefault("stop_reason", None)
        whole.setdefault("stop_sequence", None)
        whole["usage"] = self._usage or {"input_tokens": 0, "output_tokens": 0}
        return whole

    def said(self) -> str:
        """Return all that the model generated: texts, thoughts and calls."""
        return "".join(block.said() for _, block in sorted(self._blocks.items()))

    def _start(self, message: object) -> None:
        if not isinstance(message, dict):
            return
        self._head = {**message}
        self._usage = merged({}, self._head.pop("usage", None))
        content = self._head.pop("content", None)
        for index, block in enumerate(content if isinstance(content, list) else []):
            self._open(index, block)

    def _open(self, index: object, block: object) -> bool:
        if not isinstance(index, int) or not isinstance(block, dict):
            return False
        opened = self._blocks[index] = _Block(block)
        return opened.speaks

    def _more(self, index: object, delta: object) -> bool:
        block = self._blocks.get(index) if isinstance(index, int) else None
        return block is not None and isinstance(delta, dict) and block.add(delta)

    def _note(self, told: object) -> None:
        if isinstance(told, dict):
            self._head |= {name: value for name, value in told.items() if value is not None}


class _Block:
    def __init__(self, block: Mapping[str, Any]) -> None:
        self._whole = {**block}
        self._pieces: dict[str, list[str]] = {}
        self._input: list[str] = []

    @property
    def speaks(self) -> bool:
        """Tell whether the block says something as it begins: an empty text or thought does not."""
        kind = self._whole.get("type")
        return bool(self._whole.get(str(kind))) if kind in ("text", "thinking") else True

    def add(self, delta: Mapping[str, Any]) -> bool:
        """Add a piece: texts grow, also under names that nobody here knows."""
        kind = delta.get("type")
        if kind == INPUT:
            piece = delta.get("partial_json")
            self._input.append(piece if isinstance(piece, str) else "")
            return bool(piece)
        if kind in LISTS:
            name, place = LISTS[kind]
            known = self._whole.get(place)
            self._whole[place] = [*(known if isinstance(known, list) else ()), delta.get(name)]
            return False
        if kind in LAST:
            self._whole |= {name: value for name, value in delta.items() if name != "type"}
            return False
        return self._grow(delta)

    def whole(self) -> dict[str, Any]:
        """Return the block."""
        grown: dict[str, Any] = {name: self._text(name) for name in self._pieces}
        told = "".join(self._input)
        if told:
            grown["input"] = parsed(told)
        return {**self._whole, **grown}

    def said(self) -> str:
        """Return what of the block the model generated."""
        names = {"text", "thinking", *self._pieces}
        texts = [self._text(name) for name in sorted(names)]
        if "name" in self._whole:
            given = self._whole.get("input")
            texts.append(str(self._whole["name"]))
            texts.append("".join(self._input) or (orjson.dumps(given).decode() if given else ""))
        return "".join(texts)

    def _grow(self, delta: Mapping[str, Any]) -> bool:
        speaks = False
        for name, value in delta.items():
            if name == "type" or value is None:
                continue
            if isinstance(value, str):
                self._pieces.setdefault(name, []).append(value)
                speaks = speaks or bool(value)
            else:
                self._whole[name] = value
        return speaks

    def _text(self, name: str) -> str:
        begun = self._whole.get(name)
        return "".join([begun if isinstance(begun, str) else "", *self._pieces.get(name, ())])
