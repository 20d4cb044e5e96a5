"""`POST /v1/batches`: OpenAI's request and more, as JSON or as a form with the file in it."""

from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.batches import drafting, dry_run, sources
from api.batches.checking import OR_SKIP
from api.batches.given import REQUESTS, Given, read_given
from api.batches.intake import earlier, removed_if_refused, take_in
from api.batches.request import DEFAULT_WINDOW, BatchAsked, BatchForm, BatchSubmit
from api.batches.sources import Pile
from api.errors import invalid_fields
from api.files import check_room
from api.multipart import Form, json_field, read_multipart
from shared.auth.permissions import Permission, Principal
from shared.batches.creation import BatchDraft, Creation
from shared.batches.model import InputKind
from shared.batches.options import BatchOptions
from shared.batches.view import public_batch
from shared.errors import BadRequest
from shared.jobs.draft import IdempotencyClaim
from shared.jobs.options import in_ms
from shared.resources import Resources

LINES = "input_file_id"
_JSON_PARTS = ("schema", "metadata", "webhook", "output_expires_after")


async def create(request: Request) -> Response:
    """Store a batch and answer at once; its lines are read, checked and stored behind the answer."""
    who = await principal(request, Permission.JOBS_WRITE)
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        return await _create_from_form(request, who)
    resources: Resources = request.state.resources
    limit = resources.settings.max_body_bytes
    asked, given = await read_given(request, BatchSubmit, REQUESTS, max_bytes=limit)
    name = sources.which(asked)
    options = drafting.read_options(asked, resources, documents=name in sources.OF_DOCUMENTS)
    if asked.dry_run:
        return await dry_run.of_request(
            request, asked, name, options, tenant_id=who.tenant_id, given=given
        )
    claim = drafting.read_claim(request, asked, identity=given.digest)
    if first := await earlier(resources, who.tenant_id, claim):
        return _answer(first)
    draft = await _draft(request, who.tenant_id, asked, options, claim)
    pile = await _pile(resources, draft, asked, name, given)
    return _answer(await take_in(request, draft, pile, param=LINES))


async def _pile(
    resources: Resources, draft: BatchDraft, asked: BatchSubmit, name: str | None, given: Given
) -> Pile | None:
    if name is None:
        return None
    if name != "requests":
        return await sources.gather(asked, name, resources, draft.tenant_id)
    check_room(resources)
    checker = await sources.checker_of(resources, draft.options, draft.tenant_id)
    return await sources.pile_of_requests(
        given, checker, draft.options, resources.blobs, read=sources.as_given, advice=OR_SKIP
    )


async def _create_from_form(request: Request, who: Principal) -> Response:
    who.require(Permission.FILES_WRITE)
    resources: Resources = request.state.resources
    check_room(resources)
    form = await read_multipart(request, resources.blobs, resources.settings.max_file_bytes)
    if form.file is None:
        detail = "There is no part `file` in the form: add a .zip of documents or a JSONL file."
        raise BadRequest(detail, param="file", code="missing_field")
    pile = sources.pile_of_upload(form.file)
    async with removed_if_refused(resources, pile):
        made = await _from_form(request, who.tenant_id, form, pile)
    if isinstance(made, Creation) and not made.replayed:
        return _answer(made)
    await resources.blobs.delete(pile.blob)
    return _answer(made) if isinstance(made, Creation) else made


async def _from_form(
    request: Request, tenant_id: str, form: Form, pile: Pile
) -> Creation | Response:
    resources: Resources = request.state.resources
    asked = _read_form(form)
    options = drafting.read_options(asked, resources, documents=pile.kind is InputKind.ZIP)
    if asked.dry_run:
        return await dry_run.of_pile(request, pile, options, tenant_id)
    claim = drafting.read_claim(request, asked, identity=pile.identity)
    if first := await earlier(resources, tenant_id, claim):
        return first
    draft = await _draft(request, tenant_id, asked, options, claim)
    return await take_in(request, draft, pile, param=LINES)


def _read_form(form: Form) -> BatchForm:
    fields: dict[str, Any] = dict(form.fields)
    for name in _JSON_PARTS:
        if name in fields:
            fields[name] = json_field(form.fields, name)
    try:
        return BatchForm.model_validate(fields)
    except ValidationError as error:
        raise invalid_fields(error) from error


async def _draft(
    request: Request,
    tenant_id: str,
    asked: BatchAsked,
    options: BatchOptions,
    claim: IdempotencyClaim | None,
) -> BatchDraft:
    resources: Resources = request.state.resources
    if asked.completion_window is not None and asked.complete_by is not None:
        detail = "Give `completion_window` or `complete_by`, not both: they say the same."
        raise BadRequest(detail, param="complete_by")
    life = asked.output_expires_after
    return drafting.draft_batch(
        tenant_id,
        options,
        resources.settings,
        window=asked.completion_window or DEFAULT_WINDOW,
        complete_by=in_ms(asked.complete_by),
        param="completion_window" if asked.complete_by is None else "complete_by",
        tags=asked.metadata or {},
        webhook=await drafting.read_webhook(asked, resources, tenant_id),
        output_life_s=None if life is None else life.seconds,
        retention_s=asked.retention_seconds,
        open=asked.open,
        idempotency=claim,
    )


def _answer(made: Creation) -> Response:
    headers = {"Location": f"/v1/batches/{made.batch['id']}"}
    if made.replayed:
        headers["Idempotent-Replayed"] = "true"
    body = orjson.dumps(public_batch(made.batch))
    return Response(body, headers=headers, media_type="application/json")


routes = [Route("/v1/batches", create, methods=["POST"])]
