"""Google's face of batches whose lines all generate content."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api.auth import principal
from api.batches import acts, sources
from api.batches.drafting import draft_batch, read_claim
from api.batches.given import read_given
from api.batches.intake import earlier, take_in
from api.batches.loading import load_batch
from api.files import check_room
from api.gemini.batch_lines import as_googles, line_of
from api.gemini.batch_request import REQUESTS, BatchGenerateContent
from api.gemini.batch_results import whole_operation
from api.gemini.batch_view import batch_operation
from api.gemini.generate import VERSIONS
from api.gemini.paging import bad_token, name_of, page_size, token_of
from api.pagination import Position, moment_of
from shared.auth.permissions import Permission
from shared.batches import store
from shared.batches.model import ENDED, BatchState
from shared.batches.options import BatchOptions
from shared.database import Row
from shared.errors import NotFound
from shared.jobs.endpoints import Endpoint
from shared.resources import Resources

JSON = "application/json"
DEFAULT_PAGE, MOST = 50, 1000
_TOLD = ENDED - {BatchState.FAILED}
"""An operation has a response or an error, never both."""


async def create(request: Request) -> Response:
    """Store a batch of requests that came in the body; all of them are right, or none is stored."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    check_room(resources)
    limit = resources.settings.max_body_bytes
    asked, given = await read_given(request, BatchGenerateContent, REQUESTS, max_bytes=limit)
    claim = read_claim(request, asked, identity=given.digest)
    if first := await earlier(resources, who.tenant_id, claim):
        return _json(batch_operation(first.batch), replayed=True)
    model = request.path_params["model"]
    resources.catalog.resolve(model)
    options = BatchOptions(endpoint=Endpoint.GEMINI, label=asked.batch.display_name)
    draft = draft_batch(who.tenant_id, options, resources.settings, idempotency=claim)
    checker = await sources.checker_of(resources, options, who.tenant_id)
    pile = await sources.pile_of_requests(
        given,
        checker,
        options,
        resources.blobs,
        read=partial(line_of, model),
        tell=as_googles,
        # Their answers are found by counting: whatever happens, each must have one.
        checked=True,
    )
    made = await take_in(request, draft, pile)
    return _json(batch_operation(made.batch), replayed=made.replayed)


async def index(request: Request) -> Response:
    """List a page of batches, newest first, without what became of their requests."""
    who = await principal(request, Permission.JOBS_READ)
    size = page_size(request, default=DEFAULT_PAGE, most=MOST)
    async with request.state.resources.database.reading() as db:
        rows = await store.page(
            db,
            who.tenant_id,
            status=None,
            endpoint=Endpoint.GEMINI,
            after=_place(request),
            ascending=False,
            limit=size + 1,
        )
    told: dict[str, Any] = {"operations": [batch_operation(row) for row in rows[:size]]}
    if len(rows) > size:
        told["nextPageToken"] = token_of(rows[size - 1]["id"])
    return _json(told)


async def get(request: Request) -> Response:
    """Return a batch; when it has ended, with what became of each request."""
    who = await principal(request, Permission.JOBS_READ)
    batch = await _load(request, who.tenant_id)
    if batch["state"] not in _TOLD or batch["purged_at"] is not None:
        return _json(batch_operation(batch))
    pieces = whole_operation(request.state.resources, batch)
    # A database that is away must be found out before the head of the response is sent.
    first = [await anext(pieces), await anext(pieces)]
    return StreamingResponse(_joined(first, pieces), media_type=JSON)


async def _joined(first: Sequence[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for piece in first:
        yield piece
    async for piece in rest:
        yield piece


async def cancel(request: Request) -> Response:
    """Stop a batch: what has ended is kept, what waits is not called any more."""
    await _load(request, (await principal(request, Permission.JOBS_WRITE)).tenant_id)
    await acts.cancelled(request)
    return _json({})


async def delete(request: Request) -> Response:
    """Remove the requests and results of an ended batch."""
    await _load(request, (await principal(request, Permission.JOBS_WRITE)).tenant_id)
    await acts.delete(request)
    return _json({})


async def _load(request: Request, tenant_id: str) -> Row:
    batch = await load_batch(request, tenant_id)
    if batch["endpoint"] != Endpoint.GEMINI:
        detail = f"There is no batch `{batch['id']}` of Google's requests: others have it."
        raise NotFound(detail, code="batch_not_found", param="batch_id")
    return batch


def _place(request: Request) -> Position | None:
    batch_id = name_of(request)
    if batch_id is None:
        return None
    moment = moment_of(batch_id)
    if moment is None:
        raise bad_token()
    return moment, batch_id


def _json(body: dict[str, Any], *, replayed: bool = False) -> Response:
    headers = {"Idempotent-Replayed": "true"} if replayed else None
    return Response(orjson.dumps(body), headers=headers, media_type=JSON)


def _reading(version: str) -> list[Route]:
    return [
        Route(f"{version}/batches", index, methods=["GET"]),
        Route(f"{version}/batches/{{batch_id}}", get, methods=["GET"]),
        Route(f"{version}/batches/{{batch_id}}", delete, methods=["DELETE"]),
    ]


shared_routes = _reading("/v1")
"""What others ask for by the same paths."""
routes = [
    *_reading("/v1beta"),
    *(
        Route(f"{version}/{path}", act, methods=["POST"])
        for version in VERSIONS
        for path, act in (
            ("models/{model:path}:batchGenerateContent", create),
            ("batches/{batch_id}:cancel", cancel),
        )
    ),
]
