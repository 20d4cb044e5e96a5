"""The stream of a response that is there already: all of it, or what a client has not had. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from shared.dialects.responses import events

Item = dict[str, Any]
Event = dict[str, Any]
Mark = tuple[str, int | None, int]
"""What an event tells of: its type, or a sort of text; the item; the piece of it."""


class Diverged(Exception):
    """What was told is no beginning of the whole."""


class Sent:
    """How far a stream was told: its items, what began and ended, and the words of each piece."""

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self.marks: set[Mark] = set()
        self.texts: dict[Mark, list[str]] = {}

    @property
    def any(self) -> bool:
        """Tell whether an item was told of."""
        return bool(self.items)

    def note(self, event: Event) -> None:
        """Take note of an event that is told."""
        kind, index, delta = str(event.get("type")), event.get("output_index"), event.get("delta")
        if isinstance(index, int) and isinstance(event.get("item"), dict):
            self.items[index] = event["item"]
        if kind.endswith(".delta") and isinstance(delta, str):
            self.texts.setdefault(_mark(event, _shape(kind)), []).append(delta)
        else:
            self.marks.add(_mark(event, kind))


def retold(whole: Item, sent: Sent) -> Iterator[Event]:
    """Yield what a whole response has beyond what was told of it, to its last event.

    Raises:
        Diverged: something else was told.
    """
    output = whole.get("output") or ()
    if sent.items and max(sent.items) >= len(output):
        raise Diverged
    for event in _everything(whole, output, sent):
        if _mark(event, str(event["type"])) not in sent.marks:
            yield event


def _everything(whole: Item, output: Sequence[Item], sent: Sent) -> Iterator[Event]:
    yield events.lifecycle(events.IN_PROGRESS, {**whole, **_UNFINISHED})
    for index, item in enumerate(output):
        begun = sent.items.get(index)
        if begun is not None and _identity(begun) != _identity(item):
            raise Diverged
        yield from _TOLD.get(str(item.get("type")), _other)(index, item, sent)
    yield events.lifecycle(events.ENDS[str(whole.get("status") or "completed")], whole)


_UNFINISHED: Item = {
    "status": "in_progress",
    "output": [],
    "usage": None,
    "completed_at": None,
    "incomplete_details": None,
}


def _mark(event: Event, kind: str) -> Mark:
    place = event.get("content_index") or event.get("summary_index")
    return kind, event.get("output_index"), place or 0


def _shape(kind: str) -> str:
    return next((name for name in ("summary", "arguments") if name in kind), "content")


def _identity(item: Item) -> tuple[object, object]:
    return item.get("type"), item.get("id")


def _message(index: int, item: Item, sent: Sent) -> Iterator[Event]:
    yield events.item_added(index, {**item, "content": [], "status": "in_progress"})
    for place, part in enumerate(item.get("content") or ()):
        yield from _part(index, str(item.get("id")), place, part, sent)
    yield events.item_done(index, item)


def _call(index: int, item: Item, sent: Sent) -> Iterator[Event]:
    yield events.item_added(index, {**item, "arguments": "", "status": "in_progress"})
    left = _unsaid(("arguments", index, 0), str(item.get("arguments") or ""), sent)
    if left:
        yield events.arguments_delta(index, str(item.get("id")), left)
    yield from events.call_done(index, item)


def _thought(index: int, item: Item, sent: Sent) -> Iterator[Event]:
    item_id = str(item.get("id"))
    begun = {name: value for name, value in item.items() if name != "encrypted_content"}
    yield events.item_added(index, {**begun, "summary": []})
    for place, part in enumerate(item.get("summary") or ()):
        yield events.summary_added(index, item_id, place)
        if left := _unsaid(("summary", index, place), str(part.get("text") or ""), sent):
            yield events.summary_delta(index, item_id, left, place)
        yield from events.summary_done(index, item_id, place, part)
    yield events.item_done(index, item)


def _other(index: int, item: Item, _sent: Sent) -> Iterator[Event]:
    # Nobody here knows how such a thing comes about.
    yield events.item_added(index, item)
    yield events.item_done(index, item)


_TOLD: Mapping[str, Callable[[int, Item, Sent], Iterator[Event]]] = {
    "message": _message,
    "function_call": _call,
    "reasoning": _thought,
}


def _part(index: int, item_id: str, place: int, part: Item, sent: Sent) -> Iterator[Event]:
    name = "refusal" if part.get("type") == "refusal" else "text"
    empty: Item = {**part, name: ""}
    empty.update((each, []) for each in ("logprobs", "annotations") if each in part)
    yield events.part_added(index, item_id, place, empty)
    mark = ("content", index, place)
    if left := _unsaid(mark, str(part.get(name) or ""), sent):
        if name == "refusal":
            yield events.refusal_delta(index, item_id, place, left)
        else:
            tokens = () if mark in sent.texts else part.get("logprobs") or ()
            yield events.text_delta(index, item_id, place, left, tokens)
    yield from events.part_done(index, item_id, place, part)


def _unsaid(mark: Mark, whole: str, sent: Sent) -> str:
    said = "".join(sent.texts.get(mark, ()))
    if not whole.startswith(said):
        raise Diverged
    return whole[len(said) :]
