"""Content blocks of requests, read. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from shared.dialects.messages.fields import Fields, wrong
from shared.dialects.messages.seals import CALL_SIGNATURE, unsealed
from shared.dialects.translator import Unreadable, Unsupported
from shared.inference.conversation import (
    Media,
    MediaKind,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

PDF = "application/pdf"
SHOWN = frozenset({"text", "image", "document", "search_result"})
"""What a tool may answer with."""


def read_content(owner: Fields, name: str = "content") -> tuple[Part, ...]:
    """Read what is a string or a list of blocks; nothing where there is none.

    Raises:
        Unreadable: a block is not what its type asks for.
        Unsupported: a block belongs to a tool that runs at Anthropic, or is of a kind unknown here.
    """
    given = owner.value.get(name)
    if isinstance(given, str):
        return (Text(given),)
    if given is not None and not isinstance(given, list):
        raise wrong(owner.at(name), "a string or a list of content blocks")
    return tuple(part for block in owner.objects(name) for part in _block(block))


def _block(block: Fields) -> Iterator[Part]:
    kind = block.needed("type")
    reader = READERS.get(kind)
    if reader is None:
        feature = f"a content block of type `{kind}`"
        raise Unsupported(feature, block.at("type"))
    yield from reader(block)


def _text(block: Fields) -> Iterator[Part]:
    yield Text(block.needed("text"))


def _image(block: Fields) -> Iterator[Part]:
    source = _source(block)
    yield _media(MediaKind.IMAGE, source, None, source.text("media_type"))


def _document(block: Fields) -> Iterator[Part]:
    source, title = _source(block), block.text("title")
    context = block.text("context")
    if context:
        yield Text(context)
    kind = source.needed("type")
    if kind in ("text", "content"):
        # Whoever takes a document as a file wants a PDF: words are said as words.
        if title:
            yield Text(title)
        yield from read_content(source, "data" if kind == "text" else "content")
    else:
        yield _media(MediaKind.DOCUMENT, source, title, source.text("media_type") or PDF)


def _source(block: Fields) -> Fields:
    source = block.object("source")
    if source is None:
        raise wrong(block.at("source"), "an object")
    return source


def _media(kind: MediaKind, source: Fields, name: str | None, mime_type: str | None) -> Media:
    match source.needed("type"):
        case "base64":
            return Media(kind, mime_type, data=source.needed("data"), name=name)
        case "url":
            return Media(kind, url=source.needed("url"), name=name)
        case "file":
            return Media(kind, file_id=source.needed("file_id"), name=name)
        case other:
            raise Unreadable(f"no source is of type `{other}`", source.at("type"))


def _search_result(block: Fields) -> Iterator[Part]:
    yield Text(f"{block.needed('title')}\n{block.needed('source')}")
    yield from read_content(block)


def _tool_use(block: Fields) -> Iterator[Part]:
    given = block.object("input")
    yield ToolCall(
        block.needed("id"),
        block.needed("name"),
        spelled({} if given is None else given.value),
        block.text(CALL_SIGNATURE) or None,
    )


def _tool_result(block: Fields) -> Iterator[Part]:
    given = block.value.get("content")
    for index, inner in enumerate(given if isinstance(given, list) else []):
        kind = inner.get("type") if isinstance(inner, Mapping) else None
        if str(kind) not in SHOWN:
            feature = f"a tool result with a block of type `{kind}`"
            raise Unsupported(feature, f"{block.at('content')}.{index}.type")
    shown = tuple(part for part in read_content(block) if isinstance(part, Text | Media))
    yield ToolResult(block.needed("tool_use_id"), shown, is_error=bool(block.flag("is_error")))


def _thinking(block: Fields) -> Iterator[Part]:
    signature, dialect = unsealed(block.text("signature"))
    yield Thinking(block.needed("thinking"), signature, dialect=dialect)


def _redacted(block: Fields) -> Iterator[Part]:
    redacted, dialect = unsealed(block.needed("data"))
    yield Thinking("", redacted=redacted, dialect=dialect)


READERS: Mapping[str, Callable[[Fields], Iterator[Part]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}


def spelled(arguments: Any) -> str:
    """Return the arguments of a call as text."""
    return orjson.dumps(arguments).decode()


def parsed(arguments: str) -> dict[str, Any]:
    """Return the arguments of a call as the object that Anthropic wants.

    What a model cut short or misspelled is kept as a text, under the name that Anthropic advises.
    """
    if not arguments:
        return {}
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}


def plain_id(call_id: str) -> str:
    """Return a call's id in the letters that Anthropic takes, the same for the call and its result."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", call_id) or "_"
