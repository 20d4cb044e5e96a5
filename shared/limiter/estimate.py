"""What a call will take, guessed from its body before it is sent. Pure.

The guess must not be too low: a reservation that is too large is refunded a moment later, one that
is too small overruns the provider's limit. So three bytes of UTF-8 count as a token: for English
that is a third above the truth, and it still covers scripts with several bytes a letter.
"""

from collections.abc import Mapping

import orjson
from pydantic import JsonValue

from shared.limiter.buckets import Cost, Lane

BYTES_A_TOKEN = 3
IMAGE_TOKENS = 1_500  # about what the dearest common rule charges for one full-size image
READ_BY_MODEL = ("tools", "functions", "response_format", "prompt")
IMAGES = ("image_url", "input_image")


def estimate(body: Mapping[str, JsonValue], *, default_output_tokens: int) -> Cost:
    """Guess the cost of an OpenAI-dialect chat or embeddings body, as orjson read it.

    Input is everything that the model reads: messages, tools, schema. Output is the body's own
    ceiling (`max_completion_tokens` or `max_tokens`), else the default, for each of `n` choices;
    an embedding has none. Values of a wrong type count as absent: refusing them is not done here.
    """
    if "messages" not in body and "input" in body:
        return Cost(1, max(_embedded_tokens(body["input"]), 1), 0)
    tokens = sum(_spelled_tokens(body[key]) for key in READ_BY_MODEL if body.get(key))
    tokens += _message_tokens(body.get("messages"))
    ceiling = _positive(body.get("max_completion_tokens")) or _positive(body.get("max_tokens"))
    choices = _positive(body.get("n")) or 1
    return Cost(1, max(tokens, 1), (ceiling or default_output_tokens) * choices)


def never_fits(lane: Lane, cost: Cost) -> str | None:
    """Name the unit of the bucket that could not hold this cost even when full, or return None."""
    for bucket in lane.buckets:
        if cost.of(bucket.unit) > bucket.capacity:
            return bucket.unit
    return None


def _spelled_tokens(value: JsonValue) -> int:
    return -(-len(orjson.dumps(value)) // BYTES_A_TOKEN)


def _message_tokens(messages: JsonValue) -> int:
    if not isinstance(messages, list):
        return 0
    # A picture's price has nothing to do with the length of its URL or of its base64.
    images, texts = 0, list[JsonValue]()
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(message, dict) and isinstance(content, list):
            kept = [part for part in content if not _is_image(part)]
            images += len(content) - len(kept)
            texts.append({**message, "content": kept})
        else:
            texts.append(message)
    return images * IMAGE_TOKENS + _spelled_tokens(texts)


def _is_image(part: JsonValue) -> bool:
    return isinstance(part, dict) and part.get("type") in IMAGES


def _embedded_tokens(value: JsonValue) -> int:
    """Count tokens that are given as numbers; guess those of texts."""
    if isinstance(value, list):
        return sum(1 if isinstance(item, int) else _embedded_tokens(item) for item in value)
    return _spelled_tokens(value)


def _positive(value: JsonValue) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return max(value, 0)
    return 0
