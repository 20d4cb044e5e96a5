"""`/v1/messages/batches`: Anthropic's face of batches whose lines are all messages."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api.anthropic.batch_intake import Intake
from api.anthropic.batch_view import (
    is_ended,
    message_batch,
    own_id,
    result_line,
    shown_id,
)
from api.anthropic.pages import page, read_span, unknown_place
from api.auth import principal
from api.batches import sources
from api.batches.drafting import draft_batch, read_claim
from api.batches.intake import removed_if_refused, take_in
from api.batches.loading import load_batch
from api.batches.request import BatchForm
from api.files import check_room
from api.pagination import Position, moment_of
from shared.auth.permissions import Permission
from shared.batches import purge, store
from shared.batches.model import BatchState
from shared.batches.options import BatchOptions
from shared.batches.outcomes import Outcomes
from shared.database import Row
from shared.errors import Conflict, NotFound
from shared.jobs.endpoints import Endpoint
from shared.resources import Resources

LINES = "application/x-jsonl"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_OPTIONS = BatchOptions(endpoint=Endpoint.MESSAGES)


async def create(request: Request) -> Response:
    """Store a batch of requests that came in the body; all of them are right, or none is stored."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    check_room(resources)
    checker = await sources.checker_of(resources, _OPTIONS, who.tenant_id)
    pile = await Intake(request, checker, resources).receive()
    async with removed_if_refused(resources, pile):
        draft = draft_batch(
            who.tenant_id,
            _OPTIONS,
            resources.settings,
            idempotency=read_claim(request, BatchForm(), identity=pile.identity),
        )
    made = await take_in(request, draft, pile)
    headers = {"Idempotent-Replayed": "true"} if made.replayed else {}
    return _json(message_batch(made.batch), headers)


async def index(request: Request) -> Response:
    """List batches, newest first."""
    who = await principal(request, Permission.JOBS_READ)
    span = read_span(request)
    backwards = span.before_id is not None
    async with request.state.resources.database.reading() as db:
        rows = await store.page(
            db,
            who.tenant_id,
            status=None,
            endpoint=Endpoint.MESSAGES,
            after=_place(span.after_id, "after_id") or _place(span.before_id, "before_id"),
            ascending=backwards,
            limit=span.limit + 1,
        )
    shown = [message_batch(row) for row in rows[: span.limit]]
    if backwards:
        shown.reverse()
    return _json(page(shown, more=len(rows) > span.limit))


async def get(request: Request) -> Response:
    """Return a batch."""
    who = await principal(request, Permission.JOBS_READ)
    return _json(message_batch(await _load(request, who.tenant_id)))


async def cancel(request: Request) -> Response:
    """Stop a batch: what has ended is kept, what waits is not called any more."""
    who = await principal(request, Permission.JOBS_WRITE)
    batch = await _load(request, who.tenant_id)
    async with request.state.resources.database.transaction() as db:
        changed = await store.cancel(db, who.tenant_id, batch["id"])
    if changed is None:
        changed = await _load(request, who.tenant_id)
        # Whoever asks twice has what was asked for; what is being finished ends by itself.
        if is_ended(changed) and changed["state"] != BatchState.CANCELLED:
            detail = "The batch has ended: there is nothing left to cancel."
            raise Conflict(detail, code="not_cancellable")
    return _json(message_batch(changed))


async def delete(request: Request) -> Response:
    """Remove the requests and results of an ended batch."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    batch = await _load(request, who.tenant_id)
    if not await purge.purge(resources.database, resources.blobs, batch):
        detail = "The batch is in progress: cancel it and wait for its end before deleting it."
        raise Conflict(detail, code="not_finished")
    return _json({"id": shown_id(batch["id"]), "type": "message_batch_deleted"})


async def results(request: Request) -> Response:
    """Stream the results of an ended batch, in the order in which they came."""
    who = await principal(request, Permission.JOBS_READ)
    batch = await _load(request, who.tenant_id)
    if not is_ended(batch):
        detail = "The batch has not ended: its results are there when it has."
        raise Conflict(detail, code="not_finished")
    if batch["purged_at"] is not None:
        detail = "The results of this batch are gone: it was deleted, or their time was over."
        raise NotFound(detail, code="batch_purged", param="message_batch_id")
    if request.method == "HEAD":
        return Response(headers=_HEADERS, media_type=LINES)
    resources: Resources = request.state.resources
    outcomes = Outcomes(
        resources.database, resources.blobs, batch["id"], result_line, until=batch["outcomes"]
    )
    pieces = outcomes.read()
    # A database that is away must be found out before the head of the response is sent.
    first = await anext(pieces, b"")
    return StreamingResponse(_joined(first, pieces), headers=_HEADERS, media_type=LINES)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def _load(request: Request, tenant_id: str) -> Row:
    shown = request.path_params["message_batch_id"]
    if (batch_id := own_id(shown)) is not None:
        with suppress(NotFound):
            batch = await load_batch(request, tenant_id, batch_id)
            if batch["endpoint"] == Endpoint.MESSAGES:
                return batch
    detail = f"There is no message batch `{shown[:64]}`."
    raise NotFound(detail, code="batch_not_found", param="message_batch_id")


def _place(shown: str | None, param: str) -> Position | None:
    if shown is None:
        return None
    batch_id = own_id(shown)
    moment = moment_of(batch_id) if batch_id is not None else None
    if batch_id is None or moment is None:
        raise unknown_place(param)
    return moment, batch_id


def _json(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), headers=headers, media_type="application/json")


routes = [
    Route("/v1/messages/batches", create, methods=["POST"]),
    Route("/v1/messages/batches", index, methods=["GET"]),
    Route("/v1/messages/batches/{message_batch_id}", get, methods=["GET"]),
    Route("/v1/messages/batches/{message_batch_id}", delete, methods=["DELETE"]),
    Route("/v1/messages/batches/{message_batch_id}/cancel", cancel, methods=["POST"]),
    Route("/v1/messages/batches/{message_batch_id}/results", results, methods=["GET"]),
]
