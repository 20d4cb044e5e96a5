"""`POST /v1/batches`: OpenAI's request and more, as JSON or as a form with the file in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import structlog
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.batches import drafting, dry_run, sources
from api.batches.request import BatchAsked, BatchForm, BatchSubmit
from api.batches.sources import Pile
from api.body import read_model
from api.errors import invalid_fields
from api.files import check_room
from api.multipart import Form, ReceivedFile, json_field, read_multipart
from api.pagination import moment_of
from shared.auth.permissions import Permission, Principal
from shared.batches import creation
from shared.batches.creation import BatchDraft, Creation
from shared.batches.model import InputKind
from shared.batches.options import BatchOptions
from shared.batches.view import public_batch
from shared.clock import now_ms
from shared.errors import BadRequest, PenstockError
from shared.ids import new_id
from shared.jobs.draft import IdempotencyClaim
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
    asked, _ = await read_model(request, BatchSubmit, max_bytes=limit)
    name = sources.which(asked)
    options = drafting.read_options(asked, resources, documents=name in sources.OF_DOCUMENTS)
    if asked.dry_run:
        return await dry_run.of_request(request, asked, name, options, who.tenant_id)
    claim = drafting.read_claim(request, asked)
    if claim and (first := await creation.earlier(resources.database, who.tenant_id, claim)):
        return _answer(first)
    pile = None
    if name is not None:
        pile = await sources.gather(asked, name, options, resources, who.tenant_id)
    return _answer(await _store(request, who.tenant_id, asked, options, pile=pile, claim=claim))


async def _create_from_form(request: Request, who: Principal) -> Response:
    who.require(Permission.FILES_WRITE)
    resources: Resources = request.state.resources
    check_room(resources)
    form = await read_multipart(request, resources.blobs, resources.settings.max_file_bytes)
    if form.file is None:
        detail = "There is no part `file` in the form: add a .zip of documents or a JSONL file."
        raise BadRequest(detail, param="file", code="missing_field")
    async with removed_if_refused(resources, form.file.blob):
        made = await _from_form(request, who.tenant_id, form, form.file)
    if isinstance(made, Creation) and not made.replayed:
        return _answer(made)
    await resources.blobs.delete(form.file.blob)
    return _answer(made) if isinstance(made, Creation) else made


@asynccontextmanager
async def removed_if_refused(resources: Resources, blob: str) -> AsyncIterator[None]:
    """Delete a blob if what it is for is refused."""
    try:
        yield
    except PenstockError:
        # After any other failure the batch may be there, and then it wants its blob.
        await resources.blobs.delete(blob)
        raise


async def _from_form(
    request: Request, tenant_id: str, form: Form, received: ReceivedFile
) -> Creation | Response:
    resources: Resources = request.state.resources
    asked = _read_form(form)
    pile = sources.pile_of_upload(received)
    options = drafting.read_options(asked, resources, documents=pile.kind is InputKind.ZIP)
    if asked.dry_run:
        return await dry_run.of_pile(request, pile, options, tenant_id)
    claim = drafting.read_claim(request, asked, identity=received.sha256)
    if claim and (first := await creation.earlier(resources.database, tenant_id, claim)):
        return first
    return await _store(request, tenant_id, asked, options, pile=pile, claim=claim)


def _read_form(form: Form) -> BatchForm:
    fields: dict[str, Any] = dict(form.fields)
    for name in _JSON_PARTS:
        if name in fields:
            fields[name] = json_field(form.fields, name)
    try:
        return BatchForm.model_validate(fields)
    except ValidationError as error:
        raise invalid_fields(error) from error


async def _store(
    request: Request,
    tenant_id: str,
    asked: BatchAsked,
    options: BatchOptions,
    *,
    pile: Pile | None,
    claim: IdempotencyClaim | None,
) -> Creation:
    resources: Resources = request.state.resources
    settings = resources.settings
    batch_id = new_id("batch")
    created_at = moment_of(batch_id) or now_ms()
    window, complete_by = drafting.read_deadline(asked, created_at, settings)
    webhook = await drafting.read_webhook(asked, resources, tenant_id)
    life, source, new_file = asked.output_expires_after, None, None
    if pile is not None:
        sources.refuse_too_many(pile.lines, settings.max_batch_lines, param=LINES)
        await request.state.admission.admit_load(tenant_id, pile.load)
        source, new_file = await sources.keep(
            pile, resources, tenant_id=tenant_id, name=f"{batch_id}.jsonl"
        )
    draft = BatchDraft(
        id=batch_id,
        tenant_id=tenant_id,
        created_at=created_at,
        completion_window=window,
        complete_by=complete_by,
        options=options,
        source=source,
        new_file=new_file,
        tags=asked.metadata or {},
        webhook=webhook,
        output_life_s=None if life is None else life.seconds,
        retention_s=asked.retention_seconds,
        open=asked.open,
        idempotency=claim,
    )
    return await store_draft(resources, draft)


async def store_draft(resources: Resources, draft: BatchDraft) -> Creation:
    """Store a batch; the blob of its new file goes if it is refused, or was stored before.

    Raises:
        Unprocessable: the idempotency key was used before with another request.
    """
    ttl_s = resources.settings.idempotency_ttl_s
    if draft.new_file is None:
        made = await creation.create(resources.database, draft, key_ttl_s=ttl_s)
    else:
        blob = draft.new_file["blob"]
        async with removed_if_refused(resources, blob):
            made = await creation.create(resources.database, draft, key_ttl_s=ttl_s)
        if made.replayed:
            await resources.blobs.delete(blob)
    structlog.contextvars.bind_contextvars(batch_id=made.batch["id"])
    return made


def _answer(made: Creation) -> Response:
    headers = {"Location": f"/v1/batches/{made.batch['id']}"}
    if made.replayed:
        headers["Idempotent-Replayed"] = "true"
    body = orjson.dumps(public_batch(made.batch))
    return Response(body, headers=headers, media_type="application/json")


routes = [Route("/v1/batches", create, methods=["POST"])]
