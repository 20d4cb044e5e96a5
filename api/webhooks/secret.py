"""`/v1/webhook_secret`: what signs the events that go to the URLs of single jobs."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.webhooks.receiver import ensure_secret
from api.webhooks.request import SecretRotate, read_or_default
from api.webhooks.view import public_secret
from shared.auth.permissions import Permission
from shared.database import Row
from shared.errors import Conflict
from shared.resources import Resources
from shared.webhooks import store
from shared.webhooks.secrets import SecretBox, SecretUnreadable, new_secret


async def get(request: Request) -> Response:
    """Show the secret; it is made when it is first asked for."""
    who = await principal(request, Permission.WEBHOOKS_MANAGE)
    resources: Resources = request.state.resources
    box = SecretBox(resources.secret_key)
    row = await ensure_secret(resources.database, who.tenant_id, box)
    return _answer(_shown(row, box))


async def rotate(request: Request) -> Response:
    """Take another secret; the one before signs too for a day, if that is asked for."""
    who = await principal(request, Permission.WEBHOOKS_MANAGE)
    asked = await read_or_default(request, SecretRotate)
    resources: Resources = request.state.resources
    box = SecretBox(resources.secret_key)
    async with resources.database.transaction() as db:
        before = await store.ensure_secret(db, who.tenant_id, box)
        keep_old = asked.keep_old_secret_active_for_24_hours and box.opens(before["secret"])
        await store.rotate_secret(db, who.tenant_id, box.seal(new_secret()), keep_old=keep_old)
        row = await store.ensure_secret(db, who.tenant_id, box)
    return _answer(_shown(row, box))


def _shown(row: Row, box: SecretBox) -> dict[str, Any]:
    try:
        return public_secret(row, box)
    except SecretUnreadable as error:
        raise Conflict(str(error), code="webhook_secret_unreadable") from error


def _answer(value: Mapping[str, Any]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(value), headers=headers, media_type="application/json")


routes = [
    Route("/v1/webhook_secret", get, methods=["GET"]),
    Route("/v1/webhook_secret/rotate", rotate, methods=["POST"]),
]
