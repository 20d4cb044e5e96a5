"""The input of a request: a flat list of items, and the turns of a conversation. Both ways, pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from shared.dialects.responses.answers import call_of
from shared.dialects.responses.parts import read_content, read_shown, write_part, write_shown
from shared.dialects.responses.thoughts import reasoning_item, thinking_of
from shared.dialects.translator import Json, Unreadable, Unsupported
from shared.inference.conversation import (
    Media,
    Message,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from shared.inference.dialect import Dialect

ERROR = "Error: "
ROLES = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
}


def read_input(given: object) -> tuple[Message, ...]:
    """Read `input`: what one side says in several items is one turn of the conversation.

    Raises:
        Unreadable, Unsupported: which item cannot be read.
    """
    if isinstance(given, str):
        return (Message(Role.USER, (Text(given),)),)
    if not isinstance(given, list):
        message = "`input` must be a string or an array of items."
        raise Unreadable(message, "input")
    turns: list[Message] = []
    parts: list[Part] = []
    names: dict[str, str] = {}
    for number, item in enumerate(given):
        turn = _read_item(item, f"input[{number}]", names)
        if turns and _is_one_turn(turns[-1], turn):
            parts += turn.parts
            continue
        _close(turns, parts)
        turns.append(turn)
        parts = list(turn.parts)
    _close(turns, parts)
    return tuple(turns)


def _close(turns: list[Message], parts: Sequence[Part]) -> None:
    # Only now: a turn of many items would be copied as many times.
    if turns and len(parts) != len(turns[-1].parts):
        turns[-1] = replace(turns[-1], parts=tuple(parts))


def write_input(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return the items that say a conversation.

    Raises:
        Unsupported: there is no word for something in it.
    """
    return [item for n, each in enumerate(messages) for item in _items(each, f"messages[{n}]")]


def _is_one_turn(last: Message, turn: Message) -> bool:
    """Tell whether two go together; of the last its first item says what it is."""
    if turn.role is not last.role or turn.role is Role.ASSISTANT:
        return turn.role is last.role
    return all(isinstance(part, ToolResult) for part in (*last.parts, *turn.parts))


def _read_item(item: object, where: str, names: dict[str, str]) -> Message:
    if not isinstance(item, dict):
        message = f"`{where}` must be an object."
        raise Unreadable(message, where)
    kind = item.get("type", "message")
    if kind == "message":
        return _read_message(item, where)
    if kind == "reasoning":
        return Message(Role.ASSISTANT, (thinking_of(item),))
    if kind == "function_call":
        call = _read_call(item, where)
        names[call.id] = call.name
        return Message(Role.ASSISTANT, (call,))
    if kind == "function_call_output":
        return Message(Role.USER, (_read_result(item, where, names),))
    if kind == "item_reference":
        message = f"`{where}` refers to an item that is not known here: send the item itself."
        raise Unreadable(message, where)
    feature = f"input items of type `{str(kind)[:64]}`"
    raise Unsupported(feature, where)


def _read_message(item: Json, where: str) -> Message:
    role = ROLES.get(str(item.get("role")))
    if role is None:
        message = f"`{where}.role` must be one of {', '.join(ROLES)}."
        raise Unreadable(message, f"{where}.role")
    return Message(role, read_content(item.get("content"), f"{where}.content"))


def _read_call(item: Json, where: str) -> ToolCall:
    for name in ("call_id", "name", "arguments"):
        _text(item, name, where)
    return call_of(item)


def _read_result(item: Json, where: str, names: dict[str, str]) -> ToolResult:
    call_id = _text(item, "call_id", where)
    parts = read_shown(item.get("output"), f"{where}.output")
    return ToolResult(call_id, parts, name=names.get(call_id))


def _text(item: Json, name: str, where: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        message = f"`{where}.{name}` must be a string."
        raise Unreadable(message, f"{where}.{name}")
    return value


def _items(message: Message, where: str) -> Iterator[dict[str, Any]]:
    group: list[Text | Media | Refusal] = []
    for part in message.parts:
        if isinstance(part, Text | Media | Refusal):
            group.append(part)
            continue
        if group:
            yield _message(message.role, group, where)
            group = []
        yield from _item(part, where)
    if group:
        yield _message(message.role, group, where)


def _item(part: Part, where: str) -> Iterator[dict[str, Any]]:
    if isinstance(part, ToolCall):
        yield {
            "type": "function_call",
            "call_id": part.id,
            "name": part.name,
            "arguments": part.arguments or "{}",
        }
    elif isinstance(part, ToolResult):
        yield {
            "type": "function_call_output",
            "call_id": part.call_id,
            "output": _output(_told(part), where),
        }
    elif isinstance(part, Thinking) and part.dialect is Dialect.RESPONSES and part.redacted:
        # What another provider thought means nothing to this one.
        yield reasoning_item("", part)


def _told(result: ToolResult) -> tuple[Text | Media, ...]:
    # There is no flag for it: in words, as chats have it.
    first, *rest = result.parts or (Text(""),)
    if not result.is_error:
        return result.parts
    if isinstance(first, Text):
        return (Text(f"{ERROR}{first.text}"), *rest)
    return (Text(ERROR.strip()), first, *rest)


def _output(parts: Sequence[Text | Media], where: str) -> str | list[dict[str, Any]]:
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return write_shown(parts, where)


def _message(role: Role, parts: Sequence[Text | Media | Refusal], where: str) -> dict[str, Any]:
    if role is Role.ASSISTANT:
        content = [_spoken(part, where) for part in parts]
    else:
        shown = [Text(part.text) if isinstance(part, Refusal) else part for part in parts]
        content = [write_part(part, where) for part in shown]
    return {"type": "message", "role": role.value, "content": content}


def _spoken(part: Text | Media | Refusal, where: str) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "output_text", "text": part.text}
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    feature = "media in the model's own turns"
    raise Unsupported(feature, where)
