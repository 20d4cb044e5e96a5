"""The sandbox on a long document: it settles what its parts disagree on, and mends the whole. Pure."""

from collections.abc import Mapping

import orjson
from pydantic import JsonValue

from shared.providers.sandbox_answers import answer


def reply(schema: Mapping[str, JsonValue], text: str) -> JsonValue:
    """Return the first candidate of each value, or the value without its gaps; None for other texts."""
    try:
        if found := between(text, "<candidates>\n", "\n</candidates>"):
            return {each["name"]: each["candidates"][0]["value"] for each in orjson.loads(found)}
        if found := between(text, "<value>\n", "\n</value>"):
            return _filled(orjson.loads(found), answer(schema, "-"))
    except (ValueError, TypeError, LookupError):
        pass  # it only looked like ours
    return None


def between(text: str, opening: str, closing: str) -> str | None:
    """Return what stands between two marks; once through the text, however many there are."""
    begin = text.find(opening)
    end = text.find(closing, begin + len(opening)) if begin >= 0 else -1
    return None if end < 0 else text[begin + len(opening) : end]


def _filled(value: JsonValue, empty: JsonValue) -> JsonValue:
    if value is None:
        return empty
    if isinstance(value, dict) and isinstance(empty, dict):
        return {**empty, **{name: _filled(each, empty.get(name)) for name, each in value.items()}}
    return value
