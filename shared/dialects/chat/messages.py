"""The turns of OpenAI's chat as they are read; pure."""

from typing import Any

from shared.dialects.chat.calls import old_call, read_call
from shared.dialects.chat.fields import needed_object, needed_text, objects_of, text_of, wrong
from shared.dialects.chat.media import read_media
from shared.dialects.translator import Json, Unreadable, Unsupported
from shared.inference.conversation import (
    Media,
    Message,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolResult,
)
from shared.inference.dialect import Dialect

ROLES = "`system`, `developer`, `user`, `assistant`, `tool` or `function`"
THOUGHTS = ("reasoning_content", "reasoning")
"""What vendors call a model's thoughts."""


def read_messages(body: Json) -> tuple[Message, ...]:
    """Read all turns; what tools answered one after another is one turn of the user."""
    reader = _Reader()
    for where, message in objects_of(body, "messages"):
        reader.read(message, where)
    reader.close()
    if not reader.messages:
        raise wrong("messages", "a list of messages")
    return tuple(reader.messages)


def thoughts_of(message: Json) -> tuple[Part, ...]:
    """Return what a model thought, as vendors tell it."""
    found = (message.get(name) for name in THOUGHTS)
    text = next((each for each in found if isinstance(each, str) and each), None)
    return () if text is None else (Thinking(text, dialect=Dialect.CHAT),)


def read_parts(message: Json, where: str) -> tuple[Part, ...]:
    """Read a message's content, a text or a list of parts."""
    content = message.get("content")
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),) if content else ()
    if not isinstance(content, list):
        raise wrong(f"{where}.content", "a text or a list of parts")
    return tuple(_part(each, at) for at, each in objects_of(message, "content", where))


def _part(part: dict[str, Any], where: str) -> Part:
    kind = part.get("type")
    if kind == "text":
        return Text(needed_text(part, "text", where))
    if kind == "refusal":
        return Refusal(needed_text(part, "refusal", where))
    if kind == "thinking":
        # Mistral's: a list of texts.
        pieces = objects_of(part, "thinking", where)
        text = "".join(needed_text(each, "text", at) for at, each in pieces)
        return Thinking(text, dialect=Dialect.CHAT)
    media = read_media(part, where)
    if media is None:
        raise Unreadable(f"{where}.type: {kind!r} is not known.", f"{where}.type")
    return media


class _Reader:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._results: list[ToolResult] = []
        # Calls of old had no ids: the last call of a name is the one that is answered.
        self._old: dict[str, str] = {}

    def read(self, message: dict[str, Any], where: str) -> None:
        role = message.get("role")
        if role in ("tool", "function"):
            self._result(message, where, old=role == "function")
            return
        self.close()
        name = text_of(message, "name", where)
        if role in ("system", "developer"):
            self.messages.append(Message(Role.SYSTEM, read_parts(message, where), name))
        elif role == "user":
            self.messages.append(Message(Role.USER, read_parts(message, where), name))
        elif role == "assistant":
            parts = self._said(message, where)
            self.messages.append(Message(Role.ASSISTANT, parts, name))
        else:
            raise Unreadable(f"{where}.role must be {ROLES}.", f"{where}.role")

    def close(self) -> None:
        """End the turn of what tools answered, if there is one."""
        if self._results:
            self.messages.append(Message(Role.USER, tuple(self._results)))
            self._results = []

    def _said(self, message: dict[str, Any], where: str) -> tuple[Part, ...]:
        if message.get("audio") is not None:
            raise Unsupported("earlier answers in audio", f"{where}.audio")
        parts = [*thoughts_of(message), *read_parts(message, where)]
        refusal = text_of(message, "refusal", where)
        if refusal:
            parts.append(Refusal(refusal))
        for number, (at, each) in enumerate(objects_of(message, "tool_calls", where)):
            parts.append(read_call(each, at, f"call_{len(self.messages)}_{number}"))
        if message.get("function_call") is not None:
            function = needed_object(message, "function_call", where)
            call = old_call(function, f"{where}.function_call", f"call_{len(self.messages)}")
            self._old[call.name] = call.id
            parts.append(call)
        return tuple(parts)

    def _result(self, message: dict[str, Any], where: str, *, old: bool) -> None:
        name = text_of(message, "name", where)
        if old:
            call_id = self._old.get(name or "", name or "")
        else:
            call_id = needed_text(message, "tool_call_id", where)
        shown = read_parts(message, where)
        parts = tuple(part for part in shown if isinstance(part, Text | Media))
        self._results.append(ToolResult(call_id, parts, name=name))
