"""A request of OpenAI's chat, written from neutral words as the strictest provider takes it; pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.dialects.adjusted import effort_of
from shared.dialects.chat.calls import write_call, write_choice, write_tool
from shared.dialects.chat.media import write_media
from shared.dialects.translator import Unsupported, Written
from shared.inference.conversation import (
    Format,
    Media,
    Message,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from shared.inference.generation import GenerationRequest, Tuning

MOST_STOPS = 4
TIERS = frozenset({"auto", "default", "flex", "scale", "priority"})
PARAGRAPH = "\n\n"
AS_THEY_ARE = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "logit_bias": "logit_bias",
    "verbosity": "verbosity",
    "user": "user",
}


def write_request(request: GenerationRequest) -> Written:
    """Write a request.

    Raises:
        Unsupported: the dialect has no words for it.
    """
    messages = [said for message in request.messages for said in _message(message)]
    body: dict[str, Any] = {"messages": messages}
    if request.tools:
        body["tools"] = [write_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = write_choice(request.tool_choice)
    if request.format is not None:
        body["response_format"] = _format(request.format)
    if request.max_tokens is not None:
        body["max_completion_tokens"] = request.max_tokens
    if request.choices != 1:
        body["n"] = request.choices
    if request.logprobs is not None:
        body |= {"logprobs": True} | _if_any("top_logprobs", request.logprobs)
    sampling, dropped = write_sampling(request.tuning)
    effort, changed = effort_of(request.tuning)
    body |= sampling | write_stop(request.stop) | _if_any("reasoning_effort", effort)
    return Written(body | _service(request), (*dropped, *changed))


def write_sampling(tuning: Tuning) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the tuning that has the same name, and what has none."""
    said = {theirs: getattr(tuning, mine) for mine, theirs in AS_THEY_ARE.items()}
    dropped = ["top_k"] if tuning.top_k is not None else []
    dropped += ["service_tier"] if tuning.service_tier not in {None, *TIERS} else []
    return {name: value for name, value in said.items() if value is not None}, tuple(dropped)


def write_stop(stop: Sequence[str]) -> dict[str, Any]:
    """Return what ends an answer.

    Raises:
        Unsupported: there is more of it than OpenAI takes.
    """
    if len(stop) > MOST_STOPS:
        raise Unsupported(f"more than {MOST_STOPS} stop sequences", "stop")
    return {"stop": list(stop)} if stop else {}


def joined_text(parts: Sequence[Part], *, between: str = PARAGRAPH) -> str:
    """Return all texts as one: not every vendor takes a list of them."""
    return between.join(part.text for part in parts if isinstance(part, Text))


def _message(message: Message) -> Iterator[dict[str, Any]]:
    if message.role is Role.SYSTEM:
        _refuse_media(message.parts, "what is not text in system messages")
        yield _named({"role": "system", "content": joined_text(message.parts)}, message)
    elif message.role is Role.ASSISTANT:
        yield _named(_assistant(message), message)
    else:
        yield from _user(message)


def _user(message: Message) -> Iterator[dict[str, Any]]:
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    yield from (_result(each) for each in results)
    # What a tool shows stands after all results: a tool's own message holds text only.
    shown = [part for each in results for part in each.parts if isinstance(part, Media)]
    parts = [*shown, *(part for part in message.parts if isinstance(part, Text | Media))]
    if parts or not results:
        yield _named({"role": "user", "content": _content(parts)}, message)


def _result(result: ToolResult) -> dict[str, Any]:
    text = joined_text(result.parts)
    content = f"Error: {text}" if result.is_error else text
    return {"role": "tool", "tool_call_id": result.call_id, "content": content}


def _content(parts: Sequence[Text | Media]) -> str | list[dict[str, Any]]:
    if not any(isinstance(part, Media) for part in parts):
        return joined_text(parts)
    return [
        {"type": "text", "text": part.text} if isinstance(part, Text) else write_media(part)
        for part in parts
    ]


def _assistant(message: Message) -> dict[str, Any]:
    """Write what a model said; its thoughts are left out: only their own provider can read them."""
    _refuse_media(message.parts, "what is not text in a model's turn")
    # A model's texts are one, cut where it cites.
    text = joined_text(message.parts, between="")
    calls = [write_call(part) for part in message.parts if isinstance(part, ToolCall)]
    refusals = [part.text for part in message.parts if isinstance(part, Refusal)]
    said: dict[str, Any] = {"role": "assistant", "content": text}
    if not text and (calls or refusals):
        said["content"] = None
    if refusals:
        said["refusal"] = "".join(refusals)
    if calls:
        said["tool_calls"] = calls
    return said


def _refuse_media(parts: Sequence[Part], what: str) -> None:
    if any(not isinstance(part, Text | ToolCall | Thinking | Refusal) for part in parts):
        raise Unsupported(what, "messages")


def _named(said: dict[str, Any], message: Message) -> dict[str, Any]:
    return said if message.name is None else {**said, "name": message.name}


def _format(wanted: Format) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name or "answer", "schema": dict(wanted.schema)}
    if wanted.description is not None:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _service(request: GenerationRequest) -> dict[str, Any]:
    tuning = request.tuning
    said: dict[str, Any] = {}
    if tuning.service_tier in TIERS:
        said["service_tier"] = tuning.service_tier
    # Refused where there are no tools, and without a meaning there.
    if tuning.parallel_tool_calls is not None and request.tools:
        said["parallel_tool_calls"] = tuning.parallel_tool_calls
    return said


def _if_any(name: str, value: int | str | None) -> dict[str, int | str]:
    return {name: value} if value else {}
