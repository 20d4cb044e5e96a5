"""Requests, from neutral words to Anthropic's. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from shared.dialects.adjusted import lowered, raised, reworded, unsaid
from shared.dialects.messages.reading import NO_ARGUMENTS
from shared.dialects.messages.schemas import is_told_in_words, strictest
from shared.dialects.messages.turns import past_thinking, system_prompt, turns
from shared.dialects.translator import Unsupported, Written
from shared.inference.conversation import (
    Message,
    Role,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
)
from shared.inference.generation import GenerationRequest, Tuning

DEFAULT_MAX_TOKENS = 4096
LEAST_BUDGET = 1024
MOST_TEMPERATURE = 1
LEAST_TOP_P_THINKING = 0.95
EFFORTS = {"minimal": "low"}
TIERS = {"auto": "auto", "default": "standard_only"}
SAID = frozenset(
    {"temperature", "top_p", "top_k", "effort", "thinking_tokens"}
    | {"service_tier", "user", "parallel_tool_calls"}
)
"""What of the tuning Anthropic knows."""
LITERAL = frozenset({"temperature", "top_p", "top_k", "service_tier"})
"""What of it stands in the body under its own name."""


def write_request(request: GenerationRequest) -> Written:
    """Write a request for `/v1/messages`.

    Where the client set no `max_tokens`, which Anthropic requires, it is 4096, more what may be
    thought. A temperature above 1, the highest there is, is written as 1, and told among what was
    dropped. Of `temperature` and `top_p`, which newer models do not take together, the first is
    kept; neither goes with thinking.

    Raises:
        Unsupported: more than one choice, log probabilities, JSON without a schema, audio or video.
    """
    _refuse(request)
    tools, choice = _tools(request)
    thinks = _thinking(request, forced=choice is not None and choice["type"] in ("any", "tool"))
    sampling = _sampling(request.tuning, thinks=thinks.on)
    body: dict[str, Any] = {
        "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS + thinks.budget,
        "messages": turns(request.messages),
        "system": system_prompt(request.messages),
        "tools": tools or None,
        "tool_choice": choice,
        "stop_sequences": list(request.stop) or None,
        "output_config": _output_config(request) or None,
        "thinking": thinks.config,
        "service_tier": TIERS.get(request.tuning.service_tier or ""),
        "metadata": {"user_id": request.tuning.user} if request.tuning.user else None,
        **sampling,
    }
    written = {name: value for name, value in body.items() if value is not None}
    dropped = (*_dropped(request.tuning, written, thinks), *_changed(request, written, thinks))
    return Written(written, (*dropped, *unsaid(request)))


@dataclass(frozen=True, slots=True)
class _Thinks:
    config: dict[str, Any] | None
    budget: int = 0

    @property
    def on(self) -> bool:
        return self.config is not None and self.config["type"] != "disabled"


def _refuse(request: GenerationRequest) -> None:
    if request.choices > 1:
        feature = "more than one choice"
        raise Unsupported(feature, "n")
    if request.logprobs is not None:
        feature = "log probabilities"
        raise Unsupported(feature, "logprobs")
    if request.format is not None and request.format.schema is None:
        feature = "JSON without a schema"
        raise Unsupported(feature, "response_format")
    if any(not stop.strip() for stop in request.stop):
        feature = "a stop sequence of white space alone"
        raise Unsupported(feature, "stop")


def _tools(request: GenerationRequest) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    wanted = request.tool_choice
    tools = request.tools
    if not tools:
        # Calls of the past want their tools declared, though none may be called now.
        tools = tuple(Tool(name) for name in _called(request.messages))
        wanted = ToolChoice(ToolMode.NONE) if tools else None
    elif wanted is not None and wanted.names and _said_by_tools(wanted):
        named = frozenset(wanted.names)
        tools = tuple(tool for tool in tools if tool.name in named) or tools
    written = [_tool(tool) for tool in tools]
    if not written:
        return [], None
    return written, _tool_choice(wanted, parallel=request.tuning.parallel_tool_calls)


def _said_by_tools(wanted: ToolChoice) -> bool:
    # One tool can be named; some among others can only be the only ones there are.
    return wanted.mode is ToolMode.AUTO or len(wanted.names) > 1


def _called(messages: Sequence[Message]) -> list[str]:
    calls = (part for message in messages for part in message.parts if isinstance(part, ToolCall))
    return list(dict.fromkeys(call.name for call in calls))


def _tool(tool: Tool) -> dict[str, Any]:
    schema = NO_ARGUMENTS if tool.schema is None else {"type": "object", **tool.schema}
    written: dict[str, Any] = {"name": tool.name, "input_schema": schema}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.strict is not None:
        written["strict"] = tool.strict
    return written


def _tool_choice(wanted: ToolChoice | None, *, parallel: bool | None) -> dict[str, Any] | None:
    if wanted is None and parallel is None:
        return None
    mode = ToolMode.AUTO if wanted is None else wanted.mode
    names = () if wanted is None else wanted.names
    if mode is ToolMode.NONE:
        return {"type": "none"}
    choice: dict[str, Any] = {"type": "any" if mode is ToolMode.REQUIRED else "auto"}
    if mode is ToolMode.REQUIRED and len(names) == 1:
        choice = {"type": "tool", "name": names[0]}
    if parallel is not None:
        choice["disable_parallel_tool_use"] = not parallel
    return choice


def _output_config(request: GenerationRequest) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if request.format is not None and request.format.schema is not None:
        config["format"] = {"type": "json_schema", "schema": strictest(request.format.schema)}
    effort = request.tuning.effort
    if effort is not None and effort != "none":
        config["effort"] = EFFORTS.get(effort, effort)
    return config


def _thinking(request: GenerationRequest, *, forced: bool) -> _Thinks:
    effort, budget = request.tuning.effort, request.tuning.thinking_tokens
    if effort == "none" or budget == 0:
        return _Thinks({"type": "disabled"})
    if forced or (effort is None and budget is None):
        # Whoever must call a tool cannot be made to think before.
        return _Thinks(None)
    if budget is None or budget < 0:
        return _Thinks({"type": "adaptive"})
    if request.max_tokens is not None:
        # It counts into the answer's length, which is the client's to say.
        budget = min(budget, request.max_tokens - 1)
        if budget < LEAST_BUDGET:
            return _Thinks(None)
    if _calls_without_thought(request.messages):
        return _Thinks(None)
    budget = max(budget, LEAST_BUDGET)
    return _Thinks({"type": "enabled", "budget_tokens": budget}, budget)


def _calls_without_thought(messages: Sequence[Message]) -> bool:
    # With a budget, a turn whose calls have just been answered must begin with its sealed thought.
    spoken = [message for message in messages if message.role is Role.ASSISTANT]
    last = spoken[-1].parts if spoken else ()
    sealed = any(isinstance(part, Thinking) and past_thinking(part) for part in last)
    return not sealed and any(isinstance(part, ToolCall) for part in last)


def _sampling(tuning: Tuning, *, thinks: bool) -> dict[str, Any]:
    temperature, top_p = tuning.temperature, tuning.top_p
    if thinks:
        # The only setting that goes with it.
        fits = top_p is not None and LEAST_TOP_P_THINKING <= top_p <= 1
        return {"top_p": top_p} if fits else {}
    if temperature is not None:
        temperature, top_p = min(temperature, MOST_TEMPERATURE), None
    return {"temperature": temperature, "top_p": top_p, "top_k": tuning.top_k}


def _dropped(tuning: Tuning, body: dict[str, Any], thinks: _Thinks) -> Iterator[str]:
    for each in fields(tuning):
        value = getattr(tuning, each.name)
        if value is None:
            continue
        if each.name not in SAID or (each.name in LITERAL and each.name not in body):
            yield each.name
    if tuning.thinking_tokens and not thinks.on:
        yield "thinking_tokens"


def _changed(request: GenerationRequest, body: dict[str, Any], thinks: _Thinks) -> Iterator[str]:
    tuning = request.tuning
    said, asked = body.get("temperature"), tuning.temperature
    if said is not None and asked is not None and said < asked:
        yield lowered("temperature", MOST_TEMPERATURE)
    if tuning.effort in EFFORTS:
        yield reworded("effort", EFFORTS[tuning.effort])
    budget = tuning.thinking_tokens
    if thinks.budget and budget is not None and thinks.budget != budget:
        changed = lowered if thinks.budget < budget else raised
        yield changed("thinking_tokens", thinks.budget)
    if request.format is not None and is_told_in_words(request.format.schema or {}):
        yield reworded("schema", "description")
