"""`POST /v1/webhook_endpoints/{id}/test`: one sample event, sent by a worker, and what came of it."""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.body import read_model
from api.webhooks.deliveries import refuse_disabled
from api.webhooks.endpoints import find_endpoint
from api.webhooks.request import MAX_BODY_BYTES, EndpointTest
from api.webhooks.sample import sample_delivery
from shared.auth.permissions import Permission
from shared.database import Row
from shared.errors import Unavailable, Unprocessable
from shared.resources import Resources
from shared.webhooks import replay_store
from shared.webhooks.waking import wake

PATIENCE_S = 20.0
POLL_S = 0.1


async def trial(request: Request) -> Response:
    """Send a sample event now, and answer with the receiver's status."""
    who = await principal(request, Permission.WEBHOOKS_MANAGE)
    asked, _ = await read_model(request, EndpointTest, max_bytes=MAX_BODY_BYTES)
    resources: Resources = request.state.resources
    endpoint = await find_endpoint(request, who.tenant_id)
    refuse_disabled(endpoint)
    delivery = sample_delivery(endpoint, asked.event_type)
    async with resources.database.transaction() as db:
        await replay_store.add_once(db, delivery)
        await wake(db, resources.publisher, [delivery["target"]])
    tried = await _outcome(request, delivery["id"])
    if tried is None:
        async with resources.database.transaction() as db:
            await replay_store.give_up(db, delivery["id"])
        raise _untried()
    if tried["status_code"] is None:
        raise _no_answer(tried, delivery["id"])
    shown = {
        "object": "webhook_endpoint.test",
        "webhook_endpoint_id": endpoint["id"],
        "webhook_delivery_id": delivery["id"],
        "event_type": asked.event_type,
        "status_code": tried["status_code"],
        # As OpenAI's: an answer came. Which one, `status_code` tells.
        "success": True,
    }
    return Response(orjson.dumps(shown), media_type="application/json")


async def _outcome(request: Request, delivery_id: str) -> Row | None:
    resources: Resources = request.state.resources
    deadline = monotonic() + PATIENCE_S
    while monotonic() < deadline and not request.state.waiting.closing:
        async with resources.database.reading() as db:
            tries = await replay_store.tries_of(db, delivery_id)
        if tries:
            return tries[-1]
        await asyncio.sleep(POLL_S)
    return None


def _untried() -> Unavailable:
    detail = "No worker sent the sample in time: GET /readyz tells whether one is running."
    return Unavailable(detail, code="webhook_test_untried")


def _no_answer(tried: Mapping[str, Any], delivery_id: str) -> Unprocessable:
    detail = f"The receiver gave no answer: {tried['error_message'] or tried['error']}"
    extra = {"webhook_delivery_id": delivery_id, "reason": tried["error"]}
    return Unprocessable(detail, code="webhook_test_failed", param="url", extra=extra)


routes = [Route("/v1/webhook_endpoints/{webhook_endpoint_id}/test", trial, methods=["POST"])]
