"""A request of OpenAI's chat, read into neutral words; pure."""

from typing import Any

from shared.dialects.chat.calls import read_choice, read_tools
from shared.dialects.chat.fields import (
    flag,
    needed_object,
    number,
    object_of,
    text_of,
    whole_number,
    wrong,
)
from shared.dialects.chat.messages import read_messages
from shared.dialects.translator import Json, Unreadable, Unsupported
from shared.inference.conversation import Format
from shared.inference.generation import GenerationRequest, Tuning

MEANING = frozenset({"messages", "tools", "functions", "tool_choice", "function_call"})
SHAPE = frozenset({"response_format", "max_completion_tokens", "max_tokens", "stop", "n"})
TOKENS = frozenset({"logprobs", "top_logprobs", "logit_bias"})
TUNING = frozenset({"reasoning_effort", "verbosity", "service_tier", "parallel_tool_calls"})
SAMPLING = frozenset(
    {"temperature", "top_p", "top_k", "seed", "random_seed", "presence_penalty"}
    | {"frequency_penalty", "user", "safety_identifier"}
)
REFUSED = frozenset({"audio", "modalities", "web_search_options"})
CACHE_HINTS = frozenset({"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"})
SILENT = frozenset({"model", "stream", "stream_options", "metadata", "store"}) | CACHE_HINTS
"""What says nothing about the answer: how it is sent, kept and found again."""
KNOWN = MEANING | SHAPE | TOKENS | TUNING | SAMPLING | REFUSED | SILENT
OWN_KEYS = "penstock"


def read_request(body: Json) -> GenerationRequest:
    """Read a request.

    Raises:
        Unreadable: it is no request of this dialect.
        Unsupported: it asks for what only OpenAI has.
    """
    _refuse_what_is_openais(body)
    return GenerationRequest(
        messages=read_messages(body),
        tools=read_tools(body),
        tool_choice=read_choice(body),
        format=_format(body),
        max_tokens=_first(
            whole_number(body, "max_completion_tokens"), whole_number(body, "max_tokens")
        ),
        stop=read_stop(body),
        choices=whole_number(body, "n") or 1,
        logprobs=(whole_number(body, "top_logprobs") or 0) if flag(body, "logprobs") else None,
        tuning=_tuning(body),
        unknown=unknown_keys(body, KNOWN),
    )


def read_sampling(body: Json) -> dict[str, Any]:
    """Read of the tuning what completions, too, have always had."""
    return {
        "temperature": number(body, "temperature"),
        "top_p": number(body, "top_p"),
        "top_k": whole_number(body, "top_k"),
        "seed": _first(whole_number(body, "seed"), whole_number(body, "random_seed")),
        "presence_penalty": number(body, "presence_penalty"),
        "frequency_penalty": number(body, "frequency_penalty"),
        "logit_bias": object_of(body, "logit_bias") or None,
        "user": _first(text_of(body, "user"), text_of(body, "safety_identifier")),
    }


def read_stop(body: Json) -> tuple[str, ...]:
    """Read what ends an answer, a text or a list of texts."""
    value = body.get("stop")
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise wrong("stop", "a text or a list of texts")


def unknown_keys(body: Json, known: frozenset[str]) -> tuple[str, ...]:
    """Return which keys of a body have no place in neutral words; our own are no one's matter."""
    return tuple(
        name
        for name, value in body.items()
        if value is not None and name not in known and not name.startswith(OWN_KEYS)
    )


def _refuse_what_is_openais(body: Json) -> None:
    modalities = body.get("modalities")
    if body.get("audio") is not None or (isinstance(modalities, list) and "audio" in modalities):
        raise Unsupported("answers in audio", "modalities")
    if body.get("web_search_options") is not None:
        raise Unsupported("web search", "web_search_options")


def _tuning(body: Json) -> Tuning:
    return Tuning(
        **read_sampling(body),
        effort=text_of(body, "reasoning_effort"),
        verbosity=text_of(body, "verbosity"),
        service_tier=text_of(body, "service_tier"),
        parallel_tool_calls=flag(body, "parallel_tool_calls"),
    )


def _format(body: Json) -> Format | None:
    wanted = object_of(body, "response_format")
    kind = None if wanted is None else wanted.get("type")
    if wanted is None or kind == "text":
        return None
    if kind == "json_object":
        return Format()
    if kind != "json_schema":
        where = "response_format.type"
        raise Unreadable(f"{where} must be `text`, `json_object` or `json_schema`.", where)
    where = "response_format.json_schema"
    schema = needed_object(wanted, "json_schema", "response_format")
    return Format(
        schema=object_of(schema, "schema", where) or {},
        name=text_of(schema, "name", where),
        description=text_of(schema, "description", where),
        strict=flag(schema, "strict", where),
    )


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
