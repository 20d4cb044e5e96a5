"""Whether a success of Anthropic's holds an answer, and what it used; pure, on decoded JSON."""

import orjson
from pydantic import JsonValue

from shared.dialects.messages.usage import read_usage
from shared.inference.usage import Usage
from shared.providers.errors import Malformed
from shared.providers.failures import from_error_object, malformed


def check(raw: bytes, *, provider: str) -> Usage | None:
    """Return what a whole message used, or None if it does not say.

    Raises:
        ProviderError: it is no JSON object, holds an error, or holds no message.
    """
    value = decoded(raw, provider=provider, what="sent")
    usage = read_usage(value.get("usage"))
    if value.get("type") == "error" or value.get("error"):
        raise from_error_object(value, provider=provider, raw=raw, otherwise=Malformed, usage=usage)
    content = value.get("content")
    # An empty list is an answer: after a tool's result there may be nothing to say.
    if not isinstance(content, list):
        raise malformed("sent no content", raw, provider=provider, usage=usage)
    if any(not isinstance(block, dict) for block in content):
        raise malformed("sent content that is no objects", raw, provider=provider, usage=usage)
    return usage


def count_of(raw: bytes, *, provider: str) -> int:
    """Return the count in an answer to a request that was only to be counted.

    Raises:
        ProviderError: it is no JSON object, holds an error, or no count.
    """
    value = decoded(raw, provider=provider, what="sent")
    if value.get("error"):
        raise from_error_object(value, provider=provider, raw=raw, otherwise=Malformed)
    counted = value.get("input_tokens")
    if not isinstance(counted, int) or isinstance(counted, bool) or counted < 0:
        raise malformed("sent no count", raw, provider=provider)
    return counted


def decoded(raw: bytes, *, provider: str, what: str) -> dict[str, JsonValue]:
    """Return a JSON object.

    Raises:
        Malformed: it is none; `what` says what the provider did with it.
    """
    try:
        value: JsonValue = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise malformed(f"{what} no JSON", raw, provider=provider) from error
    if not isinstance(value, dict):
        raise malformed(f"{what} no JSON object", raw, provider=provider)
    return value
