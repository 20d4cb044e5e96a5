"""`/v1/batches`: list, get, cancel, pause, resume, retry, close, add requests, delete."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.batches.drafting import check_deadline
from api.batches.loading import load_batch
from api.batches.request import BatchRetry, window_ms
from api.pagination import list_page, read_page
from api.webhooks.request import read_or_default
from shared.auth.permissions import Permission
from shared.batches import purge, store
from shared.batches.model import BatchState
from shared.batches.view import public_batch
from shared.clock import now_ms
from shared.database import Database, Row
from shared.errors import BadRequest, Conflict
from shared.resources import Resources

OK, ACCEPTED = 200, 202
KNOWN = {"after", "limit", "order", "status"}
_OVER = {
    BatchState.COMPLETED: "has completed",
    BatchState.FAILED: "has failed",
    BatchState.EXPIRED: "has expired",
    BatchState.CANCELLED: "was cancelled",
    BatchState.CANCELLING: "is being cancelled",
    BatchState.FINALIZING: "is being finished: all its lines have ended",
    BatchState.IN_PROGRESS: "is in progress",
    BatchState.VALIDATING: "is being validated",
}


async def index(request: Request) -> Response:
    """List batches, newest first."""
    who = await principal(request, Permission.JOBS_READ)
    for name in request.query_params:
        if name not in KNOWN:
            detail = (
                f"`{name[:64]}` is no filter of this list: it takes {', '.join(sorted(KNOWN))}."
            )
            raise BadRequest(detail, param=name[:64])
    status = request.query_params.get("status")
    if status is not None and status not in set(BatchState):
        detail = f"`status` must be one of {', '.join(BatchState)}."
        raise BadRequest(detail, param="status")
    page = read_page(request, timed_ids=True)
    async with request.state.resources.database.reading() as db:
        rows = await store.page(
            db,
            who.tenant_id,
            status=status,
            after=page.after,
            ascending=page.ascending,
            limit=page.limit + 1,
        )
    shown = [public_batch(row) for row in rows[: page.limit]]
    return _json(list_page(rows, shown, page))


async def get(request: Request) -> Response:
    """Return a batch."""
    who = await principal(request, Permission.JOBS_READ)
    return _json(public_batch(await load_batch(request, who.tenant_id)))


async def cancel(request: Request) -> Response:
    """Stop a batch: what has ended is kept, what waits is not called any more."""
    return _json(public_batch(await cancelled(request)))


async def cancelled(request: Request) -> Row:
    """Stop the batch that the path names and return its row.

    Raises:
        Conflict: it has ended, and was not cancelled.
    """
    who = await principal(request, Permission.JOBS_WRITE)
    batch = await load_batch(request, who.tenant_id)
    async with _database(request).transaction() as db:
        changed = await store.cancel(db, who.tenant_id, batch["id"])
    if changed is None:
        changed = await load_batch(request, who.tenant_id)
        # Whoever asks twice has what was asked for; and what is being finished ends by itself.
        if changed["state"] not in _CANCELLED:
            raise _conflict(changed, "not_cancellable", "there is nothing left to cancel")
    return changed


_CANCELLED = {BatchState.CANCELLING, BatchState.CANCELLED, BatchState.FINALIZING}


async def pause(request: Request) -> Response:
    """Hold a batch: running calls end, no other begins."""
    return await _hold(request, paused=True)


async def resume(request: Request) -> Response:
    """Let a paused batch go on."""
    return await _hold(request, paused=False)


async def _hold(request: Request, *, paused: bool) -> Response:
    who = await principal(request, Permission.JOBS_WRITE)
    batch = await load_batch(request, who.tenant_id)
    async with _database(request).transaction() as db:
        changed = await store.pause(db, who.tenant_id, batch["id"], paused=paused)
    if changed is None:
        batch = await load_batch(request, who.tenant_id)
        raise _conflict(batch, "not_running", "only a batch that runs is paused and resumed")
    return _json(public_batch(changed))


async def close(request: Request) -> Response:
    """Take no more lines: the batch ends with those that it has."""
    who = await principal(request, Permission.JOBS_WRITE)
    batch = await load_batch(request, who.tenant_id)
    async with _database(request).transaction() as db:
        changed = await store.close(db, who.tenant_id, batch["id"])
    if changed is None:
        changed = await load_batch(request, who.tenant_id)
    return _json(public_batch(changed))


async def retry(request: Request) -> Response:
    """Run the failed and expired lines of a batch once more; the others keep their results."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    asked = await read_or_default(request, BatchRetry)
    batch = await load_batch(request, who.tenant_id)
    # As long as the first time, if nothing else is asked for.
    lifetime_ms = window_ms(asked.completion_window or batch["completion_window"])
    now = now_ms()
    check_deadline(now + lifetime_ms, now, resources.settings, param="completion_window")
    async with resources.database.transaction() as db:
        changed = await store.retry(db, who.tenant_id, batch["id"], lifetime_ms=lifetime_ms)
    if changed is None:
        raise _not_retryable(await load_batch(request, who.tenant_id))
    return _json(public_batch(changed), status=ACCEPTED)


def _not_retryable(batch: Row) -> Conflict:
    if batch["purged_at"] is not None:
        detail = "The requests and results of this batch are gone: create it anew."
        return Conflict(detail, code="not_retryable")
    if batch["failed"] + batch["expired"] == 0:
        detail = "No line of this batch failed or expired: there is nothing to retry."
        return Conflict(detail, code="not_retryable")
    return _conflict(batch, "not_retryable", "ask again when it has ended")


async def delete(request: Request) -> Response:
    """Remove the requests, results and output files of an ended batch; counts and cost can be read on."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    batch = await load_batch(request, who.tenant_id)
    if not await purge.purge(resources.database, resources.blobs, batch):
        raise _conflict(
            await load_batch(request, who.tenant_id),
            "not_finished",
            "cancel it and wait for its end before deleting it",
        )
    return _json({"id": batch["id"], "object": "batch", "deleted": True})


def _conflict(batch: Row, code: str, what: str) -> Conflict:
    detail = f"The batch {_OVER[BatchState(batch['state'])]}: {what}."
    return Conflict(detail, code=code, extra={"batch_status": batch["state"]})


def _database(request: Request) -> Database:
    resources: Resources = request.state.resources
    return resources.database


def _json(body: dict[str, Any], *, status: int = OK) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


openai_routes = [
    Route("/v1/batches", index, methods=["GET"]),
    Route("/v1/batches/{batch_id}", get, methods=["GET"]),
    Route("/v1/batches/{batch_id}/cancel", cancel, methods=["POST"]),
]
routes = [
    Route("/v1/batches/{batch_id}", delete, methods=["DELETE"]),
    Route("/v1/batches/{batch_id}/pause", pause, methods=["POST"]),
    Route("/v1/batches/{batch_id}/resume", resume, methods=["POST"]),
    Route("/v1/batches/{batch_id}/retry", retry, methods=["POST"]),
    Route("/v1/batches/{batch_id}/close", close, methods=["POST"]),
]
