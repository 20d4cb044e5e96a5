"""`POST /v1/batches/{id}/requests`: more lines for a batch that is open."""

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.batches import drafting, sources
from api.batches.loading import load_batch
from api.batches.request import BatchAppend
from api.batches.sources import Pile
from api.body import read_model
from shared.auth.permissions import Permission
from shared.batches import creation
from shared.batches.creation import Creation, Source
from shared.batches.lines import LineChecker
from shared.batches.model import InputKind
from shared.batches.options import BatchOptions
from shared.batches.view import public_batch
from shared.database import Row
from shared.errors import Conflict, PenstockError
from shared.ids import new_id
from shared.jobs.draft import IdempotencyClaim
from shared.resources import Resources

ACCEPTED = 202


async def append(request: Request) -> Response:
    """Store more lines of an open batch; they are checked before, and read behind the answer."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    limit = resources.settings.max_body_bytes
    asked, _ = await read_model(request, BatchAppend, max_bytes=limit)
    batch = await load_batch(request, who.tenant_id)
    claim = drafting.read_claim(request, asked)
    if claim and (first := await creation.earlier(resources.database, who.tenant_id, claim)):
        return _answer(first)
    if not batch["open"]:
        raise _closed(batch["id"])
    options = BatchOptions.model_validate(batch["options"])
    standing = await resources.standings.of(who.tenant_id)
    checker = LineChecker(resources.catalog, resources.settings, options, standing=standing)
    pile = await sources.pile_of_requests(asked.requests, checker, options)
    if options.task is not None:
        ids = [each["file_id"] for each in asked.requests if _names_file(each)]
        await sources.find_documents(resources, who.tenant_id, ids, param="requests")
    await _admit(request, batch, pile)
    received = await sources.store_content(pile, resources, new_id("lines"))
    kind = InputKind.JSONL if options.task is None else InputKind.FILES
    source = Source(kind, received.blob, pile.size, pile.lines)
    return _answer(await _store(resources, batch, source, claim))


def _names_file(line: object) -> bool:
    return isinstance(line, dict) and isinstance(line.get("file_id"), str)


async def _admit(request: Request, batch: Row, pile: Pile) -> None:
    most = request.state.resources.settings.max_batch_lines
    sources.refuse_too_many(batch["total"] + pile.lines, most, param="requests")
    await request.state.admission.admit_load(batch["tenant_id"], pile.load)


async def _store(
    resources: Resources, batch: Row, source: Source, claim: IdempotencyClaim | None
) -> Creation:
    try:
        made = await creation.append(
            resources.database,
            batch,
            source,
            idempotency=claim,
            key_ttl_s=resources.settings.idempotency_ttl_s,
        )
        if made is None:
            raise _closed(batch["id"])
    except PenstockError:
        await resources.blobs.delete(source.blob)
        raise
    if made.replayed:
        await resources.blobs.delete(source.blob)
    return made


def _closed(batch_id: str) -> Conflict:
    detail = (
        f"The batch `{batch_id}` takes no more lines: it was created without `open`, or was closed,"
        " or has ended. Create another one."
    )
    return Conflict(detail, code="batch_closed")


def _answer(made: Creation) -> Response:
    headers = {"Idempotent-Replayed": "true"} if made.replayed else {}
    body = orjson.dumps(public_batch(made.batch))
    return Response(body, ACCEPTED, headers, "application/json")


routes = [Route("/v1/batches/{batch_id}/requests", append, methods=["POST"])]
