"""A request to the Responses API, read into neutral words. Pure."""

from collections.abc import Mapping
from typing import Any

from shared.dialects.chat.fields import flag, needed_text, number, object_of, text_of
from shared.dialects.responses.input import read_input
from shared.dialects.translator import Json, Unreadable, Unsupported
from shared.inference.conversation import Format, Message, Role, Text, Tool, ToolChoice, ToolMode
from shared.inference.generation import GenerationRequest, Tuning

INHERITED = "penstock_inherited"
"""How many of a stored request's items came from `previous_response_id`; without it none did."""
LOGPROBS = "message.output_text.logprobs"
MODES = {mode.value: mode for mode in ToolMode}
_TUNING = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_OTHERS = ("service_tier", "safety_identifier", "user", "parallel_tool_calls")
_READ = frozenset(
    {
        *("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "include"),
        *("max_output_tokens", "top_logprobs", "previous_response_id", "truncation"),
        *_TUNING,
        *_OTHERS,
        # What becomes of an answer is our own affair.
        *("stream", "stream_options", "background", "store", "metadata"),
    }
)
_REFUSED: Mapping[str, str] = {
    "conversation": "`conversation` is not kept here: use `previous_response_id`.",
    "prompt": "`prompt` names a template that is stored elsewhere: send its `input` instead.",
}


def read_request(body: Json) -> GenerationRequest:
    """Read a request.

    Raises:
        Unreadable: it is not what the dialect knows, or names what is kept elsewhere.
        Unsupported: it wants what only the dialect's own providers have, hosted tools above all.
    """
    _refuse(body)
    tools = tuple(_tool(each, f"tools[{n}]") for n, each in enumerate(_list(body, "tools")))
    return GenerationRequest(
        messages=(*_instructions(body), *read_input(body.get("input"))),
        tools=tools,
        tool_choice=_tool_choice(body.get("tool_choice")),
        format=_format(_object(body, "text").get("format")),
        max_tokens=_whole(body, "max_output_tokens"),
        logprobs=_logprobs(body),
        tuning=_tuning(body),
        unknown=_unknown(body),
    )


def _refuse(body: Json) -> None:
    for name, message in _REFUSED.items():
        if body.get(name) is not None:
            raise Unreadable(message, name)
    if body.get("previous_response_id") is not None and INHERITED not in body:
        message = (
            "`previous_response_id` is not understood in a line of a batch: send the items of the"
            " conversation in `input` instead."
        )
        raise Unreadable(message, "previous_response_id")


def _instructions(body: Json) -> tuple[Message, ...]:
    said = body.get("instructions")
    if said is None:
        return ()
    if not isinstance(said, str):
        message = "`instructions` must be a string."
        raise Unreadable(message, "instructions")
    return (Message(Role.SYSTEM, (Text(said),)),)


def _tool(tool: object, where: str) -> Tool:
    if not isinstance(tool, dict):
        message = f"`{where}` must be an object with a `type`."
        raise Unreadable(message, where)
    if tool.get("type") != "function":
        feature = f"the tool `{str(tool.get('type'))[:64]}`, which its own provider runs"
        raise Unsupported(feature, where)
    return Tool(
        needed_text(tool, "name", where),
        text_of(tool, "description", where),
        object_of(tool, "parameters", where),
        flag(tool, "strict", where),
    )


def _tool_choice(chosen: object) -> ToolChoice | None:
    if chosen is None:
        return None
    if isinstance(chosen, str) and chosen in MODES:
        return ToolChoice(MODES[chosen])
    if isinstance(chosen, dict) and chosen.get("type") == "function":
        return ToolChoice(ToolMode.REQUIRED, (str(chosen.get("name")),))
    if isinstance(chosen, dict) and chosen.get("type") == "allowed_tools":
        mode = MODES.get(str(chosen.get("mode")), ToolMode.AUTO)
        return ToolChoice(mode, tuple(map(_allowed, _list(chosen, "tools"))))
    if isinstance(chosen, dict):
        feature = f"a choice of the tool `{str(chosen.get('type'))[:64]}`"
        raise Unsupported(feature, "tool_choice")
    message = "`tool_choice` must be `auto`, `none`, `required` or an object that names a function."
    raise Unreadable(message, "tool_choice")


def _allowed(tool: object) -> str:
    if isinstance(tool, dict) and tool.get("type") == "function":
        return str(tool.get("name"))
    feature = "a choice among tools that are no functions"
    raise Unsupported(feature, "tool_choice")


def _format(form: object) -> Format | None:
    kind = form.get("type") if isinstance(form, dict) else None
    if not isinstance(form, dict) or kind == "text":
        return None
    if kind == "json_object":
        return Format()
    if kind != "json_schema" or not isinstance(form.get("schema"), dict):
        message = (
            "`text.format` must be of type `text`, `json_object`, or `json_schema` with a `schema`."
        )
        raise Unreadable(message, "text.format")
    return Format(
        form["schema"],
        text_of(form, "name", "text.format"),
        text_of(form, "description", "text.format"),
        flag(form, "strict", "text.format"),
    )


def _logprobs(body: Json) -> int | None:
    most = _whole(body, "top_logprobs")
    if most:
        return most
    return 0 if LOGPROBS in _list(body, "include") else None


def _tuning(body: Json) -> Tuning:
    return Tuning(
        temperature=number(body, "temperature"),
        top_p=number(body, "top_p"),
        presence_penalty=number(body, "presence_penalty"),
        frequency_penalty=number(body, "frequency_penalty"),
        effort=text_of(_object(body, "reasoning"), "effort", "reasoning"),
        verbosity=text_of(_object(body, "text"), "verbosity", "text"),
        service_tier=text_of(body, "service_tier"),
        user=text_of(body, "user") or text_of(body, "safety_identifier"),
        parallel_tool_calls=flag(body, "parallel_tool_calls"),
    )


def _unknown(body: Json) -> tuple[str, ...]:
    left = [name for name in body if name not in _READ and not name.startswith("penstock")]
    given = [name for name in left if body[name] is not None]
    if body.get("truncation") == "auto":
        given.append("truncation")
    if _object(body, "reasoning").get("summary") is not None:
        given.append("reasoning.summary")
    return tuple(given)


def _whole(body: Json, name: str) -> int | None:
    value = body.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    message = f"`{name}` must be a whole number."
    raise Unreadable(message, name)


def _object(body: Json, name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is None or isinstance(value, dict):
        return value or {}
    message = f"`{name}` must be an object."
    raise Unreadable(message, name)


def _list(body: Json, name: str) -> list[Any]:
    value = body.get(name)
    if value is None or isinstance(value, list):
        return value or []
    message = f"`{name}` must be an array."
    raise Unreadable(message, name)
