"""`/v1/responses/{id}`: get, follow again, cancel, delete, and what went into it."""

import asyncio
from contextlib import suppress
from typing import Any

import orjson
from redis import RedisError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from api.auth import principal
from api.cancelling import cancel_job
from api.direct.call import Call
from api.direct.disconnect import OnDisconnect
from api.direct.rate_limits import Limits
from api.direct.stream import AnswerStream
from api.job_replies import is_final, wait_and_load
from api.log_reader import LogReader
from api.openai.responses.conversation import items_of
from api.openai.responses.events import ResponseEvents
from api.openai.responses.stored import StoredResponse, load_response, whole_response
from api.pagination import whole_number
from shared.auth.permissions import Permission
from shared.errors import BadRequest, Conflict
from shared.events.deltas import channel_of
from shared.jobs import change_store
from shared.jobs.transitions import JobState
from shared.resources import Resources

CANCEL_S = 5.0
"""A running call is closed within moments; after that its caller has to look again."""
LAST_NUMBER = 1 << 31
MOST_ITEMS = 100
DEFAULT_ITEMS = 20
_TRUE = frozenset({"true", "1"})


async def get(request: Request) -> ASGIApp:
    """Return a response as it is now, or its events: all of them, or those behind a number."""
    who = await principal(request, Permission.JOBS_READ)
    stored = await _load(request, who.tenant_id)
    if request.query_params.get("stream", "").lower() in _TRUE:
        return await _follow(request, who.tenant_id, stored)
    return await _shown(request, stored)


async def cancel(request: Request) -> Response:
    """Cancel a response that runs in the background; one that has ended stays as it is."""
    who = await principal(request, Permission.JOBS_WRITE)
    stored = await _load(request, who.tenant_id)
    if not stored.in_background:
        detail = (
            "Only a response that was created with `background: true` can be cancelled: any other is"
            " cancelled by closing its connection."
        )
        raise BadRequest(detail, param="response_id", code="not_in_background")
    if not is_final(stored.full):
        stored = await _cancelled(request, who.tenant_id, stored)
    return await _shown(request, stored)


