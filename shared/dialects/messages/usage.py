"""What a call used, as Anthropic counts it and as we do. Pure."""

from collections.abc import Mapping
from typing import Any

from shared.inference.usage import Usage

MOST_TOKENS = 2_000_000_000


def read_usage(value: object) -> Usage | None:
    """Read a `usage`, None where there is none to trust.

    Anthropic counts what was read from and written to its cache apart from `input_tokens`.
    """
    if not isinstance(value, Mapping):
        return None
    fresh, outputs = _count(value, "input_tokens"), _count(value, "output_tokens")
    if fresh is None or outputs is None:
        return None
    cached = _count(value, "cache_read_input_tokens") or 0
    stored = _count(value, "cache_creation_input_tokens") or 0
    details = value.get("output_tokens_details")
    thought = _count(details, "thinking_tokens") if isinstance(details, Mapping) else None
    return Usage(fresh + cached + stored, outputs, cached, stored, min(thought or 0, outputs))


def write_usage(usage: Usage | None) -> dict[str, Any]:
    """Write a `usage`; all are zeros where nothing is known, since clients need one."""
    usage = usage or Usage(0, 0)
    apart = usage.cached_tokens + usage.cache_write_tokens
    written: dict[str, Any] = {
        "input_tokens": max(0, usage.input_tokens - apart),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return written


def merged(known: Mapping[str, Any], newer: object) -> dict[str, Any]:
    """Return a stream's usage so far: its figures are totals, and one left out or null still stands."""
    told = newer if isinstance(newer, Mapping) else {}
    return {**known, **{name: value for name, value in told.items() if value is not None}}


def _count(value: Mapping[str, Any], name: str) -> int | None:
    said = value.get(name)
    # What a provider reports is not ours to trust: nonsense must not overflow the books.
    right = isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= MOST_TOKENS
    return said if right else None
