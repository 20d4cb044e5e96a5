"""The events of a response's stream, each as its type wants it; not yet numbered. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

Item = dict[str, Any]
Event = dict[str, Any]
CREATED, QUEUED, IN_PROGRESS = "response.created", "response.queued", "response.in_progress"
OPENINGS = frozenset({CREATED, QUEUED})
COMPLETED, INCOMPLETE, FAILED = "response.completed", "response.incomplete", "response.failed"
ENDS = {
    "completed": COMPLETED,
    "incomplete": INCOMPLETE,
    # The protocol has no other word for an end without an answer.
    "failed": FAILED,
    "cancelled": FAILED,
}
LAST = frozenset(ENDS.values())


def lifecycle(kind: str, response: Item) -> Event:
    """Return an event that shows the whole response as it is then."""
    return {"type": kind, "response": response}


def item_added(index: int, item: Item) -> Event:
    """Return what begins an item."""
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def item_done(index: int, item: Item) -> Event:
    """Return what ends an item."""
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def part_added(index: int, item_id: str, place: int, part: Item) -> Event:
    """Return what begins a piece of a message."""
    return _of_part("response.content_part.added", index, item_id, place, part=part)


def text_delta(
    index: int, item_id: str, place: int, delta: str, logprobs: Sequence[Any] = ()
) -> Event:
    """Return more of a text."""
    more = {"delta": delta, "logprobs": list(logprobs)}
    return _of_part("response.output_text.delta", index, item_id, place, **more)


def refusal_delta(index: int, item_id: str, place: int, delta: str) -> Event:
    """Return more of a refusal."""
    return _of_part("response.refusal.delta", index, item_id, place, delta=delta)


def arguments_delta(index: int, item_id: str, delta: str) -> Event:
    """Return more of a call's arguments."""
    kind = "response.function_call_arguments.delta"
    return {"type": kind, "item_id": item_id, "output_index": index, "delta": delta}


def summary_added(index: int, item_id: str, place: int = 0) -> Event:
    """Return what begins a summary of thoughts."""
    part = {"type": "summary_text", "text": ""}
    return _of_summary("response.reasoning_summary_part.added", index, item_id, place, part=part)


def summary_delta(index: int, item_id: str, delta: str, place: int = 0) -> Event:
    """Return more of a summary."""
    kind = "response.reasoning_summary_text.delta"
    return _of_summary(kind, index, item_id, place, delta=delta)


def part_done(index: int, item_id: str, place: int, part: Item) -> Iterator[Event]:
    """Yield what ends a piece of a message: the whole of it, in its own words and as a part."""
    if part["type"] == "refusal":
        kind, more = "response.refusal.done", {"refusal": part["refusal"]}
        yield _of_part(kind, index, item_id, place, **more)
    elif part["type"] == "output_text":
        more = {"text": part["text"], "logprobs": part.get("logprobs") or []}
        yield _of_part("response.output_text.done", index, item_id, place, **more)
    yield _of_part("response.content_part.done", index, item_id, place, part=part)


def call_done(index: int, item: Item) -> Iterator[Event]:
    """Yield what ends a call."""
    yield {
        "type": "response.function_call_arguments.done",
        "item_id": item["id"],
        "output_index": index,
        "name": item["name"],
        "arguments": item["arguments"],
    }
    yield item_done(index, item)


def summary_done(index: int, item_id: str, place: int, part: Item) -> Iterator[Event]:
    """Yield what ends a summary."""
    kind = "response.reasoning_summary_text.done"
    yield _of_summary(kind, index, item_id, place, text=part.get("text", ""))
    yield _of_summary("response.reasoning_summary_part.done", index, item_id, place, part=part)


def _of_part(kind: str, index: int, item_id: str, place: int, **more: Any) -> Event:
    where = {"item_id": item_id, "output_index": index, "content_index": place}
    return {"type": kind, **where, **more}


def _of_summary(kind: str, index: int, item_id: str, place: int, **more: Any) -> Event:
    where = {"item_id": item_id, "output_index": index, "summary_index": place}
    return {"type": kind, **where, **more}
