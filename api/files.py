"""`/v1/files`: upload, list, get, download, delete, in OpenAI's shapes."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy import Row, RowMapping
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api.auth import principal
from api.multipart import ReceivedFile, read_multipart
from api.pagination import list_page, moment_of, read_page, whole_number
from shared.auth.permissions import Permission
from shared.clock import now_ms
from shared.errors import BadRequest, NotFound, Unavailable
from shared.files import removal, store
from shared.ids import new_id
from shared.resources import Resources

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
LISTED_PURPOSES = (*PURPOSES, "assistants_output", "batch_output", "fine-tune-results")
BATCH = "batch"
MAX_LISTED = 10_000
KNOWN = {"after", "limit", "order", "purpose"}
SHORTEST_LIFE_S, LONGEST_LIFE_S = 3600, 2_592_000
BATCH_LIFE_S = LONGEST_LIFE_S
_ANCHOR, _SECONDS = "expires_after[anchor]", "expires_after[seconds]"


async def create(request: Request) -> Response:
    """Stream a file into the blob store, then store its row: what is answered is safe."""
    return _answer(public_file(await receive(request)))


async def receive(
    request: Request, check: Callable[[Mapping[str, str]], None] | None = None
) -> Mapping[str, Any]:
    """Store the file of a form and return its row; `check` refuses fields that are not as they should be.

    Raises:
        BadRequest, TooLarge, Unavailable: nothing was stored.
    """
    who = await principal(request, Permission.FILES_WRITE)
    resources: Resources = request.state.resources
    check_room(resources)
    most = resources.settings.max_file_bytes
    form = await read_multipart(
        request, resources.blobs, most, limit=lambda fields: _checked(fields, most)
    )
    if form.file is None:
        detail = "The form has no file: send it in a part called `file` that has a filename."
        raise BadRequest(detail, param="file", code="missing_field")
    try:
        if check is not None:
            check(form.fields)
        purpose, life_s = _purpose(form.fields), _life_s(form.fields)
    except BadRequest:
        await resources.blobs.delete(form.file.blob)
        raise
    return await save(resources, form.file, tenant_id=who.tenant_id, purpose=purpose, life_s=life_s)


async def save(
    resources: Resources,
    file: ReceivedFile,
    *,
    tenant_id: str,
    purpose: str,
    life_s: int | None = None,
) -> Mapping[str, Any]:
    """Store the row of a received file and return it; without `life_s` it is kept until deleted.

    When this fails nobody may delete the blob: a commit whose answer got lost may have happened.
    """
    row = file_row(file, tenant_id=tenant_id, purpose=purpose, life_s=life_s)
    async with resources.database.transaction() as db:
        await store.insert_file(db, row)
    return row


def file_row(
    file: ReceivedFile, *, tenant_id: str, purpose: str, life_s: int | None = None
) -> dict[str, Any]:
    """Return the row of a file whose bytes are safe."""
    file_id = new_id("file").replace("_", "-", 1)
    created_at = moment_of(file_id) or now_ms()
    return {
        "id": file_id,
        "tenant_id": tenant_id,
        "filename": file.filename,
        "purpose": purpose,
        "content_type": file.content_type,
        # So that the size of a batch is known before it is read.
        "lines": file.lines if purpose == BATCH else None,
        "bytes": file.size,
        "sha256": file.sha256,
        "blob": file.blob,
        "created_at": created_at,
        "expires_at": None if life_s is None else created_at + life_s * 1000,
    }


def check_room(resources: Resources) -> None:
    """Refuse an upload while the disk is nearly full.

    Raises:
        Unavailable: there is less room than the service keeps for itself.
    """
    free = resources.blobs.free_bytes()
    if free is not None and free < resources.settings.min_free_disk_bytes:
        detail = "The disk of the service is nearly full: nothing was stored. Try again later."
        raise Unavailable(detail, code="disk_full", retry_after_s=60)


async def index(request: Request) -> Response:
    """List files, newest first."""
    who = await principal(request, Permission.FILES_READ)
    # A misspelt filter that is passed over would return everything.
    for name in request.query_params:
        if name not in KNOWN:
            known = ", ".join(sorted(KNOWN))
            detail = f"`{name[:64]}` is no filter of this list: it takes {known}."
            raise BadRequest(detail, param=name[:64])
    purpose = request.query_params.get("purpose")
    if purpose is not None and purpose not in LISTED_PURPOSES:
        detail = f"`purpose` must be one of {', '.join(LISTED_PURPOSES)}."
        raise BadRequest(detail, param="purpose")
    page = read_page(request, default_limit=MAX_LISTED, max_limit=MAX_LISTED, timed_ids=True)
    async with request.state.resources.database.reading() as db:
        rows = await store.page(
            db,
            who.tenant_id,
            purpose=purpose,
            after=page.after,
            ascending=page.ascending,
            limit=page.limit + 1,
        )
    shown = [public_file(row) for row in rows[: page.limit]]
    return _answer(list_page(rows, shown, page))


async def get(request: Request) -> Response:
    """Return the file object."""
    file = await find(request)
    return _answer(public_file(file._asdict()))


async def content(request: Request) -> Response:
    """Stream the bytes as they were uploaded."""
    file = await find(request)
    pieces = request.state.resources.blobs.stream(file.blob)
    # A blob that is not there must be found out before the head of the response is sent.
    first = await anext(pieces, b"")

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    headers = {
        "Content-Type": file.content_type or "application/octet-stream",
        "Content-Length": str(file.bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}",
        # Whatever a stranger uploaded must not run in a browser under our name.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
    }
    return StreamingResponse(body(), headers=headers)


async def delete(request: Request) -> Response:
    """Delete a file and its bytes."""
    who = await principal(request, Permission.FILES_WRITE)
    resources: Resources = request.state.resources
    file_id = request.path_params["file_id"]
    known = moment_of(file_id) is not None and await removal.remove(
        resources.database, resources.blobs, tenant_id=who.tenant_id, file_id=file_id
    )
    if not known:
        raise _no_such_file(file_id)
    return _answer({"id": file_id, "object": "file", "deleted": True})


def public_file(row: Mapping[str, Any] | RowMapping) -> dict[str, Any]:
    """Return OpenAI's file object; its times are in seconds."""
    expires_at = row["expires_at"]
    return {
        "id": row["id"],
        "object": "file",
        "bytes": row["bytes"],
        "created_at": row["created_at"] // 1000,
        "expires_at": None if expires_at is None else expires_at // 1000,
        "filename": row["filename"],
        "purpose": row["purpose"],
        # Clients poll for it: nothing is left to be done once a file is stored.
        "status": "processed",
        "status_details": None,
    }


