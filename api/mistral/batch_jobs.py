"""`/v1/batch/jobs`: Mistral's face of batches."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api.auth import principal
from api.batches import sources
from api.batches.acts import cancelled
from api.batches.drafting import draft_batch, read_claim
from api.batches.given import REQUESTS, Given, read_given
from api.batches.intake import earlier, take_in
from api.batches.loading import load_batch
from api.batches.sources import Pile
from api.files import check_room
from api.mistral.batch_lines import Copier, copy_files
from api.mistral.batch_request import BatchJobSubmit
from api.mistral.batch_view import STATUSES, batch_job, states_of
from api.mistral.numbered import read_numbered, refuse_filters
from shared.auth.permissions import Permission
from shared.batches import purge
from shared.batches.creation import BatchDraft
from shared.batches.model import ENDED, BatchState
from shared.batches.numbered_store import numbered_page
from shared.batches.options import BatchOptions
from shared.batches.outcomes import Outcomes
from shared.batches.results import file_line
from shared.database import Row
from shared.errors import BadRequest, Conflict
from shared.resources import Resources

FILTERS = ("page", "page_size", "status", "model", "created_after", "order_by", "created_by_me")
JSON = "application/json"
_MOMENT = TypeAdapter(datetime)


async def create(request: Request) -> Response:
    """Store a batch of requests from files, or of those in the body."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    check_room(resources)
    limit = resources.settings.max_body_bytes
    asked, given = await read_given(request, BatchJobSubmit, REQUESTS, max_bytes=limit)
    if (asked.input_files is None) == (asked.requests is None):
        detail = "Give just one of `input_files` and `requests`."
        raise BadRequest(detail, param="input_files")
    claim = read_claim(request, asked, identity=given.digest)
    if first := await earlier(resources, who.tenant_id, claim):
        return _answer(batch_job(first.batch), replayed=True)
    if asked.model is not None:
        resources.catalog.resolve(asked.model)
    draft = draft_batch(
        who.tenant_id,
        BatchOptions(endpoint=asked.endpoint, copied_from=asked.input_files or []),
        resources.settings,
        window=f"{asked.timeout_hours}h",
        param="timeout_hours",
        tags=asked.metadata or {},
        idempotency=claim,
        model=asked.model,
    )
    made = await take_in(request, draft, await _pile(request, draft, asked, given))
    return _answer(batch_job(made.batch), replayed=made.replayed)


async def _pile(request: Request, draft: BatchDraft, asked: BatchJobSubmit, given: Given) -> Pile:
    resources: Resources = request.state.resources
    copier = Copier(asked.endpoint, asked.model)
    if asked.input_files is None:
        checker = await sources.checker_of(resources, draft.options, draft.tenant_id)
        return await sources.pile_of_requests(
            given, checker, draft.options, resources.blobs, read=copier.line
        )
    found = await sources.find_documents(
        resources, draft.tenant_id, asked.input_files, param="input_files"
    )
    return await copy_files(request, [found[each] for each in asked.input_files], copier)


async def index(request: Request) -> Response:
    """List a page of batches, newest first."""
    who = await principal(request, Permission.JOBS_READ)
    refuse_filters(request, FILTERS)
    page, query = read_numbered(request), request.query_params
    async with request.state.resources.database.reading() as db:
        rows, total = await numbered_page(
            db,
            who.tenant_id,
            states=_states(request),
            model=query.get("model"),
            created_after=_moment(query.get("created_after")),
            ascending=query.get("order_by") == "created",
            limit=page.size,
            offset=page.offset,
        )
    data = [batch_job(row) for row in rows]
    return _answer({"object": "list", "data": data, "total": total})


async def get(request: Request) -> Response:
    """Return a batch; with `inline=true` and when it has ended, its results too."""
    who = await principal(request, Permission.JOBS_READ)
    batch = await load_batch(request, who.tenant_id)
    told = batch_job(batch)
    wanted = request.query_params.get("inline", "").lower() == "true"
    if not wanted or batch["state"] not in ENDED or batch["purged_at"] is not None:
        return _answer(told)
    pieces = _outputs(request.state.resources, batch)
    # A database that is away must be found out before the head of the response is sent.
    first = await anext(pieces, b"")
    return StreamingResponse(_inline(told, first, pieces), media_type=JSON)


async def cancel(request: Request) -> Response:
    """Stop a batch: what has ended is kept, what waits is not called any more."""
    return _answer(batch_job(await cancelled(request)))


async def delete(request: Request) -> Response:
    """Remove the requests and results of an ended batch."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    batch = await load_batch(request, who.tenant_id)
    if not await purge.purge(resources.database, resources.blobs, batch):
        detail = "The batch is running: cancel it and wait for its end before deleting it."
        raise Conflict(detail, code="not_finished")
    return _answer({"id": batch["id"], "object": "batch", "deleted": True})


def _outputs(resources: Resources, batch: Row) -> AsyncIterator[bytes]:
    until = batch["outcomes"]
    outcomes = Outcomes(resources.database, resources.blobs, batch["id"], file_line, until=until)
    return outcomes.read()


async def _inline(
    told: dict[str, Any], first: bytes, rest: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    # Lines have no line ends within: between them there are commas instead.
    head = {name: value for name, value in told.items() if name != "outputs"}
    yield orjson.dumps(head)[:-1] + b',"outputs":[' + _elements(first)
    async for piece in rest:
        yield b"," + _elements(piece)
    yield b"]}"


def _elements(lines: bytes) -> bytes:
    return lines.rstrip(b"\n").replace(b"\n", b",")


def _states(request: Request) -> list[BatchState] | None:
    wanted = request.query_params.getlist("status")
    found = [state for status in wanted for state in states_of(status)]
    if any(not states_of(status) for status in wanted):
        detail = f"`status` must be one of {', '.join(dict.fromkeys(STATUSES.values()))}."
        raise BadRequest(detail, param="status")
    return found if wanted else None


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return round(_MOMENT.validate_python(text).timestamp() * 1000)
    except ValidationError as error:
        detail = "`created_after` must be a time such as 2026-01-01T00:00:00Z."
        raise BadRequest(detail, param="created_after") from error


def _answer(body: dict[str, Any], *, replayed: bool = False) -> Response:
    headers = {"Idempotent-Replayed": "true"} if replayed else None
    return Response(orjson.dumps(body), headers=headers, media_type=JSON)


routes = [
    Route("/v1/batch/jobs", create, methods=["POST"]),
    Route("/v1/batch/jobs", index, methods=["GET"]),
    Route("/v1/batch/jobs/{batch_id}", get, methods=["GET"]),
    Route("/v1/batch/jobs/{batch_id}", delete, methods=["DELETE"]),
    Route("/v1/batch/jobs/{batch_id}/cancel", cancel, methods=["POST"]),
]
