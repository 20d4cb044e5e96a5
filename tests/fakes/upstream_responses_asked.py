"""What OpenAI's server refuses of a request to the Responses API, in words like its own."""

from collections.abc import Iterator, Mapping
from typing import Any

Body = Mapping[str, Any]

KNOWN = frozenset(
    {
        *("background", "conversation", "include", "input", "instructions", "max_output_tokens"),
        *("max_tool_calls", "metadata", "model", "parallel_tool_calls", "previous_response_id"),
        *("prompt", "prompt_cache_key", "prompt_cache_retention", "reasoning", "safety_identifier"),
        *("service_tier", "store", "stream", "stream_options", "temperature", "text"),
        *("tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user", "future"),
    }
)
"""`future` stands for what OpenAI thinks of next."""
COUNTED = frozenset(
    {
        *("conversation", "input", "instructions", "model", "parallel_tool_calls"),
        *("previous_response_id", "reasoning", "text", "tool_choice", "tools", "truncation"),
    }
)
FORMATS = ("text", "json_object", "json_schema")
SHOWN = {
    "user": ("input_text", "input_image", "input_file"),
    "system": ("input_text",),
    "developer": ("input_text",),
    "assistant": ("output_text", "refusal"),
}
ITEM_FIELDS = {
    "message": {"type", "id", "role", "content", "status", "phase"},
    "function_call": {"type", "id", "call_id", "name", "arguments", "status"},
    "function_call_output": {"type", "id", "call_id", "output", "status"},
    "reasoning": {"type", "id", "summary", "content", "encrypted_content", "status"},
}
PART_FIELDS = {
    "input_text": {"type", "text"},
    "input_image": {"type", "image_url", "file_id", "detail"},
    "input_file": {"type", "filename", "file_data", "file_id", "file_url", "detail"},
    "output_text": {"type", "text", "annotations", "logprobs"},
    "refusal": {"type", "refusal"},
}
SEAL = "gAAAA-sealed-by-the-fake-"
"""What the thoughts begin with that it would know again."""
LEAST_OUTPUT_TOKENS = 16
WARMEST = 2


def refusal_of(body: Body, *, counted: bool) -> str | None:
    """Return the first of what is wrong, None if nothing is."""
    return next(_wrongs(body, COUNTED if counted else KNOWN), None)


def _wrongs(body: Body, known: frozenset[str]) -> Iterator[str]:
    for name in sorted({*body} - known):
        yield f"Unknown parameter: '{name}'."
    if not isinstance(body.get("model"), str):
        yield "Missing required parameter: 'model'."
    if body.get("previous_response_id") is not None:
        yield f"Previous response with id '{body['previous_response_id']}' not found."
    if body.get("background") and body.get("store") is False:
        yield "Background mode requires store to be true."
    if "stream_options" in body and not body.get("stream"):
        yield "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    yield from _wrong_numbers(body)
    yield from _wrong_tools(body)
    yield from _wrong_format((body.get("text") or {}).get("format"))
    yield from _wrong_input(body.get("input"))


def _wrong_numbers(body: Body) -> Iterator[str]:
    for name, least, most in (
        ("max_output_tokens", LEAST_OUTPUT_TOKENS, 10**9),
        ("temperature", 0, WARMEST),
        ("top_p", 0, 1),
        ("top_logprobs", 0, 20),
    ):
        value = body.get(name)
        if value is not None and not least <= value <= most:
            yield f"Invalid '{name}': expected a value from {least} to {most}, but got {value}."


