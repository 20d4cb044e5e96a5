"""Streams, from neutral pieces to Anthropic's events. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from shared.dialects.messages.answers import (
    call_block,
    ending,
    opening,
    redacted_block,
    text_block,
    thinking_block,
)
from shared.dialects.messages.seals import sealed
from shared.dialects.messages.usage import write_usage
from shared.dialects.translator import Head
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

Event = dict[str, Any]


class MessagesEncoder:
    """Writes one stream, of the first choice: blocks one after another, the end when all is known."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._began = False
        self._usage: Usage | None = None
        self._blocks = _Blocks()
        self._calls = _Calls(self._blocks)
        self._refused = ""
        self._finished = Finished(0, Finish.STOP)

    def write(self, delta: Delta) -> Sequence[Event]:
        """Return the events that say it; how it ended is said at the end, with the usage."""
        if isinstance(delta, Used):
            self._usage = delta.usage
            return ()
        if isinstance(delta, Began):
            self._usage = delta.usage or self._usage
            return tuple(self._begin())
        if delta.choice != 0:
            return ()
        return (*self._begin(), *self._said(delta))

    def end(self) -> Sequence[Event]:
        """Return what closes the stream."""
        finished = self._finished
        calls = self._calls.count > 0
        ended = ending(finished.finish, finished.stop_sequence, calls=calls, refused=self._refused)
        return (
            *self._begin(),
            *self._calls.flush(),
            *self._blocks.close(),
            {"type": "message_delta", "delta": ended, "usage": write_usage(self._usage)},
            {"type": "message_stop"},
        )

    def _begin(self) -> Iterator[Event]:
        if not self._began:
            self._began = True
            usage = write_usage(self._usage)
            yield {"type": "message_start", "message": {**opening(self._head), "usage": usage}}

    def _said(self, delta: Delta) -> Iterator[Event]:
        match delta:
            case TextDelta(_, text) if text:
                yield from self._calls.flush()
                yield from self._blocks.open("text", text_block(""))
                yield self._blocks.delta("text_delta", "text", text)
            case ThinkingDelta(_, text) if text:
                yield from self._calls.flush()
                yield from self._blocks.open("thinking", thinking_block("", ""))
                yield self._blocks.delta("thinking_delta", "thinking", text)
            case ThinkingDelta():
                yield from self._seal(delta)
            case RefusalDelta(_, text):
                self._refused += text
            case ToolCallBegan():
                yield from self._calls.begin(delta)
            case ToolCallDelta(_, index, arguments):
                yield from self._calls.add(index, arguments)
            case Finished():
                self._finished = delta
            case _:
                pass

    def _seal(self, delta: ThinkingDelta) -> Iterator[Event]:
        signature = sealed(delta.signature, delta.dialect)
        redacted = sealed(delta.redacted, delta.dialect)
        if signature:
            yield from self._blocks.open("thinking", thinking_block("", ""))
            yield self._blocks.delta("signature_delta", "signature", signature)
        if delta.signature or delta.redacted:
            yield from self._blocks.close("thinking")
        if redacted:
            yield from self._blocks.open("redacted", redacted_block(redacted))
            yield from self._blocks.close()


class _Blocks:
    """The content blocks, of which one is open at a time."""

    def __init__(self) -> None:
        self._index = -1
        self._kind: str | None = None

    def open(self, kind: str, block: Event) -> Iterator[Event]:
        """Open a block, unless one of its kind is open; calls name each its own kind."""
        if self._kind == kind:
            return
        yield from self.close()
        self._kind, self._index = kind, self._index + 1
        yield {"type": "content_block_start", "index": self._index, "content_block": block}

    def delta(self, kind: str, name: str, text: str) -> Event:
        """Return more of the open block."""
        delta = {"type": kind, name: text}
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def close(self, kind: str | None = None) -> Iterator[Event]:
        """Close the open block, if there is one and it is of a kind."""
        if self._kind is not None and kind in (None, self._kind):
            self._kind = None
            yield {"type": "content_block_stop", "index": self._index}


class _Call:
    """A call whose pieces may come between those of others."""

    def __init__(self, began: ToolCallBegan) -> None:
        self.began = began
        self.pieces: list[str] = []
        self.written = 0

    @property
    def is_whole(self) -> bool:
        try:
            orjson.loads("".join(self.pieces))
        except orjson.JSONDecodeError:
            return False
        return True


class _Calls:
    """The calls under way, written one after another: the next when the one before is whole."""

    def __init__(self, blocks: _Blocks) -> None:
        self._blocks = blocks
        self._waiting: dict[int, _Call] = {}
        self.count = 0

    def begin(self, began: ToolCallBegan) -> Iterator[Event]:
        """Take a new call."""
        self.count += 1
        self._waiting[began.index] = _Call(began)
        yield from self._go_on()

    def add(self, index: int, arguments: str) -> Iterator[Event]:
        """Take more of a call's arguments."""
        call = self._waiting.get(index)
        if call is not None and arguments:
            call.pieces.append(arguments)
            yield from self._go_on()

    def flush(self) -> Iterator[Event]:
        """Write whatever there is: something else follows the calls."""
        for call in self._waiting.values():
            yield from self._write(call)
        self._waiting.clear()

    def _go_on(self) -> Iterator[Event]:
        while self._waiting:
            index, call = next(iter(self._waiting.items()))
            yield from self._write(call)
            if len(self._waiting) == 1 or not call.is_whole:
                return
            del self._waiting[index]

    def _write(self, call: _Call) -> Iterator[Event]:
        began = call.began
        block = call_block(began.id, began.name, began.signature)
        yield from self._blocks.open(f"call {began.index}", block)
        for piece in call.pieces[call.written :]:
            yield self._blocks.delta("input_json_delta", "partial_json", piece)
        call.written = len(call.pieces)
