"""A stream, written as the events of the Responses API. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.dialects.responses import events
from shared.dialects.responses.items import COMPLETED, IN_PROGRESS, item_id
from shared.dialects.responses.items import INCOMPLETE as CUT
from shared.dialects.responses.open_items import OpenCall, OpenMessage, OpenThought
from shared.dialects.responses.resource import INCOMPLETE, resource
from shared.dialects.translator import Head, Json
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
Said = TextDelta | ThinkingDelta | RefusalDelta | ToolCallBegan | ToolCallDelta | Finished


class ResponsesEncoder:
    """One response in the making; of several choices the first is told."""

    def __init__(self, head: Head, asked: Json) -> None:
        self._head = head
        self._asked = asked
        self._began = False
        self._done: dict[int, dict[str, Any]] = {}
        self._count = 0
        self._speech: OpenMessage | None = None
        self._thought: OpenThought | None = None
        self._calls: dict[int, OpenCall] = {}
        self._finish = Finish.STOP
        self._usage: Usage | None = None

    def write(self, delta: Delta) -> Sequence[Event]:
        """Return the events that say it."""
        return list(self._write(delta))

    def end(self) -> Sequence[Event]:
        """Return what ends the items that are open, and the response."""
        reason = INCOMPLETE.get(self._finish)
        status = COMPLETED if reason is None else CUT
        told = [*self._begin(), *self._close(status)]
        whole = resource(
            self._asked,
            self._head,
            status=status,
            output=[self._done[index] for index in sorted(self._done)],
            usage=self._usage,
            reason=reason,
        )
        return [*told, events.lifecycle(events.ENDS[status], whole)]

    def _write(self, delta: Delta) -> Iterator[Event]:
        yield from self._begin()
        if isinstance(delta, Began):
            self._usage = delta.usage or self._usage
        elif isinstance(delta, Used):
            self._usage = delta.usage
        elif delta.choice == 0:
            yield from self._say(delta)

    def _say(self, delta: Said) -> Iterator[Event]:
        match delta:
            case TextDelta():
                yield from self._speaking()
                yield from self._spoken().text(delta.text, delta.logprobs)
            case RefusalDelta():
                yield from self._speaking()
                yield from self._spoken().refusal(delta.text)
            case ThinkingDelta():
                yield from self._think(delta)
            case ToolCallBegan():
                yield from self._call(delta)
            case ToolCallDelta():
                yield from self._calls[delta.index].more(delta.arguments)
            case Finished():
                self._finish = delta.finish

    def _begin(self) -> Iterator[Event]:
        if not self._began:
            self._began = True
            for kind in (events.CREATED, events.IN_PROGRESS):
                whole = resource(self._asked, self._head, status=IN_PROGRESS)
                yield events.lifecycle(kind, whole)

    def _next(self, kind: str) -> tuple[int, str]:
        index, self._count = self._count, self._count + 1
        return index, item_id(kind, self._head.id, index)

    def _speaking(self) -> Iterator[Event]:
        if self._speech is None:
            yield from self._end_thought(COMPLETED)
            self._speech = OpenMessage(*self._next("msg"))
            yield from self._speech.begin()

    def _spoken(self) -> OpenMessage:
        assert self._speech is not None
        return self._speech

    def _think(self, delta: ThinkingDelta) -> Iterator[Event]:
        if self._thought is None:
            yield from self._end_speech(COMPLETED)
            self._thought = OpenThought(*self._next("rs"))
            yield from self._thought.begin()
        yield from self._thought.more(delta.text)
        if delta.signature is not None or delta.redacted is not None:
            # It comes with the last piece: what follows is another thought.
            self._thought.sign(delta)
            yield from self._end_thought(COMPLETED)

    def _call(self, delta: ToolCallBegan) -> Iterator[Event]:
        yield from self._end_thought(COMPLETED)
        yield from self._end_speech(COMPLETED)
        # Calls stay open to the end: their pieces may come by turns.
        call = self._calls[delta.index] = OpenCall(*self._next("fc"), delta)
        yield from call.begin()

    def _close(self, status: str) -> Iterator[Event]:
        yield from self._end_thought(status)
        yield from self._end_speech(status)
        calls = list(self._calls.values())
        for call in calls:
            last = call is calls[-1] and call.index == self._count - 1
            yield from self._ended(call, status if last else COMPLETED)

    def _end_thought(self, status: str) -> Iterator[Event]:
        thought, self._thought = self._thought, None
        if thought is not None:
            yield from self._ended(thought, status)

    def _end_speech(self, status: str) -> Iterator[Event]:
        speech, self._speech = self._speech, None
        if speech is not None:
            yield from self._ended(speech, status)

    def _ended(self, item: OpenMessage | OpenThought | OpenCall, status: str) -> Iterator[Event]:
        yield from item.end(status)
        self._done[item.index] = item.whole(status)
