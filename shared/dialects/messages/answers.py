"""Whole answers, from Anthropic's words to neutral ones and back. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.dialects.messages.blocks import parsed, plain_id, spelled
from shared.dialects.messages.seals import CALL_SIGNATURE, sealed
from shared.dialects.messages.usage import read_usage, write_usage
from shared.dialects.translator import Head, Json
from shared.inference.conversation import Part, Refusal, Text, Thinking, ToolCall
from shared.inference.dialect import Dialect
from shared.inference.generation import Choice, Finish, GenerationResponse

FINISHES = {
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_use": Finish.TOOL_CALLS,
    "refusal": Finish.CONTENT_FILTER,
}
"""Every other reason is a proper end."""
REASONS = {
    Finish.STOP: "end_turn",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
    Finish.CONTENT_FILTER: "refusal",
}


def read_answer(body: Json) -> GenerationResponse:
    """Read a message; blocks that are nobody's but Anthropic's, such as a search there, are left out."""
    parts = [part for block in _objects(body.get("content")) for part in _part(block)]
    explanation = refusal_of(body)
    if explanation:
        parts.append(Refusal(explanation))
    stop_sequence = body.get("stop_sequence")
    choice = Choice(
        tuple(parts),
        finish_of(body.get("stop_reason")),
        stop_sequence=stop_sequence if isinstance(stop_sequence, str) else None,
    )
    usage = read_usage(body.get("usage"))
    return GenerationResponse(_text(body, "id"), _text(body, "model"), (choice,), usage)


def write_answer(answer: GenerationResponse, head: Head, _asked: Json) -> dict[str, Any]:
    """Write a message of the first choice, which is the only one that can be asked for."""
    choice = answer.choices[0] if answer.choices else Choice((), Finish.STOP)
    calls = any(isinstance(part, ToolCall) for part in choice.parts)
    refused = "".join(part.text for part in choice.parts if isinstance(part, Refusal))
    ended = ending(choice.finish, choice.stop_sequence, calls=calls, refused=refused)
    blocks = [block for part in choice.parts for block in _block(part)]
    usage = write_usage(answer.usage)
    return {**opening(head), "content": blocks, **ended, "usage": usage}


def opening(head: Head) -> dict[str, Any]:
    """Return what a message is before it says anything."""
    return {
        "id": f"msg_{head.id}",
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def ending(
    finish: Finish, stop_sequence: str | None, *, calls: bool, refused: str
) -> dict[str, Any]:
    """Return how a message says that it ended; some providers call an end with calls a plain one."""
    reason = REASONS[finish]
    if finish is Finish.STOP:
        if refused:
            reason = "refusal"
        elif calls:
            reason = "tool_use"
        elif stop_sequence is not None:
            reason = "stop_sequence"
    ended: dict[str, Any] = {"stop_reason": reason, "stop_sequence": stop_sequence}
    if refused:
        ended["stop_details"] = {"type": "refusal", "category": None, "explanation": refused}
    return ended


def finish_of(reason: object) -> Finish:
    """Return why an answer ended."""
    return FINISHES.get(reason, Finish.STOP) if isinstance(reason, str) else Finish.STOP


def refusal_of(ended: Json) -> str:
    """Return the words of a refusal, empty where there are none."""
    details = ended.get("stop_details")
    return _text(details, "explanation") if isinstance(details, Mapping) else ""


def _part(block: Json) -> Iterator[Part]:
    match block.get("type"):
        case "text":
            yield Text(_text(block, "text"))
        case "tool_use":
            yield ToolCall(_text(block, "id"), _text(block, "name"), spelled(block.get("input")))
        case "thinking":
            signature = _text(block, "signature") or None
            yield Thinking(_text(block, "thinking"), signature, dialect=Dialect.MESSAGES)
        case "redacted_thinking":
            yield Thinking("", redacted=_text(block, "data"), dialect=Dialect.MESSAGES)
        case _:
            pass


def _block(part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case Text(text) if text:
            yield text_block(text)
        case ToolCall():
            yield {
                **call_block(part.id, part.name, part.signature),
                "input": parsed(part.arguments),
            }
        case Thinking():
            # Another provider's seal is marked: this one would refuse it.
            signature = sealed(part.signature, part.dialect)
            redacted = sealed(part.redacted, part.dialect)
            if part.text or signature:
                yield thinking_block(part.text, signature)
            if redacted:
                yield redacted_block(redacted)
        case _:
            pass


def text_block(text: str) -> dict[str, Any]:
    """Return a block of text."""
    return {"type": "text", "text": text, "citations": None}


def thinking_block(thinking: str, signature: str) -> dict[str, Any]:
    """Return a block of thought."""
    return {"type": "thinking", "thinking": thinking, "signature": signature}


def redacted_block(data: str) -> dict[str, Any]:
    """Return a block of thought that only its provider reads."""
    return {"type": "redacted_thinking", "data": data}


def call_block(call_id: str, name: str, signature: str | None) -> dict[str, Any]:
    """Return a block that calls a tool, without arguments."""
    block = {"type": "tool_use", "id": plain_id(call_id), "name": name, "input": {}}
    return {**block, CALL_SIGNATURE: signature} if signature else block


def _objects(value: object) -> Iterator[Json]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, Mapping))


def _text(value: Json, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
