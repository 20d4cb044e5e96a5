"""`POST /v1/documents`: a file, instructions and a JSON schema in; a job that answers the schema out."""

from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.body import read_model
from api.errors import invalid_fields
from api.files import check_room, save
from api.job_request import DocumentForm, DocumentSubmit
from api.jobs import submit
from api.multipart import Form, json_field, read_multipart
from shared.auth.permissions import Permission, Principal
from shared.errors import BadRequest, PenstockError
from shared.files.removal import remove
from shared.jobs.bodies import DocumentBody, DocumentTask
from shared.jobs.endpoints import Endpoint
from shared.jobs.submit import STORE_UNAVAILABLE
from shared.resources import Resources

PURPOSE = "user_data"
REPLAYED = "idempotent-replayed"


async def create(request: Request) -> Response:
    """Take a document by upload or by the id of a file, and answer like `POST /v1/jobs`."""
    who = await principal(request, Permission.JOBS_WRITE)
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        return await _create_from_form(request, who)
    limit = request.state.resources.settings.max_body_bytes
    asked, _ = await read_model(request, DocumentSubmit, max_bytes=limit)
    body = asked.model_dump(include=set(DocumentBody.model_fields), by_alias=True)
    return await submit(request, who.tenant_id, Endpoint.DOCUMENTS, body, asked)


async def _create_from_form(request: Request, who: Principal) -> Response:
    who.require(Permission.FILES_WRITE)
    resources: Resources = request.state.resources
    check_room(resources)
    form = await read_multipart(request, resources.blobs, resources.settings.max_document_bytes)
    if form.file is None:
        detail = "There is no part `file` in the form: add the document, or send its `file_id`."
        raise BadRequest(detail, param="file", code="missing_field")
    try:
        asked = _read_form(form)
    except BadRequest:
        await resources.blobs.delete(form.file.blob)
        raise
    file = await save(resources, form.file, tenant_id=who.tenant_id, purpose=PURPOSE)
    body = {**asked.model_dump(include=_BODY, by_alias=True), "file_id": file["id"]}
    keep = True
    try:
        response = await submit(
            request, who.tenant_id, Endpoint.DOCUMENTS, body, asked, identity=form.file.sha256
        )
        keep = REPLAYED not in response.headers
    except PenstockError as error:
        # Where the store did not answer, the job may be there and want its file.
        keep = error.code == STORE_UNAVAILABLE
        raise
    finally:
        if not keep:
            await remove(
                resources.database, resources.blobs, tenant_id=who.tenant_id, file_id=file["id"]
            )
    return response


_BODY = set(DocumentTask.model_fields)


def _read_form(form: Form) -> DocumentForm:
    fields: dict[str, Any] = dict(form.fields)
    for name in ("schema", "metadata", "webhook"):
        if name in fields:
            fields[name] = json_field(form.fields, name)
    try:
        return DocumentForm.model_validate(fields)
    except ValidationError as error:
        raise invalid_fields(error) from error


routes = [Route("/v1/documents", create, methods=["POST"])]
