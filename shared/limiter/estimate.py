"""What a call will take, guessed from its body before it is sent. Pure.

The guess must not be too low: a reservation that is too large is refunded a moment later, one that
is too small overruns the provider's limit. So three bytes of UTF-8 count as a token: for English
that is a third above the truth, and it still covers scripts with several bytes a letter.
"""

from collections.abc import Iterable, Mapping

import orjson
from pydantic import JsonValue

from shared.inference.dialect import Operation
from shared.limiter.buckets import Cost, Lane

BYTES_A_TOKEN = 3
MEDIA_TOKENS = 1_500  # about what the dearest common rule charges for one full-size image
READ_BY_MODEL = (
    *("tools", "functions", "response_format", "prompt", "suffix"),  # OpenAI, also below
    *("instructions", "text"),
    *("system", "output_config"),  # Anthropic
    *("systemInstruction", "system_instruction", "generateContentRequest"),  # Google
)
TURNS = ("messages", "input", "contents")
"""Where a conversation stands: a text, or a list of turns with their parts."""
EMBEDDED = ("input", "content", "requests")
MEDIA_TYPES = frozenset(
    {"image_url", "input_image", "input_audio", "file", "input_file", "image", "document"}
)
MEDIA_KEYS = ("inlineData", "inline_data", "fileData", "file_data")
CEILINGS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
CEILINGS_OF_GOOGLE = ("maxOutputTokens", "max_output_tokens")


def estimate(
    body: Mapping[str, JsonValue],
    *,
    default_output_tokens: int,
    operation: Operation = Operation.GENERATE,
) -> Cost:
    """Guess the cost of a body in any dialect, as orjson read it.

    Input is everything that the model reads: turns, tools, schema. Output is the body's own
    ceiling, else the default, for each of the choices; an embedding and a count have none.
    Values of a wrong type count as absent: refusing them is not done here.
    """
    # Asked for every call: of what is there, not of all that may be.
    given = [key for key, value in body.items() if value]
    if operation is Operation.EMBED:
        tokens = sum([_embedded_tokens(body[key]) for key in given if key in EMBEDDED])
        return Cost(1, max(tokens, 1), 0)
    tokens = sum([_spelled_tokens(body[key]) for key in given if key in READ_BY_MODEL])
    tokens += sum([_turn_tokens(body[key]) for key in given if key in TURNS])
    if operation is Operation.COUNT:
        return Cost(1, max(tokens, 1), 0)
    return Cost(1, max(tokens, 1), _output_tokens(body, default_output_tokens))


def never_fits(lane: Lane, cost: Cost) -> str | None:
    """Name the unit of the bucket that could not hold this cost even when full, or return None."""
    for bucket in lane.buckets:
        if cost.of(bucket.unit) > bucket.capacity:
            return bucket.unit
    return None


def _spelled_tokens(value: JsonValue) -> int:
    return -(-len(orjson.dumps(value)) // BYTES_A_TOKEN)


def _turn_tokens(turns: JsonValue) -> int:
    if not isinstance(turns, list):
        return _spelled_tokens(turns)
    media, texts = 0, list[JsonValue]()
    for turn in turns:
        text, found = _without_media(turn)
        texts.append(text)
        media += found
    return media * MEDIA_TOKENS + _spelled_tokens(texts)


def _without_media(turn: JsonValue) -> tuple[JsonValue, int]:
    """Return a turn without its pictures: their price has nothing to do with the length of their bytes."""
    name = "parts" if isinstance(turn, dict) and "parts" in turn else "content"
    parts = turn.get(name) if isinstance(turn, dict) else None
    if not isinstance(turn, dict) or not isinstance(parts, list):
        return turn, 0
    kept, media = list[JsonValue](), 0
    for part in parts:
        if is_media(part):
            media += 1
        else:
            # What a tool answered has parts of its own.
            inner, found = _without_media(part)
            kept.append(inner)
            media += found
    return {**turn, name: kept}, media


def is_media(part: object) -> bool:
    """Tell whether a part is a picture, a sound or a file, in whatever dialect."""
    if not isinstance(part, dict):
        return False
    kind = part.get("type")
    is_one = isinstance(kind, str) and kind in MEDIA_TYPES
    return is_one or any(key in part for key in MEDIA_KEYS)


def _output_tokens(body: Mapping[str, JsonValue], default: int) -> int:
    config = body.get("generationConfig") or body.get("generation_config")
    of_google = config if isinstance(config, dict) else {}
    ceiling = _first(body, CEILINGS) or _first(of_google, CEILINGS_OF_GOOGLE) or default
    return ceiling * (_positive(body.get("n")) or _positive(of_google.get("candidateCount")) or 1)


def _first(body: Mapping[str, JsonValue], names: Iterable[str]) -> int:
    for name in names:
        if name in body and (value := _positive(body[name])):
            return value
    return 0


def _embedded_tokens(value: JsonValue) -> int:
    """Count tokens that are given as numbers; guess those of texts."""
    if isinstance(value, list):
        return sum(1 if isinstance(item, int) else _embedded_tokens(item) for item in value)
    return _spelled_tokens(value)


def _positive(value: JsonValue) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return max(value, 0)
    return 0