def _wrong_tools(body: Body) -> Iterator[str]:
    names = set()
    for n, tool in enumerate(body.get("tools") or []):
        if tool.get("type") == "function" and "name" not in tool:
            yield f"Missing required parameter: 'tools[{n}].name'."
        if tool.get("type") == "function" and tool.get("strict", True) is True:
            yield from _loose(tool.get("parameters") or {}, str(tool.get("name")))
        names.add(tool.get("name"))
    choice = body.get("tool_choice")
    named = [choice] if isinstance(choice, dict) else []
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        named = choice["tools"]
    for each in named:
        if each.get("type") == "function" and each.get("name") not in names:
            yield f"Tool choice '{each.get('name')}' not found in 'tools' parameter."
    if choice == "required" and not names:
        yield "Tool choice 'required' must be specified with 'tools' parameter."


def _wrong_format(form: Any) -> Iterator[str]:
    if form is None:
        return
    if form.get("type") not in FORMATS:
        yield f"Invalid value: '{form.get('type')}'. Supported values are: {FORMATS}."
    if form.get("type") != "json_schema":
        return
    for name in ("name", "schema"):
        if name not in form:
            yield f"Missing required parameter: 'text.format.{name}'."
    if form.get("strict"):
        yield from _loose(form.get("schema") or {}, str(form.get("name")))


def _loose(schema: Body, name: str) -> Iterator[str]:
    """Yield what a strict schema may not leave open."""
    if schema.get("type") != "object":
        return
    if schema.get("additionalProperties") is not False:
        yield f"Invalid schema for '{name}': 'additionalProperties' is required to be false."
    if {*schema.get("required", [])} != {*schema.get("properties", {})}:
        yield f"Invalid schema for '{name}': 'required' is required to include every key."


def _wrong_input(given: Any) -> Iterator[str]:
    if isinstance(given, str):
        return
    if not isinstance(given, list) or not given:
        yield "Missing required parameter: 'input'."
        return
    calls: set[str] = set()
    for n, item in enumerate(given):
        yield from _wrong_item(f"input[{n}]", item, calls)
    answered = {item.get("call_id") for item in given if item.get("type") == "function_call_output"}
    for call in sorted(calls - answered):
        yield f"No tool output found for function call {call}."


def _wrong_item(where: str, item: Body, calls: set[str]) -> Iterator[str]:
    kind = item.get("type", "message")
    if kind not in ITEM_FIELDS:
        yield f"Invalid value: '{kind}'. Supported values are: {sorted(ITEM_FIELDS)}."
        return
    for name in sorted({*item} - ITEM_FIELDS[kind]):
        yield f"Unknown parameter: '{where}.{name}'."
    if kind == "message":
        yield from _wrong_message(where, item)
    elif kind == "reasoning":
        yield from _wrong_thought(item)
    else:
        yield from _wrong_call(where, item, calls)


def _wrong_thought(item: Body) -> Iterator[str]:
    if not item.get("encrypted_content"):
        # Nothing is stored, so a bare name leads nowhere.
        yield f"Item with id '{item.get('id')}' not found."
    elif not str(item["encrypted_content"]).startswith(SEAL):
        yield f"The encrypted content for item {item.get('id')} could not be verified."


def _wrong_call(where: str, item: Body, calls: set[str]) -> Iterator[str]:
    call = item.get("call_id")
    if item["type"] == "function_call_output":
        if call not in calls:
            yield f"No tool call found for function call output with call_id {call}."
        return
    calls.add(str(call))
    if not all(isinstance(item.get(name), str) for name in ("call_id", "name", "arguments")):
        yield f"Missing required parameter of a call: '{where}'."


def _wrong_message(where: str, item: Body) -> Iterator[str]:
    role, content = item.get("role"), item.get("content")
    if role not in SHOWN:
        yield f"Invalid value: '{role}'. Supported values are: {sorted(SHOWN)}."
        return
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        yield f"Missing required parameter: '{where}.content'."
        return
    for place, part in enumerate(content):
        kind = part.get("type")
        if kind not in SHOWN[role]:
            yield f"Invalid value: '{kind}'. Supported values are: {SHOWN[role]}."
            return
        for name in sorted({*part} - PART_FIELDS[kind]):
            yield f"Unknown parameter: '{where}.content[{place}].{name}'."
