"""A request, written as the Responses API takes it. Pure."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from shared.dialects.adjusted import effort_of, unsaid
from shared.dialects.responses.input import write_input
from shared.dialects.responses.reading import LOGPROBS
from shared.dialects.translator import Unsupported, Written
from shared.inference.conversation import Format, Message, Role, Text, Tool, ToolChoice, ToolMode
from shared.inference.generation import GenerationRequest, Tuning

_TUNING = {
    "temperature": "temperature",
    "top_p": "top_p",
    "service_tier": "service_tier",
    "user": "safety_identifier",
    "parallel_tool_calls": "parallel_tool_calls",
}
_ELSEWHERE = frozenset({"effort", "thinking_tokens", "verbosity"})


def write_request(request: GenerationRequest) -> Written:
    """Write a request; it says nothing of the model, the stream, or what is kept.

    Raises:
        Unsupported: stop sequences, several answers, sounds.
    """
    if request.stop:
        feature = "stop sequences"
        raise Unsupported(feature, "stop")
    if request.choices > 1:
        feature = "several answers to one request"
        raise Unsupported(feature, "n")
    instructions, rest = _instructions(request.messages)
    body: dict[str, Any] = {"input": write_input(rest)}
    if instructions is not None:
        body["instructions"] = instructions
    body |= _tools(request) | _answer(request) | _tuned(request.tuning)
    effort, changed = effort_of(request.tuning)
    if effort is not None:
        body["reasoning"] = {"effort": effort}
    told = asdict(request.tuning)
    known = {*_TUNING, *_ELSEWHERE}
    dropped = [name for name in told if told[name] is not None and name not in known]
    unnamed = [name for name in unsaid(request) if name == "name"]
    return Written(body, (*dropped, *changed, *unnamed))


def _instructions(messages: tuple[Message, ...]) -> tuple[str | None, tuple[Message, ...]]:
    first = messages[0] if messages else None
    if first is None or first.role is not Role.SYSTEM or len(messages) == 1:
        return None, messages
    # Several texts are not made one: what stands between them is not ours to choose.
    said = first.parts[0] if len(first.parts) == 1 else None
    return (said.text, messages[1:]) if isinstance(said, Text) else (None, messages)


def _tools(request: GenerationRequest) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.tools:
        body["tools"] = [_tool(each) for each in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    return body


def _tool(tool: Tool) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "function", "name": tool.name}
    if tool.description is not None:
        told["description"] = tool.description
    told["parameters"] = tool.schema or {"type": "object", "properties": {}}
    # It must be said: left out it would mean yes.
    return {**told, "strict": tool.strict}


def _tool_choice(chosen: ToolChoice) -> str | dict[str, Any]:
    if not chosen.names:
        return chosen.mode.value
    named = [{"type": "function", "name": name} for name in chosen.names]
    if chosen.mode is ToolMode.REQUIRED and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "mode": chosen.mode.value, "tools": named}


def _answer(request: GenerationRequest) -> dict[str, Any]:
    body: dict[str, Any] = {}
    text: dict[str, Any] = {}
    if request.format is not None:
        text["format"] = _format(request.format)
    if request.tuning.verbosity is not None:
        text["verbosity"] = request.tuning.verbosity
    if text:
        body["text"] = text
    if request.max_tokens is not None:
        body["max_output_tokens"] = request.max_tokens
    if request.logprobs is not None:
        body["include"] = [LOGPROBS]
        body["top_logprobs"] = request.logprobs
    return body


def _format(wanted: Format) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    told: dict[str, Any] = {"type": "json_schema", "name": wanted.name or "answer"}
    if wanted.description is not None:
        told["description"] = wanted.description
    told["schema"] = wanted.schema
    return told if wanted.strict is None else {**told, "strict": wanted.strict}


def _tuned(tuning: Tuning) -> dict[str, Any]:
    told: Mapping[str, Any] = asdict(tuning)
    return {theirs: told[name] for name, theirs in _TUNING.items() if told[name] is not None}
