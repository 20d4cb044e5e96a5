"""Whether a success holds an answer, and what it used; pure, on decoded JSON."""

from collections.abc import Callable, Mapping

import orjson
from pydantic import JsonValue

from shared.dialects.chat.usage import MOST_TOKENS, read_usage
from shared.inference.dialect import Dialect
from shared.inference.usage import Usage
from shared.providers.errors import Malformed, Unavailable
from shared.providers.failures import from_error_object, malformed

WITH_CHOICES = frozenset({Dialect.CHAT, Dialect.COMPLETIONS})


def check(dialect: Dialect, raw: bytes, *, provider: str) -> Usage | None:
    """Return what a whole answer used, or None if it does not say.

    Raises:
        ProviderError: it is no JSON object, holds an error, or holds no answer.
    """
    try:
        value: JsonValue = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise malformed("sent no JSON", raw, provider=provider) from error
    if not isinstance(value, dict):
        raise malformed("sent no JSON object", raw, provider=provider)
    usage = usage_of(value)
    if value.get("error"):
        raise from_error_object(value, provider=provider, raw=raw, otherwise=Malformed, usage=usage)
    wrong = _WRONG.get(dialect, _wrong_embeddings)(value)
    if wrong is not None:
        raise malformed(wrong, raw, provider=provider, usage=usage)
    if dialect in WITH_CHOICES and (failure := choice_error(value)) is not None:
        raise from_error_object(
            failure, provider=provider, raw=raw, otherwise=Unavailable, usage=usage
        )
    return usage


def usage_of(value: Mapping[str, JsonValue]) -> Usage | None:
    """Read the usage of an answer or a chunk; None if there is none to trust."""
    said = value.get("usage")
    if isinstance(said, dict) and "input_tokens" in said:
        return _usage_of_response(said)
    return read_usage(value)


def choice_error(value: Mapping[str, JsonValue]) -> JsonValue:
    """Return the error that a choice carries instead of an end, as OpenRouter sends it."""
    choices = value.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict) and choice.get("error"):
            return choice["error"]
    return None


def _wrong_chat(value: Mapping[str, JsonValue]) -> str | None:
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices:
        return "sent no choices"
    if any(not isinstance(choice, dict) for choice in choices):
        return "sent choices that are no objects"
    return None


def _wrong_response(value: Mapping[str, JsonValue]) -> str | None:
    if not isinstance(value.get("output"), list):
        return "sent no output"
    if value.get("status") not in _ENDED:
        return "sent a response that has not come to its end"
    return None


def _wrong_embeddings(value: Mapping[str, JsonValue]) -> str | None:
    data = value.get("data")
    if not isinstance(data, list) or not data:
        return "sent no embeddings"
    if any(not isinstance(one, dict) or "embedding" not in one for one in data):
        return "sent embeddings without an `embedding`"
    return None


_WRONG: Mapping[Dialect, Callable[[Mapping[str, JsonValue]], str | None]] = {
    Dialect.CHAT: _wrong_chat,
    Dialect.COMPLETIONS: _wrong_chat,
    Dialect.RESPONSES: _wrong_response,
}
# Some servers leave the status out.
_ENDED = frozenset({"completed", "incomplete", None})


def _usage_of_response(said: Mapping[str, JsonValue]) -> Usage | None:
    inputs, outputs = _count(said, "input_tokens"), _count(said, "output_tokens")
    if inputs is None or outputs is None:
        return None
    read, thought = said.get("input_tokens_details"), said.get("output_tokens_details")
    return Usage(
        inputs,
        outputs,
        min(_detail(read, "cached_tokens"), inputs),
        min(_detail(read, "cache_write_tokens"), inputs),
        min(_detail(thought, "reasoning_tokens"), outputs),
    )


def _detail(details: JsonValue, name: str) -> int:
    return (_count(details, name) if isinstance(details, dict) else None) or 0


def _count(said: Mapping[str, JsonValue], name: str) -> int | None:
    value = said.get(name)
    # What a provider reports is not ours to trust: nonsense must not overflow the books.
    right = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if right and isinstance(value, int) else None