async def find(request: Request) -> Row[Any]:
    """Return the file that the path names.

    Raises:
        NotFound: the tenant has no such file.
    """
    who = await principal(request, Permission.FILES_READ)
    file_id = request.path_params["file_id"]
    file = None
    if moment_of(file_id) is not None:
        async with request.state.resources.database.reading() as db:
            file = await store.get(db, who.tenant_id, file_id)
    if file is None:
        raise _no_such_file(file_id)
    return file


def _no_such_file(file_id: str) -> NotFound:
    detail = f"There is no file `{file_id[:64]}`."
    return NotFound(detail, code="file_not_found", param="file_id")


def _checked(fields: Mapping[str, str], most: int) -> int:
    # `purpose` usually stands before the file: a wrong one is refused before the upload.
    if "purpose" in fields:
        _purpose(fields)
    return most


def _purpose(fields: Mapping[str, str]) -> str:
    purpose = fields.get("purpose")
    if purpose in PURPOSES:
        return purpose
    detail = f"`purpose` must be one of {', '.join(PURPOSES)}."
    code = "missing_field" if purpose is None else "invalid_field"
    raise BadRequest(detail, param="purpose", code=code)


def _life_s(fields: Mapping[str, str]) -> int | None:
    text = fields.get(_SECONDS)
    if text is None and _ANCHOR not in fields:
        return BATCH_LIFE_S if fields.get("purpose") == BATCH else None
    if fields.get(_ANCHOR) != "created_at":
        detail = f"`{_ANCHOR}` must be `created_at`."
        raise BadRequest(detail, param=_ANCHOR)
    seconds = whole_number(text or "", most=LONGEST_LIFE_S)
    if seconds is None or seconds < SHORTEST_LIFE_S:
        detail = f"`{_SECONDS}` must be a whole number from {SHORTEST_LIFE_S} to {LONGEST_LIFE_S}."
        raise BadRequest(detail, param=_SECONDS)
    return seconds


def _answer(value: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


routes = [
    Route("/v1/files", create, methods=["POST"]),
    Route("/v1/files", index, methods=["GET"]),
    Route("/v1/files/{file_id}", get, methods=["GET"]),
    Route("/v1/files/{file_id}", delete, methods=["DELETE"]),
    Route("/v1/files/{file_id}/content", content, methods=["GET"]),
]
