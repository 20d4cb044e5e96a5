"""From the requests of a Google batch to our lines: each is numbered, and its fields are where they belong."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from api.batches.given import parse_element
from shared.batches.lines import LineError
from shared.errors import BadRequest
from shared.jobs.endpoints import Endpoint

MODELS = "models/"
OF_REQUEST = frozenset(
    {"systemInstruction", "safetySettings", "tools", "toolConfig", "cachedContent"}
)
"""What google-genai 1.30 writes beside the request and not into it."""
_KNOWN = frozenset({"request", "metadata"}) | OF_REQUEST


def line_of(model: str, element: bytes, number: int) -> bytes:
    """Return a request as a line of ours; `model` is that of all which name none.

    Raises:
        BadRequest: it has fields that no request has.
    """
    given = parse_element(element, number)
    if not isinstance(given, dict):
        return element
    _refuse_unknown(given, f"requests.{number - 1}")
    line = {"custom_id": str(number), "method": "POST", "url": Endpoint.GEMINI}
    if given.get("metadata"):
        line["metadata"] = given["metadata"]
    asked = given.get("request")
    if isinstance(asked, dict):
        asked = _body(model, {**{each: given[each] for each in OF_REQUEST & given.keys()}, **asked})
    return orjson.dumps({**line, "body": asked})


def as_googles(error: LineError) -> LineError:
    """Return what is wrong with a line in the words of who sent it: its body is called `request`."""
    param = error.param and re.sub(r"^body\b", "request", error.param)
    return replace(error, message=re.sub(r"`body\b", "`request", error.message), param=param)


def _body(model: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    named = asked.get("model")
    own = named.removeprefix(MODELS) if isinstance(named, str) else named
    body = {name: value for name, value in asked.items() if name != "stream"}
    return {**body, "model": model if own is None else own}


def _refuse_unknown(given: Mapping[str, Any], at: str) -> None:
    if unknown := sorted(given.keys() - _KNOWN):
        where = f"{at}.{unknown[0][:64]}"
        detail = f"`{where}` is not known here: what is asked for stands in `{at}.request`."
        raise BadRequest(detail, param=where, code="invalid_field")
