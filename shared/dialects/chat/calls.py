"""Tools, the choice among them and their calls, in OpenAI's chat; read and written; pure."""

from collections.abc import Mapping
from typing import Any

from shared.dialects.chat.fields import (
    flag,
    needed_object,
    needed_text,
    object_of,
    objects_of,
    text_of,
    wrong,
)
from shared.dialects.translator import Json, Unreadable, Unsupported
from shared.inference.conversation import Tool, ToolCall, ToolChoice, ToolMode

FUNCTION = "function"
# Mistral says `any`.
MODES = {
    "auto": ToolMode.AUTO,
    "none": ToolMode.NONE,
    "required": ToolMode.REQUIRED,
    "any": ToolMode.REQUIRED,
}


def read_tools(body: Json) -> tuple[Tool, ...]:
    """Read the tools that may be called, in the newer form and in the old one.

    Raises:
        Unsupported: one is no function: it runs at the provider, or takes free text.
    """
    tools = []
    for where, each in objects_of(body, "tools"):
        kind = each.get("type", FUNCTION)
        if kind != FUNCTION:
            raise Unsupported(f"tools of type {kind!r}", f"{where}.type")
        tools.append(_tool(needed_object(each, FUNCTION, where), f"{where}.function"))
    tools += [_tool(each, where) for where, each in objects_of(body, "functions")]
    return tuple(tools)


def write_tool(tool: Tool) -> dict[str, Any]:
    """Write a tool."""
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = dict(tool.schema)
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": FUNCTION, FUNCTION: function}


def read_choice(body: Json) -> ToolChoice | None:
    """Read which of the tools must be called."""
    value = body.get("tool_choice")
    if value is None:
        return _old_choice(body.get("function_call"))
    if isinstance(value, str):
        return ToolChoice(_mode(value, "tool_choice"))
    choice = needed_object(body, "tool_choice", "")
    if choice.get("type") == "allowed_tools":
        # The SDK's type nests it; the Responses API has it flat.
        allowed = object_of(choice, "allowed_tools", "tool_choice") or choice
        mode = _mode(needed_text(allowed, "mode", "tool_choice"), "tool_choice.mode")
        tools = objects_of(allowed, "tools", "tool_choice")
        return ToolChoice(mode, tuple(_named(each, where) for where, each in tools))
    return ToolChoice(ToolMode.REQUIRED, (_named(choice, "tool_choice"),))


def write_choice(choice: ToolChoice) -> str | dict[str, Any]:
    """Write which of the tools must be called."""
    if not choice.names:
        return choice.mode.value
    named = [{"type": FUNCTION, FUNCTION: {"name": name}} for name in choice.names]
    if choice.mode is ToolMode.REQUIRED and len(named) == 1:
        return named[0]
    return {
        "type": "allowed_tools",
        "allowed_tools": {"mode": choice.mode.value, "tools": named},
    }


def read_call(each: Json, where: str, otherwise: str) -> ToolCall:
    """Read a call; one without an id gets the other."""
    kind = each.get("type") or FUNCTION
    if kind != FUNCTION:
        raise Unsupported(f"tool calls of type {kind!r}", f"{where}.type")
    function = needed_object(each, FUNCTION, where)
    call_id = text_of(each, "id", where) or otherwise
    return old_call(function, f"{where}.function", call_id, signature_of(each))


def old_call(function: Json, where: str, call_id: str, signature: str | None = None) -> ToolCall:
    """Read a call of the time when there was only one an answer, and it had no id."""
    arguments = function.get("arguments")
    if arguments is not None and not isinstance(arguments, str):
        raise wrong(f"{where}.arguments", "JSON as a text")
    return ToolCall(call_id, needed_text(function, "name", where), arguments or "", signature)


def write_call(call: ToolCall) -> dict[str, Any]:
    """Write a call as every provider takes it."""
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": FUNCTION, FUNCTION: function}


def signature_of(each: Json) -> str | None:
    """Return what its provider wants to see again, where Google's own chat completions have it."""
    extra = each.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    found = google.get("thought_signature") if isinstance(google, Mapping) else None
    return found if isinstance(found, str) else None


def signed(written: dict[str, Any], signature: str | None) -> dict[str, Any]:
    """Return a call with its signature: clients that send messages back as they came return it."""
    if signature is not None:
        written["extra_content"] = {"google": {"thought_signature": signature}}
    return written


def _tool(function: Json, where: str) -> Tool:
    return Tool(
        needed_text(function, "name", where),
        text_of(function, "description", where),
        object_of(function, "parameters", where),
        flag(function, "strict", where),
    )


def _old_choice(value: object) -> ToolChoice | None:
    if value is None:
        return None
    if isinstance(value, str):
        return ToolChoice(_mode(value, "function_call"))
    if isinstance(value, dict):
        return ToolChoice(ToolMode.REQUIRED, (needed_text(value, "name", "function_call"),))
    raise wrong("function_call", "`none`, `auto` or an object with a `name`")


def _mode(value: str, where: str) -> ToolMode:
    mode = MODES.get(value)
    if mode is None:
        raise Unreadable(f"{where} must be `none`, `auto`, `required` or an object.", where)
    return mode


def _named(choice: Json, where: str) -> str:
    kind = choice.get("type", FUNCTION)
    if kind != FUNCTION:
        raise Unsupported(f"a choice of tools of type {kind!r}", f"{where}.type")
    return needed_text(object_of(choice, FUNCTION, where) or choice, "name", f"{where}.function")
