"""A response as the events of its stream, in the order that OpenAI keeps; not yet numbered."""

from collections.abc import Iterator, Mapping
from typing import Any

Body = Mapping[str, Any]
Event = dict[str, Any]

PIECE = 8


def events_of(answer: Body) -> list[Event]:
    """Return every event of a response; without its last one, if it has not come to an end."""
    opened = {**answer, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    rows: list[Event] = [
        {"type": "response.created", "response": opened},
        {"type": "response.in_progress", "response": opened},
    ]
    for index, item in enumerate(answer["output"] or []):
        rows += _item(index, item)
    if answer["status"] != "in_progress":
        rows.append({"type": f"response.{answer['status']}", "response": dict(answer)})
    return rows


def _item(index: int, item: Body) -> Iterator[Event]:
    where = {"output_index": index}
    bare: dict[str, Event] = {"message": {"content": []}, "function_call": {"arguments": ""}}
    begun = {**item, **bare.get(item["type"], {"summary": []})}
    if "status" in item:
        begun["status"] = "in_progress"
    begun.pop("encrypted_content", None)
    yield {"type": "response.output_item.added", **where, "item": begun}
    of_item = {"item_id": item["id"], **where}
    if item["type"] == "message":
        for place, part in enumerate(item["content"]):
            yield from _part({**of_item, "content_index": place}, part)
    elif item["type"] == "function_call":
        yield from _arguments(of_item, item)
    else:
        for place, part in enumerate(item["summary"]):
            yield from _summary({**of_item, "summary_index": place}, part)
    yield {"type": "response.output_item.done", **where, "item": dict(item)}


def _part(where: Body, part: Body) -> Iterator[Event]:
    yield {"type": "response.content_part.added", **where, "part": {**part, "text": ""}}
    for piece in cut(part["text"]):
        yield {
            "type": "response.output_text.delta",
            **where,
            "delta": piece,
            "logprobs": [],
            "obfuscation": "x" * (16 - len(piece)),
        }
    yield {
        "type": "response.output_text.done",
        **where,
        "text": part["text"],
        "logprobs": [],
    }
    yield {"type": "response.content_part.done", **where, "part": dict(part)}


def _arguments(where: Body, item: Body) -> Iterator[Event]:
    for piece in cut(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.function_call_arguments.done", **where, **done}


def _summary(where: Body, part: Body) -> Iterator[Event]:
    kind = "response.reasoning_summary"
    yield {"type": f"{kind}_part.added", **where, "part": {**part, "text": ""}}
    for piece in cut(part["text"]):
        yield {"type": f"{kind}_text.delta", **where, "delta": piece}
    yield {"type": f"{kind}_text.done", **where, "text": part["text"]}
    yield {"type": f"{kind}_part.done", **where, "part": dict(part)}


def cut(text: str) -> list[str]:
    """Return a text in the pieces in which it is streamed; a huge one in few."""
    size = max(PIECE, len(text) // 1000)
    return [text[start : start + size] for start in range(0, len(text), size)]
