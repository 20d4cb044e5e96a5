"""The sandbox on a long document: it settles what its parts disagree on, and mends the whole. Pure."""

import re
from collections.abc import Mapping

import orjson
from pydantic import JsonValue

from shared.providers.sandbox_answers import answer

CANDIDATES = re.compile(r"<candidates>\n(.*?)\n</candidates>", re.DOTALL)
VALUE = re.compile(r"<value>\n(.*?)\n</value>", re.DOTALL)


def reply(schema: Mapping[str, JsonValue], text: str) -> JsonValue:
    """Return the first candidate of each value, or the value without its gaps; None for other texts."""
    try:
        if found := CANDIDATES.search(text):
            return {each["name"]: each["candidates"][0]["value"] for each in orjson.loads(found[1])}
        if found := VALUE.search(text):
            return _filled(orjson.loads(found[1]), answer(schema, "-"))
    except (ValueError, TypeError, LookupError):
        pass  # it only looked like ours
    return None


def _filled(value: JsonValue, empty: JsonValue) -> JsonValue:
    if value is None:
        return empty
    if isinstance(value, dict) and isinstance(empty, dict):
        return {**empty, **{name: _filled(each, empty.get(name)) for name, each in value.items()}}
    return value
