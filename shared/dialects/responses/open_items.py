"""Items of a stream while their pieces come, each with the events that tell of it. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from shared.dialects.responses import events
from shared.dialects.responses.items import (
    IN_PROGRESS,
    function_call,
    message,
    output_text,
    refusal,
)
from shared.dialects.responses.thoughts import reasoning_item
from shared.inference.conversation import Thinking, ToolCall
from shared.inference.dialect import Dialect
from shared.inference.generation import ThinkingDelta, ToolCallBegan

Event = dict[str, Any]


class OpenMessage:
    """A message: a run of texts and refusals."""

    def __init__(self, index: int, identity: str) -> None:
        self.index = index
        self._id = identity
        self._done: list[dict[str, Any]] = []
        self._kind = ""
        self._pieces: list[str] = []
        self._tokens: list[JsonValue] = []

    def begin(self) -> Iterator[Event]:
        """Yield what begins it."""
        yield events.item_added(self.index, message(self._id, [], IN_PROGRESS))

    def text(self, delta: str, logprobs: Mapping[str, JsonValue] | None) -> Iterator[Event]:
        """Yield more of its text."""
        yield from self._in("output_text")
        tokens = (logprobs or {}).get("content")
        told = output_text("", tokens if isinstance(tokens, list) else ())["logprobs"]
        self._pieces.append(delta)
        self._tokens += told
        yield events.text_delta(self.index, self._id, len(self._done), delta, told)

    def refusal(self, delta: str) -> Iterator[Event]:
        """Yield more of its refusal."""
        yield from self._in("refusal")
        self._pieces.append(delta)
        yield events.refusal_delta(self.index, self._id, len(self._done), delta)

    def end(self, status: str) -> Iterator[Event]:
        """Yield what ends it."""
        yield from self._end_part()
        yield events.item_done(self.index, self.whole(status))

    def whole(self, status: str) -> dict[str, Any]:
        """Return it as it is once it has ended."""
        return message(self._id, self._done, status)

    def _in(self, kind: str) -> Iterator[Event]:
        if self._kind != kind:
            yield from self._end_part()
            self._kind = kind
            yield events.part_added(self.index, self._id, len(self._done), self._part())

    def _end_part(self) -> Iterator[Event]:
        if self._kind:
            part = self._part()
            yield from events.part_done(self.index, self._id, len(self._done), part)
            self._done.append(part)
            self._kind, self._pieces, self._tokens = "", [], []

    def _part(self) -> dict[str, Any]:
        text = "".join(self._pieces)
        return refusal(text) if self._kind == "refusal" else output_text(text, self._tokens)


class OpenThought:
    """A thought: its summary, and perhaps what its provider wants to see again."""

    def __init__(self, index: int, identity: str) -> None:
        self.index = index
        self._id = identity
        self._pieces: list[str] = []
        self._signature: str | None = None
        self._redacted: str | None = None
        self._dialect: Dialect | None = None

    def begin(self) -> Iterator[Event]:
        """Yield what begins it."""
        yield events.item_added(self.index, reasoning_item(self._id, Thinking("")))

    def more(self, delta: str) -> Iterator[Event]:
        """Yield more of its text."""
        if delta:
            if not self._pieces:
                yield events.summary_added(self.index, self._id)
            self._pieces.append(delta)
            yield events.summary_delta(self.index, self._id, delta)

    def sign(self, last: ThinkingDelta) -> None:
        """Take what its provider wants to see again."""
        self._signature, self._redacted, self._dialect = last.signature, last.redacted, last.dialect

    def end(self, status: str) -> Iterator[Event]:
        """Yield what ends it."""
        item = self.whole(status)
        for part in item["summary"]:
            yield from events.summary_done(self.index, self._id, 0, part)
        yield events.item_done(self.index, item)

    def whole(self, _status: str) -> dict[str, Any]:
        """Return it as it is once it has ended."""
        text = "".join(self._pieces)
        thinking = Thinking(text, self._signature, self._redacted, self._dialect)
        # What was begun under a name ends under it.
        return {**reasoning_item(self._id, thinking), "id": self._id}


class OpenCall:
    """A function call."""

    def __init__(self, index: int, identity: str, began: ToolCallBegan) -> None:
        self.index = index
        self._id = identity
        call_id = began.id or identity.replace("fc_", "call_", 1)
        self._call = ToolCall(call_id, began.name, "", began.signature)
        self._pieces: list[str] = []

    def begin(self) -> Iterator[Event]:
        """Yield what begins it."""
        yield events.item_added(self.index, function_call(self._id, self._call, IN_PROGRESS))

    def more(self, delta: str) -> Iterator[Event]:
        """Yield more of its arguments."""
        if delta:
            self._pieces.append(delta)
            yield events.arguments_delta(self.index, self._id, delta)

    def end(self, status: str) -> Iterator[Event]:
        """Yield what ends it."""
        yield from events.call_done(self.index, self.whole(status))

    def whole(self, status: str) -> dict[str, Any]:
        """Return it as it is once it has ended."""
        whole = function_call(self._id, self._call, status)
        return {**whole, "arguments": "".join(self._pieces)}
