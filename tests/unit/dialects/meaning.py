"""One form of all requests and answers that mean the same, as far as a dialect can say it."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

import orjson

from shared.inference.conversation import (
    Format,
    Media,
    Message,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from shared.inference.generation import Choice, GenerationRequest, GenerationResponse
from shared.inference.usage import Usage
from tests.unit.dialects.says import Says

Shown = TypeVar("Shown", bound=Part)


def plain(request: GenerationRequest, says: Says) -> GenerationRequest:
    """Return a request in one form of all that mean the same: compare these.

    Neighbours of one role are one message, its parts have one order and its texts are joined;
    results name their tool; arguments are spelled alike; what `says` lacks is left out.
    """
    names: dict[str, str] = {}
    ids: dict[str, str] = {}
    messages: list[Message] = []
    for message in request.messages:
        _note_calls(message.parts, says, names, ids)
        parts = _parts(message.parts, says, names, ids)
        last = messages[-1] if messages else None
        if last and last.role is message.role and last.name is None and message.name is None:
            messages[-1] = replace(last, parts=_one_text(_ordered((*last.parts, *parts))))
        elif parts:
            messages.append(replace(message, parts=parts))
    return replace(
        request,
        messages=tuple(messages),
        tools=tuple(_tool(tool, says) for tool in request.tools),
        format=None if request.format is None else _format(request.format, says),
        tuning=replace(request.tuning, **dict.fromkeys(_untuned(request, says))),
        unknown=(),
    )


def said(answer: GenerationResponse, says: Says) -> tuple[tuple[Choice, ...], Usage | None]:
    """Return of an answer what no dialect may change: all but its id, its model and its time."""
    choices = []
    for choice in answer.choices:
        ids: dict[str, str] = {}
        _note_calls(choice.parts, says, {}, ids)
        choices.append(replace(choice, parts=_parts(choice.parts, says, {}, ids)))
    return tuple(choices), answer.usage


def _untuned(request: GenerationRequest, says: Says) -> set[str]:
    names = {each.name for each in fields(request.tuning)} - says.tuning
    # Without tools there is nothing to be called in parallel.
    return names if request.tools else names | {"parallel_tool_calls"}


def _note_calls(
    parts: tuple[Part, ...], says: Says, names: dict[str, str], ids: dict[str, str]
) -> None:
    for part in parts:
        if isinstance(part, ToolCall):
            names[part.id] = part.name
            ids[part.id] = part.id if says.call_ids else f"call-{len(ids)}"


def _parts(
    parts: tuple[Part, ...], says: Says, names: Mapping[str, str], ids: Mapping[str, str]
) -> tuple[Part, ...]:
    found = (_plain(part, says, names, ids) for part in parts)
    return _one_text(_ordered(tuple(part for part in found if part is not None)))


def _plain(part: Part, says: Says, names: Mapping[str, str], ids: Mapping[str, str]) -> Part | None:
    if isinstance(part, ToolCall):
        spelled = orjson.dumps(orjson.loads(part.arguments or "{}"), None, orjson.OPT_SORT_KEYS)
        signed = says.call_signatures or says.past_call_signatures
        signature = part.signature if signed else None
        return replace(part, id=ids[part.id], arguments=spelled.decode(), signature=signature)
    if isinstance(part, ToolResult):
        inner = tuple(_media(each, says) for each in part.parts)
        return ToolResult(
            ids.get(part.call_id, part.call_id),
            _one_text(inner),
            is_error=part.is_error and says.result_errors,
            name=names.get(part.call_id),
        )
    if isinstance(part, Thinking):
        known = part.signature if says.thinking_signatures else None
        return replace(part, signature=known, dialect=None)
    return _media(part, says)


def _media(part: Shown, says: Says) -> Shown:
    if not isinstance(part, Media):
        return part
    return replace(
        part,
        # Elsewhere one is told only with the bytes.
        mime_type=part.mime_type if part.data is not None else None,
        name=part.name if says.media_names else None,
        detail=part.detail if says.media_details else None,
    )


def _tool(tool: Tool, says: Says) -> Tool:
    schema = tool.schema or {"type": "object", "properties": {}}
    return replace(tool, schema=schema, strict=tool.strict if says.tool_strict else None)


def _format(wanted: Format, says: Says) -> Format:
    return Format(
        schema=wanted.schema,
        name=wanted.name if says.format_names else None,
        description=wanted.description if says.format_descriptions else None,
        strict=wanted.strict if says.format_strict else None,
    )


def _one_text(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Join neighbouring texts, and drop the empty ones."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, Text) and joined and isinstance(joined[-1], Text):
            joined[-1] = Text(joined[-1].text + part.text)
        elif not isinstance(part, Text) or part.text:
            joined.append(part)
    return tuple(joined)


def _ordered(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    rank = {ToolResult: 0, Thinking: 0, ToolCall: 2}
    return tuple(sorted(parts, key=lambda part: rank.get(type(part), 1)))
