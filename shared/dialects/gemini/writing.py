"""A request in Google's words. Pure."""

from collections.abc import Sequence
from typing import Any

from shared.dialects.adjusted import unsaid
from shared.dialects.gemini.calls import UNSIGNED, written_call, written_result
from shared.dialects.gemini.config import written_config
from shared.dialects.gemini.media import written_media
from shared.dialects.translator import Unsupported, Written
from shared.inference.conversation import (
    Media,
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
from shared.inference.generation import GenerationRequest

MODES = {ToolMode.AUTO: "AUTO", ToolMode.NONE: "NONE", ToolMode.REQUIRED: "ANY"}


def write_request(request: GenerationRequest) -> Written:
    """Write a request; system messages come together before the rest, wherever they stood.

    Raises:
        Unsupported: Google has no words for it.
    """
    config, dropped = written_config(request)
    system, contents = _system(request.messages), _contents(request.messages)
    if not contents:
        # A conversation needs a turn, and OpenAI's may be of a system message alone.
        contents, system = [{"role": "user", "parts": system}], []
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if request.tools:
        declared = [_tool(tool) for tool in request.tools]
        body["tools"] = [{"functionDeclarations": declared}]
    if request.tool_choice is not None:
        body["toolConfig"] = {"functionCallingConfig": _choice(request.tool_choice)}
    if config:
        body["generationConfig"] = config
    return Written(body, (*dropped, *_left_out(request)))


def _left_out(request: GenerationRequest) -> list[str]:
    strict = ["strict"] if any(tool.strict for tool in request.tools) else []
    return [*unsaid(request), *strict]


def _system(messages: Sequence[Message]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for message in messages:
        if message.role is not Role.SYSTEM:
            continue
        for part in message.parts:
            if not isinstance(part, Text):
                raise Unsupported("system instructions that are no text")
            found.append({"text": part.text})
    return found


def _contents(messages: Sequence[Message]) -> list[dict[str, Any]]:
    names: dict[str, str] = {}
    contents: list[dict[str, Any]] = []
    for message in messages:
        if message.role is Role.SYSTEM:
            continue
        role = "model" if message.role is Role.ASSISTANT else "user"
        parts = _parts(message.parts, names)
        if contents and contents[-1]["role"] == role:
            # Google wants the two to take turns.
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    for content in contents:
        _sign(content["parts"])
    return contents


def _parts(parts: Sequence[Part], names: dict[str, str]) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, ToolCall):
            names[part.id] = part.name
        said = _part(part, names)
        if said is not None:
            written.append(said)
    # An empty text is refused beside others, and needed where there is nothing else.
    return [each for each in written if each.get("text") != ""] or written[:1]


def _part(part: Part, names: dict[str, str]) -> dict[str, Any] | None:
    if isinstance(part, Text | Refusal):
        return {"text": part.text}
    if isinstance(part, Media):
        return written_media(part)
    if isinstance(part, ToolCall):
        return written_call(part)
    if isinstance(part, ToolResult):
        name = part.name or names.get(part.call_id)
        if name is None:
            raise Unsupported("results of tools that were not called")
        return written_result(part, name)
    # Google needs no thought to be told again, only the signatures on calls.
    assert isinstance(part, Thinking)
    return None


def _sign(parts: list[dict[str, Any]]) -> None:
    calls = [part for part in parts if "functionCall" in part]
    if calls and not any("thoughtSignature" in part for part in calls):
        calls[0]["thoughtSignature"] = UNSIGNED


def _tool(tool: Tool) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        declared["description"] = tool.description
    if tool.schema is not None:
        declared["parametersJsonSchema"] = dict(tool.schema)
    return declared


def _choice(choice: ToolChoice) -> dict[str, Any]:
    if not choice.names:
        return {"mode": MODES[choice.mode]}
    # AUTO takes no names; VALIDATED is AUTO that does.
    mode = "VALIDATED" if choice.mode is ToolMode.AUTO else MODES[choice.mode]
    return {"mode": mode, "allowedFunctionNames": list(choice.names)}
