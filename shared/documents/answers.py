"""A model's answer, which ought to be JSON, to a value."""

import re

import json_repair
import orjson
from pydantic import JsonValue

MAX_REPAIR_CHARS = 200_000
MAX_REPAIR_DEPTH = 64
FENCE = "```"


class AnswerError(ValueError):
    """The answer is not JSON and cannot be made into it; the message says why."""


def parse_answer(text: str) -> tuple[JsonValue, bool]:
    """Return the value in `text`, and whether it had to be repaired.

    A code fence around good JSON is no repair. Repairs (fences within prose, quotes, commas, a
    cut-off end) may guess wrong, so the value must be validated again. Raises AnswerError.
    """
    for candidate in (text, _fenced(text)):
        try:
            if candidate is not None:
                return orjson.loads(candidate), False
        except orjson.JSONDecodeError:
            continue
    return _repaired(text), True


def _fenced(text: str) -> str | None:
    """Return what stands in a code fence around everything; in one go, whatever a model repeats."""
    head, _, rest = text.strip().partition("\n")
    named = head.removeprefix(FENCE).strip()
    is_fence = head.startswith(FENCE) and (not named or (named.isascii() and named.isalpha()))
    return rest.removesuffix(FENCE) if is_fence and rest.endswith(FENCE) else None


def _repaired(text: str) -> JsonValue:
    start = re.search(r"[{\[]", text)
    if start is None:
        raise AnswerError("The answer holds no JSON.")
    if len(text) > MAX_REPAIR_CHARS:
        raise AnswerError(f"The answer is not JSON and too long to repair ({len(text):,}).")
    if _nesting(text) > MAX_REPAIR_DEPTH:
        raise AnswerError("The answer is not JSON and nested too deep to repair.")
    try:
        value = json_repair.loads(text[start.start() :])
        # Round trip: what JSON cannot hold (NaN, half surrogates) must not get past this point.
        clean: JsonValue = orjson.loads(orjson.dumps(value))
    except (RecursionError, ValueError, TypeError) as error:
        raise AnswerError("The answer is not JSON and could not be repaired.") from error
    return _single(clean, start[0])


def _single(value: JsonValue, opening: str) -> JsonValue:
    """Refuse several values in a row, which the repair returns as one list."""
    if opening == "{" and not isinstance(value, dict):
        raise AnswerError("The answer holds more than one JSON value.")
    if not isinstance(value, dict | list):
        raise AnswerError("The answer holds no JSON object.")
    return value


def _nesting(text: str) -> int:
    """Return how deep brackets open, quotes ignored: too many rather than too few."""
    depth = deepest = 0
    for bracket in re.finditer(r"[{}\[\]]", text):
        depth += 1 if bracket[0] in "{[" else -1
        depth = max(depth, 0)
        deepest = max(deepest, depth)
    return deepest
