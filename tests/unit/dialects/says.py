"""What each dialect can say and give back as it was; and one form of all that means the same."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import orjson

from shared.inference.conversation import (
    Format,
    Media,
    MediaKind,
    Message,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from shared.inference.dialect import Dialect
from shared.inference.generation import Choice, GenerationRequest, GenerationResponse
from shared.inference.usage import Usage

Kinds = frozenset[MediaKind]
Shown = TypeVar("Shown", bound=Part)
EVERY_KIND = frozenset(MediaKind)


@dataclass(frozen=True, slots=True)
class Says:
    """What survives `read(write(x))`; `a & b` is what both can say."""

    talk: bool = True
    """More than one text of a user."""
    tools: bool = True
    media: Kinds = frozenset()
    """With its bytes; `media_urls` by where it is, `media_files` by a file's id."""
    media_urls: Kinds = frozenset()
    media_files: Kinds = frozenset()
    media_names: bool = False
    media_details: bool = False
    result_media: Kinds = frozenset()
    result_errors: bool = False
    call_ids: bool = False
    call_signatures: bool = False
    """In answers; `past_call_signatures` in the messages of a request."""
    past_call_signatures: bool = False
    thinking: bool = False
    """In answers; `past_thinking` in the messages of a request."""
    past_thinking: bool = False
    thinking_signatures: bool = False
    thinking_redacted: bool = False
    refusals: bool = False
    names: bool = False
    """Of the speakers of messages."""
    tool_strict: bool = False
    tool_subsets: bool = False
    """A choice among several tools; one required tool is said by all."""
    json_objects: bool = False
    """An answer in JSON without a schema."""
    formats: bool = True
    """An answer in JSON with a schema."""
    format_names: bool = False
    format_descriptions: bool = False
    format_strict: bool = False
    endless: bool = False
    """No `max_tokens`."""
    stop: int = 0
    """How many stop sequences at most."""
    tuning: frozenset[str] = frozenset()
    choices: int = 1
    """How many at most."""
    logprobs: bool = False
    stop_sequences: bool = False
    """In answers: which one ended it."""
    cached: bool = False
    cache_writes: bool = False
    reasoning_tokens: bool = False

    def __and__(self, other: "Says") -> "Says":
        """Return what both can say."""
        both: dict[str, Any] = {}
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            both[each.name] = min(mine, theirs) if type(mine) is int else mine & theirs
        return Says(**both)


SAMPLING = frozenset({"temperature", "top_p", "seed", "presence_penalty", "frequency_penalty"})
OTHERS = frozenset({"effort", "verbosity", "service_tier", "user", "parallel_tool_calls"})
SAYS: Mapping[Dialect, Says] = {
    Dialect.CHAT: Says(
        media=frozenset({MediaKind.IMAGE, MediaKind.AUDIO, MediaKind.DOCUMENT}),
        media_urls=frozenset({MediaKind.IMAGE}),
        media_files=frozenset({MediaKind.DOCUMENT}),
        media_names=True,
        media_details=True,
        call_ids=True,
        call_signatures=True,
        thinking=True,
        refusals=True,
        names=True,
        tool_strict=True,
        tool_subsets=True,
        json_objects=True,
        format_names=True,
        format_descriptions=True,
        format_strict=True,
        endless=True,
        stop=4,
        tuning=SAMPLING | OTHERS | {"logit_bias"},
        choices=3,
        logprobs=True,
        cached=True,
        cache_writes=True,
        reasoning_tokens=True,
    ),
    Dialect.MESSAGES: Says(
        media=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        media_urls=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        media_names=True,
        result_media=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        result_errors=True,
        call_ids=True,
        thinking=True,
        tool_strict=True,
        stop=4,
        tuning=frozenset({"temperature", "top_k", "service_tier", "user"}),
        stop_sequences=True,
        cached=True,
        cache_writes=True,
        reasoning_tokens=True,
    ),
    Dialect.RESPONSES: Says(
        media=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        media_urls=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        media_files=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        media_names=True,
        media_details=True,
        result_media=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        call_ids=True,
        thinking=True,
        thinking_signatures=True,
        thinking_redacted=True,
        refusals=True,
        tool_strict=True,
        tool_subsets=True,
        json_objects=True,
        format_names=True,
        format_descriptions=True,
        format_strict=True,
        endless=True,
        tuning=frozenset({"temperature", "top_p"}) | OTHERS,
        logprobs=True,
        cached=True,
        cache_writes=True,
        reasoning_tokens=True,
    ),
    Dialect.GEMINI: Says(
        media=EVERY_KIND,
        # Without a type an address tells its kind by its ending.
        media_urls=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        result_media=EVERY_KIND,
        result_errors=True,
        call_ids=True,
        call_signatures=True,
        tool_subsets=True,
        json_objects=True,
        endless=True,
        stop=5,
        tuning=SAMPLING | {"top_k"},
        choices=3,
        logprobs=True,
        cached=True,
        reasoning_tokens=True,
    ),
    Dialect.COMPLETIONS: Says(
        talk=False,
        tools=False,
        formats=False,
        endless=True,
        stop=4,
        tuning=SAMPLING | {"user", "logit_bias"},
        choices=3,
        logprobs=True,
        cached=True,
        cache_writes=True,
        reasoning_tokens=True,
    ),
}
"""A row for each dialect; one without a row is not tried by the tests of every pair."""


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
        signed = part.signature if says.thinking_signatures else None
        return replace(part, signature=signed, dialect=None)
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
