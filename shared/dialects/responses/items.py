"""The items of a response's output, as strict as OpenAI's strictest client wants them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from shared.dialects.responses.thoughts import reasoning_item
from shared.inference.conversation import (
    Media,
    MediaKind,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)

COMPLETED, INCOMPLETE, IN_PROGRESS = "completed", "incomplete", "in_progress"
SIGNATURE = "penstock_signature"
"""What a provider wants to see again with a call. Clients give an item back as they got it."""
Item = dict[str, Any]


def output_text(text: str, logprobs: Sequence[JsonValue] = ()) -> Item:
    """Return a piece of text in a message."""
    return {
        "type": "output_text",
        "text": text,
        "annotations": [],
        "logprobs": [_token(each) for each in logprobs],
    }


def refusal(text: str) -> Item:
    """Return a refusal in a message."""
    return {"type": "refusal", "refusal": text}


def message(identity: str, content: Sequence[Item], status: str) -> Item:
    """Return a message of the model's."""
    return {
        "type": "message",
        "id": identity,
        "status": status,
        "role": "assistant",
        "content": list(content),
    }


def function_call(identity: str, call: ToolCall, status: str) -> Item:
    """Return a wish to have a function called."""
    item = {
        "type": "function_call",
        "id": identity,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": status,
    }
    return item if call.signature is None else {**item, SIGNATURE: call.signature}


def item_id(kind: str, answer_id: str, index: int) -> str:
    """Name an item of ours: from the name one finds the answer that it stands in."""
    return f"{kind}_{answer_id}_{index}"


def output_of(
    parts: Sequence[Part], answer_id: str, status: str, logprobs: Mapping[str, JsonValue] | None
) -> list[Item]:
    """Return an answer's parts as items; the last one alone may be incomplete."""
    tokens = (logprobs or {}).get("content")
    left = list(tokens) if isinstance(tokens, list) else []
    items: list[Item] = []
    for group in _grouped(parts):
        index = len(items)
        if isinstance(group, Thinking):
            items.append(reasoning_item(item_id("rs", answer_id, index), group))
        elif isinstance(group, ToolCall):
            items.append(function_call(item_id("fc", answer_id, index), group, COMPLETED))
        elif isinstance(group, Media):
            items.append(_image(item_id("ig", answer_id, index), group))
        else:
            content = [_content(part, left) for part in group]
            items.append(message(item_id("msg", answer_id, index), content, COMPLETED))
    if items and "status" in items[-1]:
        items[-1]["status"] = status
    return items


def _grouped(
    parts: Sequence[Part],
) -> Iterator[Thinking | ToolCall | Media | list[Text | Refusal]]:
    group: list[Text | Refusal] = []
    for part in parts:
        if isinstance(part, Text | Refusal):
            group.append(part)
            continue
        if group:
            yield group
            group = []
        if isinstance(part, Thinking | ToolCall | Media):
            yield part
    if group:
        yield group


def _content(part: Text | Refusal, tokens: list[JsonValue]) -> Item:
    if isinstance(part, Refusal):
        return refusal(part.text)
    # Whose tokens they are nobody says: the first text is all there is but for rare exceptions.
    said, tokens[:] = list(tokens), []
    return output_text(part.text, said)


def _image(identity: str, media: Media) -> Item:
    if media.kind is not MediaKind.IMAGE or media.data is None:
        message = f"an answer with {media.kind} cannot be told as a response"
        raise ValueError(message)
    return {
        "type": "image_generation_call",
        "id": identity,
        "status": COMPLETED,
        "result": media.data,
    }


def _token(token: JsonValue) -> JsonValue:
    if not isinstance(token, dict):
        return token
    tops = token.get("top_logprobs")
    told = [*map(_token, tops)] if isinstance(tops, list) else []
    return {**token, "bytes": token.get("bytes") or [], "top_logprobs": told}
