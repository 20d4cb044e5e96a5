"""Google's `generationConfig`, both ways. Pure."""

from dataclasses import dataclass, field
from typing import Any

from shared.dialects.adjusted import lowered, reworded
from shared.dialects.gemini.fields import Fields, fields, integer, number, text, texts
from shared.dialects.gemini.schema import json_schema
from shared.dialects.translator import Unreadable, Unsupported
from shared.inference.conversation import Format
from shared.inference.generation import GenerationRequest, Tuning

WHERE = "generationConfig"
MOST_CHOICES = 8
MOST_STOPS = 5
SMALLEST, LARGEST = -(2**31), 2**31 - 1
"""What fits into a seed."""

NUMBERS = {
    "temperature": "temperature",
    "topP": "top_p",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}
INTEGERS = {"topK": "top_k", "seed": "seed"}
DROPPED = (
    "logit_bias",
    "verbosity",
    "service_tier",
    "user",
    "parallel_tool_calls",
)
"""Tuning that Google has no words for."""

MOST_THINKING = 24_576
"""The largest budget that every thinking model takes."""
BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": MOST_THINKING}
"""Efforts as budgets, which old and new models understand; only new ones know levels."""
STRONGEST = frozenset({"xhigh", "max"})

KNOWN = frozenset(
    {
        *NUMBERS,
        *INTEGERS,
        "candidateCount",
        "maxOutputTokens",
        "stopSequences",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "_responseJsonSchema",
        "responseModalities",
        "thinkingConfig",
        "responseLogprobs",
        "logprobs",
    }
)


@dataclass(frozen=True, slots=True)
class Config:
    """What a `generationConfig` says, in neutral words."""

    format: Format | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    choices: int = 1
    logprobs: int | None = None
    tuning: Tuning = field(default_factory=Tuning)
    unknown: tuple[str, ...] = ()


def read_config(value: object) -> Config:
    """Read it.

    Raises:
        Unreadable: it is not what Google documents.
        Unsupported: it asks for pictures or sound, or for one word of a list.
    """
    given = fields(value, WHERE)
    if any(str(each).upper() != "TEXT" for each in texts(given, "responseModalities", WHERE)):
        raise Unsupported("answers that are no text", f"{WHERE}.responseModalities")
    tuned: dict[str, Any] = {ours: number(given, name, WHERE) for name, ours in NUMBERS.items()}
    tuned |= {ours: integer(given, name, WHERE) for name, ours in INTEGERS.items()}
    tuned |= _thinking(given)
    return Config(
        format=_format(given),
        max_tokens=_positive(given, "maxOutputTokens"),
        stop=texts(given, "stopSequences", WHERE),
        choices=_positive(given, "candidateCount") or 1,
        logprobs=integer(given, "logprobs", WHERE) or 0 if given.get("responseLogprobs") else None,
        tuning=Tuning(**tuned),
        unknown=tuple(f"{WHERE}.{name}" for name in given if name not in KNOWN),
    )


def written_config(request: GenerationRequest) -> tuple[dict[str, Any], list[str]]:
    """Return what a request asks for as a `generationConfig`, and which tuning was left out.

    Raises:
        Unsupported: it wants more answers or stop sequences than Google gives.
    """
    if request.choices > MOST_CHOICES:
        raise Unsupported(f"more than {MOST_CHOICES} answers at once")
    if len(request.stop) > MOST_STOPS:
        raise Unsupported(f"more than {MOST_STOPS} stop sequences")
    tuning = request.tuning
    seed = tuning.seed
    fits = seed is None or SMALLEST <= seed <= LARGEST
    thinking, dropped = _written_thinking(tuning)
    dropped += [name for name in DROPPED if getattr(tuning, name) is not None]
    config = {
        "temperature": tuning.temperature,
        "topP": tuning.top_p,
        "topK": tuning.top_k,
        "candidateCount": request.choices if request.choices > 1 else None,
        "maxOutputTokens": request.max_tokens,
        "stopSequences": list(request.stop) or None,
        "seed": seed if fits else None,
        "presencePenalty": tuning.presence_penalty,
        "frequencyPenalty": tuning.frequency_penalty,
        "responseMimeType": None if request.format is None else "application/json",
        "responseJsonSchema": None if request.format is None else request.format.schema,
        "responseLogprobs": None if request.logprobs is None else True,
        "logprobs": request.logprobs or None,
        "thinkingConfig": thinking,
    }
    written = {name: value for name, value in config.items() if value is not None}
    return written, dropped if fits else [*dropped, "seed"]


def _positive(given: Fields, name: str) -> int | None:
    value = integer(given, name, WHERE)
    if value is not None and value < 1:
        message = f"`{WHERE}.{name}` must be at least 1"
        raise Unreadable(message, f"{WHERE}.{name}")
    return value


def _format(given: Fields) -> Format | None:
    kind = text(given, "responseMimeType", WHERE)
    schema = given.get("responseJsonSchema", given.get("_responseJsonSchema"))
    if schema is None:
        schema = json_schema(given.get("responseSchema"))
    if kind == "text/x.enum":
        raise Unsupported("answers of one word of a list", f"{WHERE}.responseMimeType")
    if schema is not None and not isinstance(schema, dict):
        message = f"`{WHERE}.responseSchema` must be a schema"
        raise Unreadable(message, f"{WHERE}.responseSchema")
    if kind in (None, "text/plain"):
        return None
    if kind != "application/json":
        message = f"`{WHERE}.responseMimeType` must be `text/plain` or `application/json`"
        raise Unreadable(message, f"{WHERE}.responseMimeType")
    return Format(schema)


def _thinking(given: Fields) -> dict[str, Any]:
    where = f"{WHERE}.thinkingConfig"
    config = fields(given.get("thinkingConfig", {}), where)
    budget = integer(config, "thinkingBudget", where)
    level = text(config, "thinkingLevel", where)
    if budget == 0:
        return {"effort": "none"}
    found: dict[str, Any] = {}
    if budget is not None and budget > 0:
        found["thinking_tokens"] = budget
    if level and level.upper() != "THINKING_LEVEL_UNSPECIFIED":
        found["effort"] = level.lower()
    return found


def _written_thinking(tuning: Tuning) -> tuple[dict[str, Any] | None, list[str]]:
    tokens, effort = tuning.thinking_tokens, tuning.effort
    if tokens is not None:
        # Who sets a budget wants to see what it is spent on; an effort is also set to save.
        written = {"thinkingBudget": min(tokens, MOST_THINKING), "includeThoughts": True}
        changed = [lowered("thinking_tokens", MOST_THINKING)] if tokens > MOST_THINKING else []
        return written, [*changed, *(["effort"] if effort is not None else [])]
    if effort is None:
        return None, []
    if effort in STRONGEST:
        return {"thinkingBudget": MOST_THINKING}, [reworded("effort", "high")]
    budget = BUDGETS.get(effort)
    return (None, ["effort"]) if budget is None else ({"thinkingBudget": budget}, [])
