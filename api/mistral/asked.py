"""What Mistral's clients ask, in the words of the dialect that it is a variant of: OpenAI's; pure."""

from typing import Any, cast

import orjson
from pydantic import JsonValue

Body = dict[str, JsonValue]
FOR_MISTRAL = "penstock_mistral"
"""The own key whose members only Mistral's own models are told."""
ONLY_MISTRALS = (
    "safe_prompt",
    "prompt_mode",
    "guardrails",
    "prompt_logprobs",
    "top_prompt_logprobs",
)
_RENAMED_CHAT = {"random_seed": "seed"}
_RENAMED_EMBEDDINGS = {"output_dimension": "dimensions"}


def chat_of(body: Body) -> Body:
    """Return a chat completion's body as OpenAI spells it, in Mistral's own keys what only it knows."""
    told = _renamed(body, _RENAMED_CHAT)
    only: Body = {name: told.pop(name) for name in ONLY_MISTRALS if name in told}
    if said := {name: value for name, value in only.items() if value not in (None, False)}:
        told[FOR_MISTRAL] = cast("JsonValue", said)
    if told.get("tool_choice") == "any":
        told["tool_choice"] = "required"
    messages = told.get("messages")
    if isinstance(messages, list):
        told["messages"] = [_message(each) if isinstance(each, dict) else each for each in messages]
    return told


def embeddings_of(body: Body) -> Body:
    """Return an embedding's body as OpenAI spells it."""
    told = _renamed(body, _RENAMED_EMBEDDINGS)
    if told.get("output_dtype") in (None, "float"):
        # Which everyone gives unasked, and only Mistral has a word for.
        told.pop("output_dtype", None)
    return told


def _renamed(body: Body, names: dict[str, str]) -> Body:
    told = dict(body)
    for name, ours in names.items():
        if name in told:
            value = told.pop(name)
            if value is not None:
                told[ours] = value
    return told


def _message(message: dict[str, Any]) -> dict[str, Any]:
    told = dict(message)
    if told.get("prefix") is False:
        # The default, which its clients send, and nobody else knows.
        del told["prefix"]
    if isinstance(content := told.get("content"), list):
        told["content"] = [_part(each) if isinstance(each, dict) else each for each in content]
    if isinstance(calls := told.get("tool_calls"), list):
        told["tool_calls"] = [_call(each) if isinstance(each, dict) else each for each in calls]
    elif "tool_calls" in told:
        del told["tool_calls"]
    return told


def _part(part: dict[str, Any]) -> dict[str, Any]:
    url = part.get("image_url")
    return {**part, "image_url": {"url": url}} if isinstance(url, str) else part


def _call(call: dict[str, Any]) -> dict[str, Any]:
    told = {"type": "function", **call}
    told.pop("index", None)
    function = call.get("function")
    if isinstance(function, dict) and not isinstance(function.get("arguments"), str):
        written = orjson.dumps(function.get("arguments") or {}).decode()
        told["function"] = {**function, "arguments": written}
    return told
