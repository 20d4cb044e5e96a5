"""Google's `logprobsResult` as OpenAI's `{"content": […]}`, and back. Pure."""

from collections.abc import Mapping
from typing import Any

from shared.dialects.gemini.fields import Fields


def read_logprobs(candidate: Fields) -> dict[str, Any] | None:
    """Return the log probabilities of a candidate; None where there are none."""
    result = candidate.get("logprobsResult")
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(chosen, list):
        return None
    tops = result.get("topCandidates") or []
    content = []
    for place, one in enumerate(chosen):
        others = tops[place].get("candidates") or [] if place < len(tops) else []
        content.append({**_read(one), "top_logprobs": [_read(other) for other in others]})
    return {"content": content}


def written_logprobs(logprobs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return log probabilities as Google's; None where there are none."""
    content = (logprobs or {}).get("content")
    if not isinstance(content, list):
        return None
    return {
        "chosenCandidates": [_written(one) for one in content],
        "topCandidates": [
            {"candidates": [_written(other) for other in one.get("top_logprobs") or []]}
            for one in content
        ],
    }


def _read(one: Mapping[str, Any]) -> dict[str, Any]:
    token, logprob = one.get("token", ""), one.get("logProbability", 0.0)
    return {"token": token, "logprob": logprob, "bytes": None}


def _written(one: Mapping[str, Any]) -> dict[str, Any]:
    return {"token": one.get("token", ""), "logProbability": one.get("logprob", 0.0)}
