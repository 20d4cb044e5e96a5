"""A request to the Responses API as its provider gets it: nothing of what we keep ourselves. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import JsonValue

from shared.dialects.responses.reading import INHERITED
from shared.dialects.responses.thoughts import is_ours
from shared.inference.request import InferenceRequest
from shared.providers.errors import BadRequest

OWN_KEYS = "penstock"
_KEPT_HERE = frozenset({"background", "previous_response_id", "stream", "store"})


def response_request(
    request: InferenceRequest, *, provider: str, drops: Collection[str], stream: bool
) -> dict[str, JsonValue]:
    """Return the body to send: the provider stores nothing, so it gets every item of the conversation.

    Raises:
        BadRequest: it names an earlier response whose items are not in it.
    """
    asked = request.body
    if asked.get("previous_response_id") is not None and INHERITED not in asked:
        message = (
            "`previous_response_id` is not understood in a line of a batch: send the items of the"
            " conversation in `input` instead"
        )
        raise BadRequest(message, provider=provider, sent=False)
    left_out = {*_KEPT_HERE, *drops, *(() if stream else ("stream_options",))}
    body = {
        name: value
        for name, value in asked.items()
        if name not in left_out and not name.startswith(OWN_KEYS)
    }
    body["model"] = request.model
    body["store"] = False
    given = body.get("input")
    if isinstance(given, list):
        body["input"] = _items(given)
    return {**body, "stream": True} if stream else body


def counting_request(
    request: InferenceRequest, *, provider: str, drops: Collection[str]
) -> dict[str, JsonValue]:
    """Return the body with which to ask how many tokens a request has."""
    body = response_request(request, provider=provider, drops=drops, stream=False)
    return {name: value for name, value in body.items() if name in _COUNTED}


_COUNTED = frozenset(
    {
        *("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning"),
        *("parallel_tool_calls", "truncation"),
    }
)


def _items(given: list[Any]) -> list[JsonValue]:
    kept = [each for each in given if not _is_foreign(each)]
    # A call that names itself is not taken without the thought that it came with.
    nameless = len(kept) < len(given)
    return [_item(each, nameless=nameless) for each in kept]


def _is_foreign(item: object) -> bool:
    return isinstance(item, Mapping) and item.get("type") == "reasoning" and is_ours(item)


def _item(item: Any, *, nameless: bool) -> JsonValue:
    if not isinstance(item, dict):
        told: JsonValue = item
        return told
    named = not nameless or item.get("type") == "item_reference"
    return {
        name: value
        for name, value in item.items()
        if not name.startswith(OWN_KEYS) and (named or name != "id")
    }
