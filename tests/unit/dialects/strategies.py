"""Conversations, answers and streams to try dialects with, limited to what a `Says` allows."""

import base64
from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import strategies as st

from shared.inference.conversation import (
    Format,
    Media,
    MediaKind,
    Message,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from shared.inference.generation import (
    Choice,
    Finish,
    GenerationRequest,
    GenerationResponse,
    Tuning,
)
from shared.inference.usage import Usage
from tests.unit.dialects.says import EVERY_KIND, Kinds, Says

Draw = st.DrawFn
# No lone surrogates and no NUL: JSON on the wire has neither.
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
texts = st.text(letters, max_size=12)
words = texts.filter(str.strip)
names = st.from_regex(r"[a-z][a-z0-9_]{0,11}", fullmatch=True)
numbers = st.integers(0, 1000)
scalars = st.none() | st.booleans() | st.integers(-(2**50), 2**50) | texts
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(names, scalars, max_size=2)
arguments = st.dictionaries(names, values, max_size=3).map(lambda each: orjson.dumps(each).decode())
encoded = st.binary(min_size=1, max_size=9).map(lambda raw: base64.b64encode(raw).decode())
MIME_TYPES = {
    MediaKind.IMAGE: ("image/png", "image/jpeg", "image/webp", "image/gif"),
    MediaKind.AUDIO: ("audio/wav", "audio/mpeg"),
    MediaKind.VIDEO: ("video/mp4",),
    MediaKind.DOCUMENT: ("application/pdf",),
}
ENDINGS = {MediaKind.IMAGE: "png", MediaKind.DOCUMENT: "pdf"}
TUNING: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    "top_p": st.sampled_from([0.25, 0.5, 1.0]),
    "top_k": st.integers(1, 100),
    "seed": st.integers(0, 2**31 - 1),
    "presence_penalty": st.sampled_from([-1.0, 0.0, 0.5]),
    "frequency_penalty": st.sampled_from([-1.0, 0.0, 0.5]),
    "logit_bias": st.dictionaries(st.sampled_from(["1", "50256"]), numbers, min_size=1),
    "effort": st.sampled_from(["low", "medium", "high"]),
    "thinking_tokens": st.integers(1024, 32_000),
    "verbosity": st.sampled_from(["low", "medium", "high"]),
    "service_tier": st.sampled_from(["auto", "default"]),
    "user": names,
    "parallel_tool_calls": st.booleans(),
}


@st.composite
def schemas(draw: Draw) -> dict[str, Any]:
    """A JSON schema of an object, as plain as every provider takes it."""
    kinds = st.sampled_from(["string", "integer", "number", "boolean"])
    properties = draw(st.dictionaries(names, kinds, max_size=3))
    return {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": sorted(properties),
        "additionalProperties": False,
    }


@st.composite
def media(draw: Draw, says: Says, kinds: Kinds) -> Media | None:
    """Something that is no text; None where the dialect has nothing."""
    ways = [
        *[("data", kind) for kind in sorted(says.media & kinds)],
        *[("url", kind) for kind in sorted(says.media_urls & kinds)],
        *[("file_id", kind) for kind in sorted(says.media_files & kinds)],
    ]
    if not ways:
        return None
    way, kind = draw(st.sampled_from(ways))
    detailed = says.media_details and kind is MediaKind.IMAGE and way != "file_id"
    details = st.none() | st.sampled_from(["low", "high", "auto"])
    detail = draw(details) if detailed else None
    if way == "url":
        url = f"https://example.com/{draw(names)}.{ENDINGS.get(kind, 'bin')}"
        return Media(kind, url=url, detail=detail)
    if way == "file_id":
        return Media(kind, file_id=f"file-{draw(names)}")
    named = says.media_names and kind is MediaKind.DOCUMENT
    name = f"{draw(names)}.pdf" if named else None
    mime_type = draw(st.sampled_from(MIME_TYPES[kind]))
    return Media(kind, mime_type, draw(encoded), name=name, detail=detail)


@st.composite
def _user(draw: Draw, says: Says) -> Message:
    parts: list[Part] = [Text(draw(words))]
    shown = draw(st.none() | media(says, EVERY_KIND))
    if shown is not None:
        parts.insert(draw(st.integers(0, 1)), shown)
    name = draw(st.none() | names) if says.names else None
    return Message(Role.USER, tuple(parts), name)


@st.composite
def _calls(draw: Draw, tools: Sequence[str], prefix: str, *, signed: bool) -> tuple[ToolCall, ...]:
    wanted = draw(st.lists(st.sampled_from(tools), max_size=2)) if tools else []
    signatures = st.none() | encoded if signed else st.none()
    return tuple(
        ToolCall(f"call_{prefix}{number}", name, draw(arguments), draw(signatures))
        for number, name in enumerate(wanted)
    )


@st.composite
def _result(draw: Draw, says: Says, call: ToolCall) -> ToolResult:
    parts: list[Text | Media] = [Text(draw(words))]
    if draw(st.booleans()) and says.result_media:
        found = draw(media(says, says.result_media))
        parts += [found] if found is not None else []
    failed = says.result_errors and draw(st.booleans())
    return ToolResult(call.id, tuple(parts), is_error=failed, name=call.name)


@st.composite
def _thinking(draw: Draw, says: Says) -> Thinking:
    if says.thinking_redacted and draw(st.booleans()):
        return Thinking("", redacted=draw(encoded))
    return Thinking(draw(words), draw(encoded) if says.thinking_signatures else None)


