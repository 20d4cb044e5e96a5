"""A request of Google's in neutral words. Pure."""

from typing import Any

from shared.dialects.gemini.calls import Calls, read_call, read_result, signature_of
from shared.dialects.gemini.config import read_config
from shared.dialects.gemini.fields import Fields, fields, listed, text, texts
from shared.dialects.gemini.media import read_file, read_inline
from shared.dialects.gemini.schema import json_schema
from shared.dialects.translator import Json, Unreadable, Unsupported
from shared.inference.conversation import (
    Message,
    Part,
    Role,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolMode,
)
from shared.inference.dialect import Dialect
from shared.inference.generation import GenerationRequest

KNOWN = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "model", "stream"}
)
CACHED = "cachedContent"
OWN_KEYS = "penstock"
ROLES = {"user": Role.USER, "model": Role.ASSISTANT, "function": Role.USER}
TOOL_MODES = {
    "AUTO": ToolMode.AUTO,
    "VALIDATED": ToolMode.AUTO,
    "MODE_UNSPECIFIED": ToolMode.AUTO,
    "ANY": ToolMode.REQUIRED,
    "NONE": ToolMode.NONE,
}


def read_request(body: Json) -> GenerationRequest:
    """Read a request to generate, or one to count tokens that has such a request inside.

    Raises:
        Unreadable: it is not what Google documents.
        Unsupported: it asks for what only Google has, such as its own tools.
    """
    given = fields(dict(body), "the body")
    if "generateContentRequest" in given:
        given = fields(given["generateContentRequest"], "generateContentRequest")
    if CACHED in given:
        raise Unsupported("`cachedContent`, a part of the prompt that only Google has", CACHED)
    config = read_config(given.get("generationConfig", {}))
    choice, more = _tool_choice(given.get("toolConfig", {}))
    strange = [name for name in given if name not in KNOWN and not name.startswith(OWN_KEYS)]
    return GenerationRequest(
        messages=(*_system(given), *_messages(given)),
        tools=_tools(given.get("tools", [])),
        tool_choice=choice,
        format=config.format,
        max_tokens=config.max_tokens,
        stop=config.stop,
        choices=config.choices,
        logprobs=config.logprobs,
        tuning=config.tuning,
        unknown=(*strange, *config.unknown, *more),
    )


def _system(given: Fields) -> tuple[Message, ...]:
    value = given.get("systemInstruction")
    if value is None:
        return ()
    if isinstance(value, str):
        return (Message(Role.SYSTEM, (Text(value),)),)
    parts = _parts(fields(value, "systemInstruction"), "systemInstruction", Calls())
    return (Message(Role.SYSTEM, parts),) if parts else ()


def _messages(given: Fields) -> tuple[Message, ...]:
    contents = listed(given.get("contents"), "contents")
    if not contents:
        message = "`contents` must not be empty"
        raise Unreadable(message, "contents")
    calls = Calls()
    return tuple(
        _message(fields(each, f"contents[{number}]"), f"contents[{number}]", calls)
        for number, each in enumerate(contents)
    )


def _message(content: Fields, where: str, calls: Calls) -> Message:
    role = ROLES.get(str(content.get("role") or "user"))
    if role is None:
        message = f"`{where}.role` must be `user` or `model`"
        raise Unreadable(message, f"{where}.role")
    return Message(role, _parts(content, where, calls))


def _parts(content: Fields, where: str, calls: Calls) -> tuple[Part, ...]:
    found: list[Part] = []
    for number, each in enumerate(listed(content.get("parts", []), f"{where}.parts")):
        place = f"{where}.parts[{number}]"
        part = _part(fields(each, place), place, calls)
        if part is not None:
            found.append(part)
    return tuple(found)


def _part(part: Fields, where: str, calls: Calls) -> Part | None:
    if "text" in part:
        return _text(part, where)
    if "functionCall" in part:
        return read_call(part, where, calls)
    if "functionResponse" in part:
        return read_result(part["functionResponse"], f"{where}.functionResponse", calls)
    return _shown(part, where)


def _shown(part: Fields, where: str) -> Part | None:
    if "inlineData" in part:
        return read_inline(part["inlineData"], f"{where}.inlineData")
    if "fileData" in part:
        return read_file(part["fileData"], f"{where}.fileData")
    for hosted in ("executableCode", "codeExecutionResult", "toolCall", "toolResponse"):
        if hosted in part:
            raise Unsupported(f"`{hosted}`, a tool that only Google runs", f"{where}.{hosted}")
    if "thoughtSignature" in part:
        return None
    message = f"`{where}` must have `text` or another sort of data"
    raise Unreadable(message, where)


def _text(part: Fields, where: str) -> Part | None:
    said = text(part, "text", where) or ""
    if part.get("thought") is True:
        return Thinking(said, signature_of(part), dialect=Dialect.GEMINI)
    # A signature alone is for Google's models only.
    return None if not said and "thoughtSignature" in part else Text(said)


def _tools(value: object) -> tuple[Tool, ...]:
    found: list[Tool] = []
    for number, each in enumerate(listed(value, "tools")):
        where = f"tools[{number}]"
        given = fields(each, where)
        for hosted in given:
            if hosted != "functionDeclarations":
                raise Unsupported(f"`{hosted}`, a tool that only Google runs", f"{where}.{hosted}")
        where += ".functionDeclarations"
        declared = listed(given.get("functionDeclarations", []), where)
        found += [_tool(one, f"{where}[{place}]") for place, one in enumerate(declared)]
    return tuple(found)


def _tool(value: object, where: str) -> Tool:
    given = fields(value, where)
    schema: Any = given.get("parametersJsonSchema")
    if schema is None:
        schema = json_schema(given.get("parameters"))
    if schema is not None and not isinstance(schema, dict):
        message = f"`{where}.parameters` must be a schema"
        raise Unreadable(message, f"{where}.parameters")
    name = text(given, "name", where, needed=True) or ""
    return Tool(name, text(given, "description", where), schema)


def _tool_choice(value: object) -> tuple[ToolChoice | None, tuple[str, ...]]:
    given = fields(value, "toolConfig")
    strange = tuple(f"toolConfig.{name}" for name in given if name != "functionCallingConfig")
    if "functionCallingConfig" not in given:
        return None, strange
    where = "toolConfig.functionCallingConfig"
    config = fields(given["functionCallingConfig"], where)
    mode = TOOL_MODES.get(str(config.get("mode", "AUTO")).upper())
    if mode is None:
        message = f"`{where}.mode` must be one of {', '.join(TOOL_MODES)}"
        raise Unreadable(message, f"{where}.mode")
    return ToolChoice(mode, texts(config, "allowedFunctionNames", where)), strange