async def delete(request: Request) -> Response:
    """Remove all that is kept of a response, its input included; one that runs is cancelled first."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    stored = await _load(request, who.tenant_id)
    job_id = stored.full.job["id"]
    if stored.full.job["batch_id"] is not None:
        detail = "The response is a line of a batch: it is deleted with its batch."
        raise Conflict(detail, code="line_of_batch")
    if not is_final(stored.full):
        await _cancelled(request, who.tenant_id, stored)
    async with resources.database.transaction() as db:
        blobs = await change_store.erase(db, who.tenant_id, job_id)
    if blobs is None:
        detail = "The response is still being made: cancel it and wait for its end."
        raise Conflict(detail, code="not_finished", retry_after_s=1)
    for key in blobs:
        await resources.blobs.delete(key)
    with suppress(RedisError):
        await resources.redis.delete(channel_of(job_id))
    body = {"id": request.path_params["response_id"], "object": "response", "deleted": True}
    return _json(body)


async def input_items(request: Request) -> Response:
    """List what the model was given, the items of earlier responses included; newest first."""
    who = await principal(request, Permission.JOBS_READ)
    limit = _number(request, "limit", DEFAULT_ITEMS, most=MOST_ITEMS)
    order = request.query_params.get("order", "desc")
    if order not in {"asc", "desc"} or not limit:
        detail = f"`order` must be `asc` or `desc`, and `limit` a number from 1 to {MOST_ITEMS}."
        raise BadRequest(detail, param="order" if limit else "limit")
    stored = await _load(request, who.tenant_id)
    items = [_item(stored, n, each) for n, each in enumerate(items_of(stored.asked.get("input")))]
    if order == "desc":
        items.reverse()
    items = _behind(items, request.query_params.get("after"))
    page = items[:limit]
    body = {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(items) > limit,
    }
    return _json(body)


async def _load(request: Request, tenant_id: str) -> StoredResponse:
    return await load_response(request, tenant_id, request.path_params["response_id"])


async def _shown(request: Request, stored: StoredResponse) -> Response:
    return _json(await whole_response(stored, request.state.resources))


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


async def _cancelled(request: Request, tenant_id: str, stored: StoredResponse) -> StoredResponse:
    job_id = stored.full.job["id"]
    await cancel_job(request.state.resources, request.state.metrics, tenant_id, job_id)
    full = await wait_and_load(request, tenant_id, job_id, CANCEL_S, look_first=True)
    return StoredResponse(full, stored.asked)


async def _follow(request: Request, tenant_id: str, stored: StoredResponse) -> ASGIApp:
    after = _number(request, "starting_after", -1, most=LAST_NUMBER)
    resources: Resources = request.state.resources
    job = stored.full.job
    clock = asyncio.get_running_loop().time()
    call = Call(
        request=request,
        tenant_id=tenant_id,
        job=job,
        replayed=True,
        on_disconnect=OnDisconnect.CONTINUE,
        began=clock,
        deadline=clock + resources.settings.default_lifetime_s,
        read_timeout_s=None,
        limits=Limits(request.state.levels, resources.catalog, job["model"]),
    )
    floor = _floor(stored)
    only_end = after >= 0 and await _began_again(request, job["id"], floor)
    events = ResponseEvents(stored, after=after, only_end=only_end)
    return AnswerStream(call, events, at_once=True, floor=floor)


def _floor(stored: StoredResponse) -> int:
    """Return the number up to which the job's claims are void: what they said is no part of it."""
    version = int(stored.full.job["version"])
    if stored.full.job["state"] == JobState.RUNNING:
        return version - 1
    return version - 2 if stored.completed else version


async def _began_again(request: Request, job_id: str, floor: int) -> bool:
    log: LogReader = request.state.deltas
    try:
        first = await log.after(job_id, 0, 0, most=1)
    except RedisError:
        return False
    return bool(first) and first[0].version <= floor


def _number(request: Request, name: str, otherwise: int, *, most: int) -> int:
    text = request.query_params.get(name)
    number = otherwise if text is None else whole_number(text, most=most)
    if number is None:
        detail = f"`{name}` must be a whole number from 0 to {most}."
        raise BadRequest(detail, param=name)
    return number


def _item(stored: StoredResponse, number: int, item: Any) -> dict[str, Any]:
    shown = {name: value for name, value in item.items() if not name.startswith("penstock")}
    kind = str(shown.setdefault("type", "message"))
    if kind == "message":
        shown["content"] = _content(shown)
        shown.setdefault("status", "completed")
    identity = shown.pop("id", None) or f"{_PREFIXES.get(kind, 'item')}_{stored.head.id}_in{number}"
    return {"id": identity, **shown}


_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc"}


def _content(message: dict[str, Any]) -> Any:
    content = message.get("content")
    if not isinstance(content, str):
        return content
    if message.get("role") == "assistant":
        return [{"type": "output_text", "text": content, "annotations": []}]
    return [{"type": "input_text", "text": content}]


def _behind(items: list[dict[str, Any]], after: str | None) -> list[dict[str, Any]]:
    if after is None:
        return items
    for place, item in enumerate(items):
        if item["id"] == after:
            return items[place + 1 :]
    detail = "`after` must be the id of an item of this list."
    raise BadRequest(detail, param="after", code="invalid_cursor")


_ONE = "/v1/responses/{response_id}"
routes = [
    Route(_ONE, get, methods=["GET"]),
    Route(_ONE, delete, methods=["DELETE"]),
    Route(f"{_ONE}/cancel", cancel, methods=["POST"]),
    Route(f"{_ONE}/input_items", input_items, methods=["GET"]),
]
