"""The stream of a response that is there already: all of it, or what a client has not had. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared.dialects.responses import events

Item = dict[str, Any]
Event = dict[str, Any]


class Diverged(Exception):
    """What was told is no beginning of the whole."""


class Sent:
    """How far a stream was told: its items, and of each piece how many characters."""

    def __init__(self) -> None:
        self.in_progress = False
        self.items: dict[int, Item] = {}
        self.done: set[int] = set()
        self.parts: set[tuple[str, int, int]] = set()
        self.texts: dict[tuple[str, int, int], list[str]] = {}

    @property
    def any(self) -> bool:
        """Tell whether an item was told of."""
        return bool(self.items)

    def note(self, event: Event) -> None:
        """Take note of an event that is told."""
        kind, index, item = event.get("type"), event.get("output_index"), event.get("item")
        if kind == events.IN_PROGRESS:
            self.in_progress = True
        elif isinstance(index, int) and isinstance(item, dict):
            self.items[index] = item
            if kind == "response.output_item.done":
                self.done.add(index)
        elif isinstance(index, int):
            self._note_piece(str(kind), index, event)

    def _note_piece(self, kind: str, index: int, event: Event) -> None:
        place = event.get("content_index") or event.get("summary_index") or 0
        key = (_shape(kind), index, int(place))
        if kind.endswith("_part.added"):
            self.parts.add(key)
        elif kind.endswith(".delta") and isinstance(event.get("delta"), str):
            self.texts.setdefault(key, []).append(event["delta"])


def retold(whole: Item, sent: Sent) -> Iterator[Event]:
    """Yield what a whole response has beyond what was told of it, to its last event.

    Raises:
        Diverged: something else was told.
    """
    if not sent.in_progress:
        yield events.lifecycle(events.IN_PROGRESS, {**whole, **_UNFINISHED})
    for index, item in enumerate(whole.get("output") or ()):
        if index not in sent.done:
            yield from _item(index, item, sent)
    yield events.lifecycle(events.ENDS[str(whole.get("status") or "completed")], whole)


_UNFINISHED: Item = {
    "status": "in_progress",
    "output": [],
    "usage": None,
    "completed_at": None,
    "incomplete_details": None,
}


def _shape(kind: str) -> str:
    for name in ("summary", "arguments"):
        if name in kind:
            return name
    return "content"


def _item(index: int, item: Item, sent: Sent) -> Iterator[Event]:
    begun = sent.items.get(index)
    if begun is not None and _identity(begun) != _identity(item):
        raise Diverged
    yield from _TOLD.get(str(item.get("type")), _other)(index, item, sent)


def _identity(item: Item) -> tuple[object, object]:
    return item.get("type"), item.get("id")


def _message(index: int, item: Item, sent: Sent) -> Iterator[Event]:
    yield from _begun(index, item, {"content": [], "status": "in_progress"}, sent)
    for place, part in enumerate(item.get("content") or ()):
        yield from _part(index, str(item.get("id")), place, part, sent)
    yield events.item_done(index, item)


def _call(index: int, item: Item, sent: Sent) -> Iterator[Event]:
    yield from _begun(index, item, {"arguments": "", "status": "in_progress"}, sent)
    left = _unsaid(("arguments", index, 0), str(item.get("arguments") or ""), sent)
    if left:
        yield events.arguments_delta(index, str(item.get("id")), left)
    yield from events.call_done(index, item)


def _thought(index: int, item: Item, sent: Sent) -> Iterator[Event]:
    yield from _begun(index, item, {"summary": []}, sent)
    for place, part in enumerate(item.get("summary") or ()):
        yield from _summary(index, str(item.get("id")), place, part, sent)
    yield events.item_done(index, item)


def _other(index: int, item: Item, sent: Sent) -> Iterator[Event]:
    # Nobody here knows how such a thing comes about.
    yield from _begun(index, item, {}, sent)
    yield events.item_done(index, item)


_TOLD: Mapping[str, Callable[[int, Item, Sent], Iterator[Event]]] = {
    "message": _message,
    "function_call": _call,
    "reasoning": _thought,
}


def _begun(index: int, item: Item, empty: Item, sent: Sent) -> Iterator[Event]:
    if index not in sent.items:
        yield events.item_added(index, {**item, **empty})


def _part(index: int, item_id: str, place: int, part: Item, sent: Sent) -> Iterator[Event]:
    key = ("content", index, place)
    name = "refusal" if part.get("type") == "refusal" else "text"
    if key not in sent.parts:
        empty = {**part, name: ""} if name in part else part
        yield events.part_added(index, item_id, place, {**empty, **_bare(part)})
    if left := _unsaid(key, str(part.get(name) or ""), sent):
        if name == "refusal":
            yield events.refusal_delta(index, item_id, place, left)
        else:
            tokens = part.get("logprobs") if key not in sent.texts else None
            yield events.text_delta(index, item_id, place, left, tokens or ())
    yield from events.part_done(index, item_id, place, part)


def _bare(part: Item) -> Item:
    return {name: [] for name in ("logprobs", "annotations") if name in part}


def _summary(index: int, item_id: str, place: int, part: Item, sent: Sent) -> Iterator[Event]:
    key = ("summary", index, place)
    if key not in sent.parts:
        yield events.summary_added(index, item_id, place)
    if left := _unsaid(key, str(part.get("text") or ""), sent):
        yield events.summary_delta(index, item_id, left, place)
    yield from events.summary_done(index, item_id, place, part)


def _unsaid(key: tuple[str, int, int], whole: str, sent: Sent) -> str:
    said = "".join(sent.texts.get(key, ()))
    if not whole.startswith(said):
        raise Diverged
    return whole[len(said) :]