@st.composite
def conversations(draw: Draw, says: Says, tools: Sequence[str]) -> tuple[Message, ...]:
    """Who said what: a user begins and ends, every call has its result, in order."""
    if not says.talk:
        return (Message(Role.USER, (Text(draw(words)),)),)
    messages = [Message(Role.SYSTEM, (Text(draw(words)),))] if draw(st.booleans()) else []
    messages.append(draw(_user(says)))
    for turn in range(draw(st.integers(0, 2))):
        calls = draw(_calls(tools, f"{turn}_", signed=says.past_call_signatures))
        parts: list[Part] = [draw(_thinking(says))] if says.past_thinking else []
        parts += [Text(draw(words))] if not calls or draw(st.booleans()) else []
        messages.append(Message(Role.ASSISTANT, (*parts, *calls)))
        if calls:
            results = tuple(draw(_result(says, call)) for call in calls)
            messages.append(Message(Role.USER, results))
        if not calls or draw(st.booleans()):
            messages.append(draw(_user(says)))
    return tuple(messages)


@st.composite
def _tool(draw: Draw, says: Says, name: str) -> Tool:
    strict = draw(st.none() | st.booleans()) if says.tool_strict else None
    return Tool(name, draw(st.none() | words), draw(st.none() | schemas()), strict)


@st.composite
def _choice_of_tool(draw: Draw, says: Says, tools: Sequence[str]) -> ToolChoice | None:
    choices = [None, *(ToolChoice(mode) for mode in ToolMode)]
    choices += [ToolChoice(ToolMode.REQUIRED, (tools[0],))]
    if says.tool_subsets and len(tools) > 1:
        choices += [ToolChoice(ToolMode.REQUIRED, tuple(tools[:2]))]
        choices += [ToolChoice(ToolMode.AUTO, tuple(tools[:2]))]
    return draw(st.sampled_from(choices))


@st.composite
def _format(draw: Draw, says: Says) -> Format | None:
    kinds = ["text", *(["schema"] * says.formats), *(["object"] * says.json_objects)]
    kind = draw(st.sampled_from(kinds))
    if kind != "schema":
        return Format() if kind == "object" else None
    return Format(
        draw(schemas()),
        draw(names) if says.format_names else None,
        draw(st.none() | words) if says.format_descriptions else None,
        draw(st.none() | st.booleans()) if says.format_strict else None,
    )


@st.composite
def requests(draw: Draw, says: Says) -> GenerationRequest:
    """A request that a dialect can say."""
    tools = draw(st.lists(names, max_size=3 * says.tools, unique=True))
    sometimes = {name: st.none() | TUNING[name] for name in sorted(says.tuning)}
    lengths = st.none() | st.integers(1, 4096) if says.endless else st.integers(1, 4096)
    return GenerationRequest(
        messages=draw(conversations(says, tools)),
        tools=tuple(draw(_tool(says, name)) for name in tools),
        tool_choice=draw(_choice_of_tool(says, tools)) if tools else None,
        format=draw(_format(says)),
        max_tokens=draw(lengths),
        stop=tuple(draw(st.lists(words, max_size=says.stop, unique=True))),
        choices=draw(st.integers(1, says.choices)),
        logprobs=draw(st.none() | st.integers(0, 20)) if says.logprobs else None,
        tuning=Tuning(**{name: draw(each) for name, each in sometimes.items()}),
    )


@st.composite
def usages(draw: Draw, says: Says) -> Usage:
    """Tokens that add up."""
    fresh, out = draw(numbers), draw(numbers)
    cached = draw(numbers) if says.cached else 0
    written = draw(numbers) if says.cache_writes else 0
    thought = draw(numbers) if says.reasoning_tokens else 0
    return Usage(fresh + cached + written, out + thought, cached, written, thought)


@st.composite
def _answer(draw: Draw, says: Says) -> Choice:
    parts: list[Part] = [draw(_thinking(says))] if says.thinking and draw(st.booleans()) else []
    text = draw(texts)
    if says.refusals and draw(st.booleans()):
        return Choice((*parts, Refusal(draw(words))), Finish.STOP)
    parts += [Text(text)] if text else []
    known = ["search", "add"] if says.tools else []
    calls = draw(_calls(known, f"{draw(numbers)}_", signed=says.call_signatures))
    ends = [Finish.TOOL_CALLS] if calls else [Finish.STOP, Finish.LENGTH, Finish.CONTENT_FILTER]
    finish = draw(st.sampled_from(ends))
    stopped = says.stop_sequences and finish is Finish.STOP
    logprobs = draw(_logprobs()) if says.logprobs and text and draw(st.booleans()) else None
    return Choice((*parts, *calls), finish, logprobs, draw(st.none() | words) if stopped else None)


@st.composite
def _logprobs(draw: Draw) -> dict[str, Any]:
    token = {"token": draw(words), "logprob": -0.5, "bytes": None, "top_logprobs": []}
    return {"content": [token] * draw(st.integers(1, 3))}


@st.composite
def answers(draw: Draw, says: Says) -> GenerationResponse:
    """A whole answer that a dialect can say."""
    choices = draw(st.lists(_answer(says), min_size=1, max_size=says.choices))
    return GenerationResponse("1", "some-model", tuple(choices), draw(usages(says)), 1_700_000_000)
