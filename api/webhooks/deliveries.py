"""`/v1/webhook_deliveries`: what was sent to whom and what came of it, and sending it again."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.body import read_model
from api.pagination import Position, find_page, list_page, moment_of
from api.webhooks.endpoints import find_endpoint, no_such_endpoint
from api.webhooks.request import MAX_BODY_BYTES, EndpointRecover
from api.webhooks.view import public_delivery, whole_delivery
from shared.auth.permissions import Permission
from shared.clock import from_datetime, now_ms
from shared.database import Row
from shared.errors import BadRequest, Conflict, NotFound
from shared.events.event import EventType
from shared.resources import Resources
from shared.webhooks import replay_store, store
from shared.webhooks.waking import wake

ACCEPTED = 202
OLDEST_RECOVERED_MS = 14 * 24 * 3600 * 1000
MOST_RECOVERED = 10_000
FILTERS = {
    "webhook_endpoint_id": None,
    "job_id": None,
    "batch_id": None,
    "state": replay_store.STATES,
    "event_type": tuple(EventType),
}
"""The filters of the list, and what they may be, None for any text."""
_PAGE = {"after", "limit", "order"}


async def index(request: Request) -> Response:
    """List deliveries, newest first, without their bodies."""
    who = await principal(request, Permission.WEBHOOKS_READ)
    filters = _read_filters(request)
    async with request.state.resources.database.reading() as db:

        async def find(delivery_id: str) -> Position | None:
            row = await replay_store.get(db, who.tenant_id, delivery_id)
            return None if row is None else (row["created_at"], row["id"])

        page = await find_page(request, find)
        rows = await replay_store.page(
            db,
            who.tenant_id,
            filters,
            after=page.after,
            ascending=page.ascending,
            limit=page.limit + 1,
        )
    shown = [public_delivery(row) for row in rows[: page.limit]]
    return _answer(list_page(rows, shown, page))


async def get(request: Request) -> Response:
    """Return a delivery with what is sent and every try."""
    who = await principal(request, Permission.WEBHOOKS_READ)
    row = await _find(request, who.tenant_id)
    async with request.state.resources.database.reading() as db:
        tries = await replay_store.tries_of(db, row["id"])
    return _answer(whole_delivery(row, tries))


async def resend(request: Request) -> Response:
    """Send it once more now, whatever became of it before."""
    who = await principal(request, Permission.WEBHOOKS_MANAGE)
    resources: Resources = request.state.resources
    row = await _find(request, who.tenant_id)
    async with resources.database.transaction() as db:
        if row["endpoint_id"] is not None:
            endpoint = await store.get(db, who.tenant_id, row["endpoint_id"])
            if endpoint is None:
                raise _deleted()
            refuse_disabled(endpoint)
        await replay_store.resend(db, who.tenant_id, row["id"])
        await wake(db, resources.publisher, [row["target"]])
        after = await replay_store.get(db, who.tenant_id, row["id"])
    return _answer(public_delivery(after or row), ACCEPTED)


async def recover(request: Request) -> Response:
    """Send everything that failed or was skipped in a span of time, oldest first."""
    who = await principal(request, Permission.WEBHOOKS_MANAGE)
    asked, _ = await read_model(request, EndpointRecover, max_bytes=MAX_BODY_BYTES)
    since, until = _span(asked)
    resources: Resources = request.state.resources
    found = await find_endpoint(request, who.tenant_id)
    async with resources.database.transaction() as db:
        endpoint = await store.get(db, who.tenant_id, found["id"])
        if endpoint is None:
            raise no_such_endpoint(found["id"])
        refuse_disabled(endpoint)
        count = await replay_store.recover(
            db, who.tenant_id, endpoint["id"], since=since, until=until, limit=MOST_RECOVERED
        )
        if count:
            await wake(db, resources.publisher, [endpoint["id"]])
    shown = {
        "object": "webhook_endpoint.recovery",
        "webhook_endpoint_id": endpoint["id"],
        "recovered": count,
        "has_more": count == MOST_RECOVERED,
    }
    return _answer(shown, ACCEPTED)


def refuse_disabled(endpoint: Row) -> None:
    """Refuse to send to an endpoint that is to get nothing.

    Raises:
        Conflict: it is disabled.
    """
    if endpoint["disabled_at"] is None:
        return
    detail = (
        f"The webhook endpoint `{endpoint['id']}` is disabled ({endpoint['disabled_reason']}):"
        " enable it first, with `enabled: true`."
    )
    raise Conflict(detail, code="webhook_endpoint_disabled")


async def _find(request: Request, tenant_id: str) -> Row:
    delivery_id = request.path_params["webhook_delivery_id"]
    row = None
    if moment_of(delivery_id) is not None:
        async with request.state.resources.database.reading() as db:
            row = await replay_store.get(db, tenant_id, delivery_id)
    if row is None:
        detail = f"There is no webhook delivery `{delivery_id[:64]}`."
        raise NotFound(detail, code="webhook_delivery_not_found", param="webhook_delivery_id")
    return row


def _read_filters(request: Request) -> replay_store.Filters:
    query = request.query_params
    # A misspelt filter that is passed over would return everything.
    for name, value in query.items():
        if name not in FILTERS and name not in _PAGE:
            known = ", ".join(sorted({*FILTERS, *_PAGE}))
            detail = f"`{name[:64]}` is no filter of this list: it takes {known}."
            raise BadRequest(detail, param=name[:64])
        if "\x00" in value:
            detail = f"`{name}` never has NUL characters."
            raise BadRequest(detail, param=name)
    for name, allowed in FILTERS.items():
        if allowed is not None and query.get(name, allowed[0]) not in allowed:
            detail = f"`{name}` must be one of {', '.join(allowed)}."
            raise BadRequest(detail, param=name)
    return replay_store.Filters(
        endpoint_id=query.get("webhook_endpoint_id"),
        job_id=query.get("job_id"),
        batch_id=query.get("batch_id"),
        state=query.get("state"),
        event_type=query.get("event_type"),
    )


def _span(asked: EndpointRecover) -> tuple[int, int]:
    now = now_ms()
    since = from_datetime(asked.since, param="since")
    until = now if asked.until is None else from_datetime(asked.until, param="until")
    if since < now - OLDEST_RECOVERED_MS:
        detail = "`since` is more than 14 days back: resend what is older one by one."
        raise BadRequest(detail, param="since")
    if until <= since:
        detail = "`until` must be later than `since`, and `since` in the past."
        raise BadRequest(detail, param="until" if asked.until else "since")
    return since, until


def _deleted() -> Conflict:
    detail = "The webhook endpoint of this delivery was deleted: nothing can be sent to it."
    return Conflict(detail, code="webhook_endpoint_deleted")


def _answer(value: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


_ONE = "/v1/webhook_deliveries/{webhook_delivery_id}"
routes = [
    Route("/v1/webhook_deliveries", index, methods=["GET"]),
    Route(_ONE, get, methods=["GET"]),
    Route(f"{_ONE}/resend", resend, methods=["POST"]),
]
recover_routes = [
    Route("/v1/webhook_endpoints/{webhook_endpoint_id}/recover", recover, methods=["POST"])
]
