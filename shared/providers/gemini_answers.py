"""Whether a success of Google's holds an answer, and what it used; pure, on decoded JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import JsonValue

from shared.dialects.gemini.usage import MOST_TOKENS, read_usage
from shared.inference.dialect import Dialect
from shared.inference.usage import Usage
from shared.providers.errors import ContentFiltered, Malformed, ProviderError
from shared.providers.failures import from_error_object, malformed

BROKEN = frozenset({"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"})
"""Ends of candidates that the model failed to write: without anything in them they are no answers."""


def check_answer(dialect: Dialect, raw: bytes, *, provider: str) -> Usage | None:
    """Return what a whole answer used, or None if it does not say.

    Raises:
        ProviderError: it is no JSON object, holds an error, a blocked prompt, or no answer.
    """
    value = read_object(raw, provider=provider, otherwise=Malformed)
    usage = read_usage(value)
    if dialect is not Dialect.GEMINI:
        wrong = _wrong_embeddings(dialect, value)
    else:
        wrong = wrong_candidates(value)
        if wrong is not None and (blocked := blocked_prompt(value, raw, provider=provider)):
            raise blocked
    if wrong is not None:
        raise malformed(wrong, raw, provider=provider, usage=usage)
    return usage


def read_count(raw: bytes, *, provider: str) -> int:
    """Return the tokens that were counted.

    Raises:
        ProviderError: none were.
    """
    value = read_object(raw, provider=provider, otherwise=Malformed)
    # One that counts nothing leaves it out, as Google's JSON does with every zero.
    total = value.get("totalTokens", 0)
    if not isinstance(total, int) or isinstance(total, bool) or not 0 <= total <= MOST_TOKENS:
        raise malformed("sent no count of tokens", raw, provider=provider)
    return total


def read_object(
    raw: bytes, *, provider: str, otherwise: type[ProviderError], what: str = "sent"
) -> dict[str, Any]:
    """Return an answer or a chunk decoded; an error that says no status is `otherwise`.

    Raises:
        ProviderError: it is no JSON object, or an error.
    """
    try:
        value: JsonValue = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise malformed(f"{what} no JSON", raw, provider=provider) from error
    if isinstance(value, list) and value and isinstance(value[0], dict) and value[0].get("error"):
        # Its streams without events are lists, and so are their errors.
        value = value[0]
    if not isinstance(value, dict):
        raise malformed(f"{what} no JSON object", raw, provider=provider)
    if value.get("error"):
        raise from_error_object(
            value, provider=provider, raw=raw, otherwise=otherwise, usage=read_usage(value)
        )
    return value


def blocked_prompt(
    value: Mapping[str, Any], raw: bytes, *, provider: str
) -> ContentFiltered | None:
    """Return the failure that a blocked prompt is, None where it was not blocked."""
    feedback = value.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if not isinstance(feedback, dict) or not reason:
        return None
    said = feedback.get("blockReasonMessage")
    message = f"{provider} blocked the prompt: {reason}{f' ({said})' if said else ''}"
    usage = read_usage(value)
    return ContentFiltered(message, provider=provider, status=200, usage=usage, body=raw)


def wrong_candidates(value: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the candidates of a whole answer, None if nothing is."""
    candidates = value.get("candidates")
    if not isinstance(candidates, list) or not candidates:
        return "sent no candidates"
    if any(not isinstance(candidate, dict) for candidate in candidates):
        return "sent candidates that are no objects"
    broken = next((one for one in candidates if is_broken(one, parts_of(one))), None)
    return None if broken is None else f"sent an answer that is {broken['finishReason']}"


def is_broken(candidate: Mapping[str, Any], parts: Sequence[Any]) -> bool:
    """Tell whether a candidate ended as one that its model could not write, with nothing in it."""
    return candidate.get("finishReason") in BROKEN and not parts


def parts_of(candidate: Mapping[str, Any]) -> Sequence[Any]:
    """Return a candidate's parts, none where it has none."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return parts if isinstance(parts, list) else ()


def _wrong_embeddings(dialect: Dialect, value: Mapping[str, Any]) -> str | None:
    one = dialect is Dialect.GEMINI_EMBEDDING
    found = [value.get("embedding")] if one else value.get("embeddings")
    if not isinstance(found, list) or not found or found == [None]:
        return "sent no embeddings"
    if any(
        not isinstance(each, dict) or not isinstance(each.get("values"), list) for each in found
    ):
        return "sent embeddings without `values`"
    return None
