"""What a new response is asked for: what its client sends, after all that an earlier response knew."""

import re
from typing import Any

import orjson
from pydantic import JsonValue
from starlette.requests import Request

from api.openai.responses.stored import PREFIX, StoredResponse, load_response, whole_response
from shared.dialects.responses.reading import INHERITED
from shared.errors import BadRequest, NotFound, TooLarge
from shared.jobs.transitions import FINAL, JobState

Body = dict[str, JsonValue]
OWN = "penstock"
_REFUSED = {
    "conversation": "`conversation` is not kept here: use `previous_response_id`.",
    "prompt": "`prompt` names a template that is stored elsewhere: send its `input` instead.",
}
# `msg_<answer>_0`: an item of ours tells where it stands.
_OUR_ITEM = re.compile(r"(?:msg|rs|fc|ig)_(?P<answer>[0-9a-z]+)_\d+")


async def continued(request: Request, tenant_id: str, body: Body) -> Body:
    """Return a request with the whole conversation in its `input`.

    Instructions are not carried over; the model hears those of the request alone.

    Raises:
        BadRequest: it names what is not kept here, or a response that has no answer.
        NotFound: the tenant has no such response.
        TooLarge: it would be longer with them than a request may be.
    """
    body = {name: value for name, value in body.items() if not name.startswith(OWN)}
    for name, detail in _REFUSED.items():
        if body.get(name) is not None:
            raise BadRequest(detail, param=name, code="unsupported_parameter")
    previous, given = body.get("previous_response_id"), body.get("input")
    room = _Room(request.state.resources.settings.max_body_bytes)
    if previous is not None and (given is None or isinstance(given, str | list)):
        before = await _before(request, tenant_id, previous)
        room.take(before)
        body = {**body, "input": [*before, *items_of(given)], INHERITED: len(before)}
    return await _resolved(request, tenant_id, body, room)


class _Room:
    """How much of what is stored may be said again: a name of a few bytes can stand for megabytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    def take(self, items: Any) -> int:
        """Count some items in; return how many bytes they have.

        Raises:
            TooLarge: the request would be longer with them than one may be.
        """
        return self.take_bytes(len(orjson.dumps(items)))

    def take_bytes(self, count: int) -> int:
        """Count bytes in, as `take` does."""
        self._taken += count
        if self._taken > self._most:
            detail = (
                f"With the earlier items that `input` refers to, the request is larger than"
                f" {self._most} bytes: leave some of them out."
            )
            raise TooLarge(
                detail, code="conversation_too_large", param="input", extra={"limit": self._most}
            )
        return count


def items_of(given: JsonValue) -> list[JsonValue]:
    """Return an input as a list of items."""
    if isinstance(given, list):
        return given
    content: list[JsonValue] = [{"type": "input_text", "text": given}]
    return [] if given is None else [{"type": "message", "role": "user", "content": content}]


async def _before(request: Request, tenant_id: str, previous: JsonValue) -> list[JsonValue]:
    param = "previous_response_id"
    if not isinstance(previous, str):
        detail = f"`{param}` must be the id of a response."
        raise BadRequest(detail, param=param)
    stored = await load_response(request, tenant_id, previous, param=param)
    _refuse_unfinished(stored, previous, param)
    whole = await whole_response(stored, request.state.resources)
    return [*items_of(stored.asked.get("input")), *whole["output"]]


def _refuse_unfinished(stored: StoredResponse, previous: str, param: str) -> None:
    if stored.completed:
        return
    state = JobState(stored.full.job["state"])
    detail = f"The response `{previous}` has no answer: its job is {state}."
    if state not in FINAL:
        detail += " Wait for its end first."
    raise BadRequest(detail, param=param, code="previous_response_not_completed")


async def _resolved(request: Request, tenant_id: str, body: Body, room: _Room) -> Body:
    given = body.get("input")
    if not isinstance(given, list) or not any(map(_referred_to, given)):
        return body
    known: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    items: list[JsonValue] = []
    for number, item in enumerate(given):
        identity = _referred_to(item)
        if identity is None:
            items.append(item)
            known.update(_by_id([item]))
            continue
        if identity not in known:
            known.update(await _stored_with(request, tenant_id, identity, room))
        found = _found(identity, known, f"input[{number}]")
        if identity in sizes:
            room.take_bytes(sizes[identity])
        else:
            sizes[identity] = room.take(found)
        items.append(found)
    return {**body, "input": items}


def _referred_to(item: JsonValue) -> str | None:
    identity = item.get("id") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(identity, str):
        return None
    # Some clients leave the type out: an item of one key can be nothing else.
    refers = item.get("type") == "item_reference" or item.keys() == {"id"}
    return identity if refers else None


async def _stored_with(
    request: Request, tenant_id: str, identity: str, room: _Room
) -> dict[str, Any]:
    """Return the items of the response that an item of ours stands in, nothing where there is none."""
    ours = _OUR_ITEM.fullmatch(identity)
    if ours is None:
        return {}
    try:
        stored = await load_response(request, tenant_id, PREFIX + ours["answer"])
        whole = await whole_response(stored, request.state.resources)
    except NotFound:
        return {}
    room.take(whole["output"])
    return _by_id(whole["output"])


def _found(identity: str, known: dict[str, Any], param: str) -> JsonValue:
    if identity not in known:
        detail = (
            f"`{param}` refers to the item `{identity[:64]}`, which is not kept here: send the item"
            " itself, or name the response in `previous_response_id`. (A client that refers to items"
            " by itself stops when it is told `store: false`.)"
        )
        raise BadRequest(detail, param=param, code="item_not_found")
    item: JsonValue = known[identity]
    return item


def _by_id(items: list[Any]) -> dict[str, Any]:
    named = [each for each in items if isinstance(each, dict)]
    return {each["id"]: each for each in named if isinstance(each.get("id"), str)}
