"""Mistral's `files`: the same files, with the members that its clients insist on."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import RowMapping
from starlette.requests import Request
from starlette.responses import Response

from api.auth import principal
from api.files import BATCH, LISTED_PURPOSES, content, find, receive
from api.mistral.numbered import read_numbered, refuse_filters
from shared.auth.permissions import Permission
from shared.batches.outputs import OUTPUT_PURPOSE
from shared.errors import BadRequest
from shared.files import store

FILTERS = ("page", "page_size", "include_total", "purpose")
ALL = "workspace"
_OF_ERRORS = "_error.jsonl"


async def create(request: Request) -> Response:
    """Store an uploaded file."""
    return _answer(mistral_file(await receive(request, _check)))


async def index(request: Request) -> Response:
    """List a page of files, newest first."""
    who = await principal(request, Permission.FILES_READ)
    refuse_filters(request, FILTERS)
    purpose = request.query_params.get("purpose")
    if purpose is not None and purpose not in LISTED_PURPOSES:
        detail = f"`purpose` must be one of {', '.join(LISTED_PURPOSES)}."
        raise BadRequest(detail, param="purpose")
    page = read_numbered(request)
    async with request.state.resources.database.reading() as db:
        rows = await store.page(
            db,
            who.tenant_id,
            purpose=purpose,
            after=None,
            ascending=False,
            limit=page.size,
            offset=page.offset,
        )
        total = await store.count(db, who.tenant_id, purpose=purpose)
    data = [mistral_file(row) for row in rows]
    counted = {} if request.query_params.get("include_total") == "false" else {"total": total}
    return _answer({"object": "list", "data": data, **counted})


async def get(request: Request) -> Response:
    """Return the file object."""
    file = await find(request)
    return _answer({**mistral_file(file._asdict()), "deleted": False})


async def download(request: Request) -> Response:
    """Stream the bytes: of no particular kind, for these clients take no other."""
    response = await content(request)
    response.headers["content-type"] = "application/octet-stream"
    return response


def mistral_file(row: Mapping[str, Any] | RowMapping) -> dict[str, Any]:
    """Return Mistral's file object; its times are in seconds."""
    made_here = row["purpose"] == OUTPUT_PURPOSE
    expires_at = row["expires_at"]
    return {
        "id": row["id"],
        "object": "file",
        "bytes": row["bytes"],
        "created_at": row["created_at"] // 1000,
        "filename": row["filename"],
        "purpose": BATCH if made_here else row["purpose"],
        "sample_type": _sample_type(row),
        "source": "mistral" if made_here else "upload",
        "num_lines": row["lines"],
        "mimetype": row["content_type"],
        "signature": None,
        "expires_at": None if expires_at is None else expires_at // 1000,
        "visibility": ALL,
    }


def _sample_type(row: Mapping[str, Any] | RowMapping) -> str:
    if row["purpose"] == OUTPUT_PURPOSE:
        return "batch_error" if row["filename"].endswith(_OF_ERRORS) else "batch_result"
    return "batch_request" if row["purpose"] == BATCH else "instruct"


def _check(fields: Mapping[str, str]) -> None:
    if fields.get("visibility", ALL) != ALL:
        detail = f"`visibility` must be `{ALL}`: whoever has a key of the tenant sees its files."
        raise BadRequest(detail, param="visibility")
    if "expiry" in fields:
        detail = (
            "`expiry` is not taken here: send `expires_after[anchor]` and `expires_after[seconds]`."
        )
        raise BadRequest(detail, param="expiry")


def _answer(value: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
