"""`POST /v1/batches/{id}/requests`: more lines for a batch that is open."""

from dataclasses import replace

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.batches import drafting, sources
from api.batches.given import REQUESTS, Given, parse_element, read_given
from api.batches.intake import closed, earlier, removed_if_refused, take_more
from api.batches.loading import load_batch
from api.batches.request import BatchAppend
from api.batches.sources import Pile
from api.files import check_room
from shared.auth.permissions import Permission
from shared.batches.creation import Creation
from shared.batches.model import InputKind
from shared.batches.options import BatchOptions
from shared.batches.view import public_batch
from shared.database import Row
from shared.resources import Resources

ACCEPTED = 202


async def append(request: Request) -> Response:
    """Store more lines of an open batch; they are checked before, and read behind the answer."""
    who = await principal(request, Permission.JOBS_WRITE)
    resources: Resources = request.state.resources
    limit = resources.settings.max_body_bytes
    asked, given = await read_given(request, BatchAppend, REQUESTS, max_bytes=limit)
    batch = await load_batch(request, who.tenant_id)
    claim = drafting.read_claim(request, asked, identity=given.digest)
    if first := await earlier(resources, who.tenant_id, claim):
        return _answer(first)
    if not batch["open"]:
        raise closed(batch["id"])
    return _answer(await take_more(request, batch, await _pile(resources, batch, given), claim))


async def _pile(resources: Resources, batch: Row, given: Given) -> Pile:
    check_room(resources)
    options = BatchOptions.model_validate(batch["options"])
    checker = await sources.checker_of(resources, options, batch["tenant_id"])
    files: list[str] = []

    def read(element: bytes, number: int) -> bytes:
        line = parse_element(element, number)
        if isinstance(line, dict) and isinstance(line.get("file_id"), str):
            files.append(line["file_id"])
        return orjson.dumps(line)

    pile = await sources.pile_of_requests(given, checker, options, resources.blobs, read=read)
    if options.task is None:
        return pile
    async with removed_if_refused(resources, pile):
        await sources.find_documents(resources, batch["tenant_id"], files, param="requests")
    return replace(pile, kind=InputKind.FILES)


def _answer(made: Creation) -> Response:
    headers = {"Idempotent-Replayed": "true"} if made.replayed else {}
    body = orjson.dumps(public_batch(made.batch))
    return Response(body, ACCEPTED, headers, "application/json")


routes = [Route("/v1/batches/{batch_id}/requests", append, methods=["POST"])]
