"""Tokens as OpenAI and those who follow it report them, read and written; pure."""

from collections.abc import Mapping
from typing import Any

from shared.inference.usage import Usage

MOST_TOKENS = 2_000_000_000


def read_usage(body: Mapping[str, Any]) -> Usage | None:
    """Read the usage of an answer or a chunk; None if there is none to trust."""
    said = body.get("usage")
    if not isinstance(said, dict):
        # Groq's streams carry it here.
        groq = body.get("x_groq")
        said = groq.get("usage") if isinstance(groq, dict) else None
    if not isinstance(said, dict):
        return None
    inputs, total = _count(said, "prompt_tokens"), _count(said, "total_tokens")
    outputs = _count(said, "completion_tokens")
    if inputs is None or (outputs is None and total is None):
        return None
    # Some vendors leave reasoning out of the completion but not out of the total.
    outputs = max(outputs or 0, (total or 0) - inputs)
    # DeepSeek's name for what was in its cache.
    cached = _detail(said, "prompt", "cached_tokens") or _count(said, "prompt_cache_hit_tokens")
    cached = min(cached or 0, inputs)
    written = min(_detail(said, "prompt", "cache_write_tokens") or 0, inputs - cached)
    thought = min(_detail(said, "completion", "reasoning_tokens") or 0, outputs)
    return Usage(inputs, outputs, cached, written, thought)


def write_usage(usage: Usage) -> dict[str, Any]:
    """Write a usage."""
    prompt = {"cached_tokens": usage.cached_tokens}
    if usage.cache_write_tokens:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _count(said: Mapping[str, Any], name: str) -> int | None:
    value = said.get(name)
    # What a provider reports is not ours to trust: nonsense must not overflow the books.
    right = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if right and isinstance(value, int) else None


def _detail(said: Mapping[str, Any], side: str, name: str) -> int | None:
    details = said.get(f"{side}_tokens_details")
    return _count(details, name) if isinstance(details, dict) else None
