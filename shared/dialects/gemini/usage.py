"""Google's `usageMetadata`, both ways. Pure."""

from collections.abc import Mapping
from typing import Any

from shared.inference.usage import Usage

MOST_TOKENS = 2_000_000_000


def read_usage(answer: Mapping[str, Any]) -> Usage | None:
    """Return what an answer or a chunk of a stream says was used; None if there is nothing to trust.

    Google counts thoughts apart from the answer, and what its own tools read apart from the prompt.
    """
    said = answer.get("usageMetadata")
    if not isinstance(said, dict):
        return None
    prompt, total = _count(said, "promptTokenCount"), _count(said, "totalTokenCount")
    if prompt is None:
        return None
    inputs = prompt + (_count(said, "toolUsePromptTokenCount") or 0)
    thoughts = _count(said, "thoughtsTokenCount") or 0
    outputs = (_count(said, "candidatesTokenCount") or 0) + thoughts
    # A provider that leaves something out of its parts has it in the sum.
    outputs = max(outputs, (total or 0) - inputs)
    cached = min(_count(said, "cachedContentTokenCount") or 0, inputs)
    return Usage(inputs, outputs, cached, reasoning_tokens=thoughts)


def written_usage(usage: Usage) -> dict[str, int]:
    """Return a usage as `usageMetadata`."""
    written = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens:
        written["cachedContentTokenCount"] = usage.cached_tokens
    if usage.reasoning_tokens:
        written["thoughtsTokenCount"] = usage.reasoning_tokens
    return written


def _count(said: Mapping[str, Any], name: str) -> int | None:
    value = said.get(name)
    # What a provider reports is not ours to trust: nonsense must not overflow the books.
    right = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if right else None
