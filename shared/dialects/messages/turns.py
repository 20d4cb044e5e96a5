"""A conversation as Anthropic's system prompt and its turns. Pure."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from shared.dialects.messages.blocks import PDF, parsed, plain_id
from shared.dialects.translator import Unsupported
from shared.inference.conversation import (
    Media,
    MediaKind,
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

Block = dict[str, Any]
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
# What the base64 of each begins with.
BEGINNINGS = {
    "/9j/": "image/jpeg",
    "iVBOR": "image/png",
    "R0lG": "image/gif",
    "UklG": "image/webp",
    "JVBER": PDF,
}
OPENING = "."
"""What the user says where a conversation does not begin with one: Anthropic wants it so."""


def system_prompt(messages: Iterable[Message]) -> str | list[Block] | None:
    """Return what the messages of the system say, wherever they stand, None if nothing.

    Raises:
        Unsupported: they hold something that is no text.
    """
    blocks: list[Block] = []
    for message in messages:
        if message.role is Role.SYSTEM:
            for part in message.parts:
                if not isinstance(part, Text):
                    feature = "anything but text in a system message"
                    raise Unsupported(feature, "messages")
                blocks += _text(part.text)
    if not blocks:
        return None
    return str(blocks[0]["text"]) if len(blocks) == 1 else blocks


def turns(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return the turns of user and assistant: alternating, none empty, the user's first.

    Raises:
        Unsupported: something in them cannot be said.
    """
    found: list[tuple[Role, list[Block]]] = []
    for message in messages:
        blocks = [] if message.role is Role.SYSTEM else list(_blocks(message.parts))
        if not blocks:
            continue
        if found and found[-1][0] is message.role:
            found[-1][1].extend(blocks)
        else:
            found.append((message.role, blocks))
    if not found or found[0][0] is not Role.USER:
        found.insert(0, (Role.USER, [{"type": "text", "text": OPENING}]))
    return [{"role": role.value, "content": _content(blocks)} for role, blocks in _ended(found)]


def _ended(found: list[tuple[Role, list[Block]]]) -> list[tuple[Role, list[Block]]]:
    # What the assistant is to go on from must not end in white space.
    role, blocks = found[-1]
    if role is Role.ASSISTANT and blocks[-1]["type"] == "text":
        blocks[-1]["text"] = blocks[-1]["text"].rstrip()
    return found


def _content(blocks: list[Block]) -> str | list[Block]:
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        return str(blocks[0]["text"])
    # Results come before anything else that the user says with them.
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _blocks(parts: Sequence[Part]) -> Iterator[Block]:
    for part in parts:
        match part:
            case Text(text) | Refusal(text):
                yield from _text(text)
            case Media():
                yield _media(part)
            case ToolCall():
                yield _call(part)
            case ToolResult():
                yield _result(part)
            case Thinking():
                yield from past_thinking(part)


def _text(text: str) -> list[Block]:
    # An empty block, or one of white space alone, is refused.
    return [{"type": "text", "text": text}] if text.strip() else []


def _call(call: ToolCall) -> Block:
    arguments = parsed(call.arguments)
    return {"type": "tool_use", "id": plain_id(call.id), "name": call.name, "input": arguments}


def _result(result: ToolResult) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": plain_id(result.call_id)}
    blocks = list(_blocks(result.parts))
    if blocks:
        block["content"] = _content(blocks)
    if result.is_error:
        block["is_error"] = True
    return block


def past_thinking(part: Thinking) -> list[Block]:
    """Return a thought as Anthropic takes it back: only its own, and only sealed by it."""
    if part.dialect is not Dialect.MESSAGES:
        return []
    if part.redacted:
        return [{"type": "redacted_thinking", "data": part.redacted}]
    if not part.signature:
        return []
    return [{"type": "thinking", "thinking": part.text, "signature": part.signature}]


def _media(media: Media) -> Block:
    if media.file_id is not None:
        feature = "a file by its id at another provider"
        raise Unsupported(feature, "messages")
    if media.kind is MediaKind.IMAGE:
        return {"type": "image", "source": _image_source(media)}
    if media.kind is not MediaKind.DOCUMENT:
        raise Unsupported(media.kind.value, "messages")
    block: Block = {"type": "document", "source": _document_source(media)}
    if media.name:
        block["title"] = media.name
    return block


def _image_source(media: Media) -> Block:
    if media.url is not None:
        return {"type": "url", "url": media.url}
    mime_type = _mime_type(media) or "image/png"
    if mime_type not in IMAGES:
        feature = f"an image of type {mime_type}"
        raise Unsupported(feature, "messages")
    return {"type": "base64", "media_type": mime_type, "data": media.data}


def _document_source(media: Media) -> Block:
    if media.url is not None:
        return {"type": "url", "url": media.url}
    mime_type = _mime_type(media) or PDF
    if mime_type == PDF:
        return {"type": "base64", "media_type": PDF, "data": media.data}
    if not mime_type.startswith("text/"):
        feature = f"a document of type {mime_type}"
        raise Unsupported(feature, "messages")
    try:
        text = base64.b64decode(media.data or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        feature = "a text document that is not base64 of UTF-8"
        raise Unsupported(feature, "messages") from error
    return {"type": "text", "media_type": "text/plain", "data": text}


def _mime_type(media: Media) -> str | None:
    if media.mime_type is not None:
        told = media.mime_type.partition(";")[0].strip().lower()
        return "image/jpeg" if told == "image/jpg" else told
    data = media.data or ""
    return next((kind for start, kind in BEGINNINGS.items() if data.startswith(start)), None)
