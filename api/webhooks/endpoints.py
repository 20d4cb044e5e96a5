"""`/v1/webhook_endpoints`: who is told of the events of all jobs, in the shapes of OpenAI's SDK."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.body import read_model
from api.pagination import list_page, moment_of, read_page
from api.webhooks.receiver import check_receiver
from api.webhooks.request import (
    MAX_BODY_BYTES,
    EndpointCreate,
    EndpointUpdate,
    SecretRotate,
    read_or_default,
)
from api.webhooks.view import public_endpoint
from shared.auth import store as auth_store
from shared.auth.permissions import Permission
from shared.clock import now_ms
from shared.database import Row
from shared.errors import LimitExceeded, NotFound
from shared.events.event import EventType
from shared.ids import new_id
from shared.resources import Resources
from shared.webhooks import store
from shared.webhooks.secrets import SecretBox, new_secret

MOST_ENDPOINTS = 50
BY_TENANT = "disabled by a request"
NEVER_STORED = {"Cache-Control": "no-store"}


async def create(request: Request) -> Response:
    """Register a receiver. The answer has the secret that signs what it gets."""
    who = await principal(request, Permission.WEBHOOKS_MANAGE)
    asked, _ = await read_model(request, EndpointCreate, max_bytes=MAX_BODY_BYTES)
    resources: Resources = request.state.resources
    check_receiver(asked.url, resources.settings, param="url")
    box, secret, endpoint_id = _box(request), new_secret(), new_id("whe")
    created_at = moment_of(endpoint_id) or now_ms()
    row = {
        "id": endpoint_id,
        "tenant_id": who.tenant_id,
        "name": asked.name,
        "url": asked.url,
        "event_types": [*asked.event_types],
        "created_at": created_at,
        "updated_at": created_at,
        "secret": box.seal(secret),
    }
    async with resources.database.transaction() as db:
        # Or two requests at once could both be the last one allowed.
        await auth_store.lock_tenant(db, who.tenant_id)
        if await store.count(db, who.tenant_id) >= MOST_ENDPOINTS:
            raise _too_many()
        await store.insert_endpoint(db, row)
        stored = await store.get(db, who.tenant_id, endpoint_id)
    return _answer(public_endpoint(stored or row, box, secret=secret), NEVER_STORED)


async def index(request: Request) -> Response:
    """List the receivers, newest first."""
    who = await principal(request, Permission.WEBHOOKS_READ)
    page = read_page(request, timed_ids=True)
    async with request.state.resources.database.reading() as db:
        rows = await store.page(
            db, who.tenant_id, after=page.after, ascending=page.ascending, limit=page.limit + 1
        )
    box = _box(request)
    shown = [public_endpoint(row, box) for row in rows[: page.limit]]
    return _answer(list_page(rows, shown, page))


async def get(request: Request) -> Response:
    """Return a receiver, without its secret."""
    who = await principal(request, Permission.WEBHOOKS_READ)
    row = await find_endpoint(request, who.tenant_id)
    return _answer(public_endpoint(row, _box(request)))


async def update(request: Request) -> Response:
    """Change what is given; `enabled` stops and starts the deliveries."""
    who = await principal(request, Permission.WEBHOOKS_MANAGE)
    asked, _ = await read_model(request, EndpointUpdate, max_bytes=MAX_BODY_BYTES)
    resources: Resources = request.state.resources
    before = await find_endpoint(request, who.tenant_id)
    changes = asked.model_dump(mode="json", exclude_none=True, exclude={"enabled"})
    changes = {name: value for name, value in changes.items() if value != before[name]}
    if "url" in changes:
        check_receiver(changes["url"], resources.settings, param="url")
    async with resources.database.transaction() as db:
        if changes:
            await store.change(db, who.tenant_id, before["id"], changes)
        if asked.enabled is True:
            await store.enable(db, who.tenant_id, before["id"])
        elif asked.enabled is False:
            await store.disable(db, before["id"], reason=BY_TENANT)
        after = await store.get(db, who.tenant_id, before["id"])
    if after is None:
        raise no_such_endpoint(before["id"])
    return _answer(public_endpoint(after, _box(request)))


async def delete(request: Request) -> Response:
    """Tell it nothing more; its past deliveries can still be read."""
    who = await principal(request, Permission.WEBHOOKS_MANAGE)
    endpoint_id = request.path_params["webhook_endpoint_id"]
    known = moment_of(endpoint_id) is not None
    if known:
        async with request.state.resources.database.transaction() as db:
            known = await store.delete(db, who.tenant_id, endpoint_id)
    if not known:
        raise no_such_endpoint(endpoint_id)
    return _answer({"id": endpoint_id, "object": "webhook_endpoint.deleted", "deleted": True})


async def rotate(request: Request) -> Response:
    """Take another secret; the one before signs too for a day, if that is asked for."""
    who = await principal(request, Permission.WEBHOOKS_MANAGE)
    asked = await read_or_default(request, SecretRotate)
    resources: Resources = request.state.resources
    before = await find_endpoint(request, who.tenant_id)
    box, secret = _box(request), new_secret()
    keep_old = asked.keep_old_secret_active_for_24_hours and box.opens(before["secret"])
    async with resources.database.transaction() as db:
        await store.rotate(db, who.tenant_id, before["id"], box.seal(secret), keep_old=keep_old)
        after = await store.get(db, who.tenant_id, before["id"])
    if after is None:
        raise no_such_endpoint(before["id"])
    return _answer(public_endpoint(after, box, secret=secret), NEVER_STORED)


async def event_types(request: Request) -> Response:
    """List what can be subscribed to."""
    await principal(request, Permission.WEBHOOKS_READ)
    return _answer({"object": "list", "data": [*EventType]})


async def find_endpoint(request: Request, tenant_id: str) -> Row:
    """Return the endpoint that the path names.

    Raises:
        NotFound: the tenant has none of this id.
    """
    endpoint_id = request.path_params["webhook_endpoint_id"]
    row = None
    if moment_of(endpoint_id) is not None:
        async with request.state.resources.database.reading() as db:
            row = await store.get(db, tenant_id, endpoint_id)
    if row is None:
        raise no_such_endpoint(endpoint_id)
    return row


def no_such_endpoint(endpoint_id: str) -> NotFound:
    """Return the error that tells so."""
    detail = f"There is no webhook endpoint `{endpoint_id[:64]}`."
    return NotFound(detail, code="webhook_endpoint_not_found", param="webhook_endpoint_id")


def _too_many() -> LimitExceeded:
    detail = f"There are {MOST_ENDPOINTS} webhook endpoints, which is the limit: delete one first."
    return LimitExceeded(detail, code="too_many_webhook_endpoints", extra={"limit": MOST_ENDPOINTS})


def _box(request: Request) -> SecretBox:
    return SecretBox(request.state.resources.secret_key)


def _answer(value: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), headers=headers, media_type="application/json")


routes = [
    Route("/v1/webhook_endpoints", create, methods=["POST"]),
    Route("/v1/webhook_endpoints", index, methods=["GET"]),
    Route("/v1/webhook_endpoints/{webhook_endpoint_id}", get, methods=["GET"]),
    Route("/v1/webhook_endpoints/{webhook_endpoint_id}", update, methods=["POST"]),
    Route("/v1/webhook_endpoints/{webhook_endpoint_id}", delete, methods=["DELETE"]),
    Route("/v1/webhook_endpoints/{webhook_endpoint_id}/rotate_secret", rotate, methods=["POST"]),
    Route("/v1/webhook_event_types", event_types, methods=["GET"]),
]
