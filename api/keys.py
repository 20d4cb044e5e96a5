"""`/v1/keys`: an administrator makes, lists and revokes the keys of the tenant."""

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import RowMapping
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.body import read_model
from api.pagination import Position, find_page, list_page
from shared.auth import issuing, store
from shared.auth.permissions import Permission, Role
from shared.clock import from_datetime, now_ms, rfc3339
from shared.errors import BadRequest
from shared.resources import Resources

CREATED = 201
MAX_BODY_BYTES = 16 * 1024
LONGEST_LIFE_S = 10 * 366 * 24 * 3600


def _printable(value: str) -> str:
    if not value.isprintable():
        message = "must be printable characters"
        raise ValueError(message)
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_printable)]


class KeyCreate(BaseModel):
    """`POST /v1/keys`: without `expires_in_s` and `expires_at` the key works until it is revoked."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="What the key is for, in your own words.")
    role: Role = Field(Role.MEMBER, description="What the key may do.")
    expires_in_s: int | None = Field(
        None, ge=1, le=LONGEST_LIFE_S, description="Seconds from now until it stops working."
    )
    expires_at: AwareDatetime | None = Field(None, description="When it stops working.")


async def create(request: Request) -> Response:
    """Make a key. The answer is the only place where it ever stands."""
    who = await principal(request, Permission.KEYS_MANAGE)
    asked, _ = await read_model(request, KeyCreate, max_bytes=MAX_BODY_BYTES)
    resources: Resources = request.state.resources
    row, plaintext = await issuing.issue(
        resources.database,
        resources.secret_key,
        tenant_id=who.tenant_id,
        name=asked.name,
        role=asked.role,
        expires_at=_expiry(asked),
    )
    headers = {"Cache-Control": "no-store"}
    body = {**public_key(row._asdict()), "key": plaintext}
    return Response(orjson.dumps(body), CREATED, headers, "application/json")


async def index(request: Request) -> Response:
    """List the tenant's keys, newest first, the revoked ones too."""
    who = await principal(request, Permission.KEYS_MANAGE)
    resources: Resources = request.state.resources
    async with resources.database.reading() as db:

        async def find(key_id: str) -> Position | None:
            row = await store.get(db, who.tenant_id, key_id)
            return None if row is None else (row.created_at, row.id)

        page = await find_page(request, find)
        rows = await store.page(
            db,
            who.tenant_id,
            after=page.after,
            ascending=page.ascending,
            limit=page.limit + 1,
        )
    shown = [public_key(row) for row in rows[: page.limit]]
    return _answer(list_page(rows, shown, page))


async def revoke(request: Request) -> Response:
    """End a key: at once in this process, within seconds in the others."""
    who = await principal(request, Permission.KEYS_MANAGE)
    resources: Resources = request.state.resources
    key_id = request.path_params["key_id"]
    row = await issuing.revoke(resources.database, tenant_id=who.tenant_id, key_id=key_id)
    request.state.keyring.forget(row.id)
    return _answer(public_key(row._asdict()))


def public_key(row: Mapping[str, Any] | RowMapping) -> dict[str, Any]:
    """Return the key as its tenant may see it: never the key itself."""
    return {
        "id": row["id"],
        "object": "api_key",
        "name": row["name"],
        "role": row["role"],
        "prefix": row["prefix"],
        "status": _status(row),
        "created_at": rfc3339(row["created_at"]),
        "expires_at": rfc3339(row["expires_at"]),
        "revoked_at": rfc3339(row["revoked_at"]),
        "last_used_at": rfc3339(row["last_used_at"]),
    }


def _status(row: Mapping[str, Any] | RowMapping) -> str:
    if row["revoked_at"] is not None:
        return "revoked"
    expired = row["expires_at"] is not None and row["expires_at"] <= now_ms()
    return "expired" if expired else "active"


def _expiry(asked: KeyCreate) -> int | None:
    if asked.expires_in_s is not None and asked.expires_at is not None:
        detail = "Give `expires_in_s` or `expires_at`, not both."
        raise BadRequest(detail, param="expires_at")
    if asked.expires_in_s is not None:
        return now_ms() + asked.expires_in_s * 1000
    if asked.expires_at is None:
        return None
    moment = from_datetime(asked.expires_at, param="expires_at")
    if moment <= now_ms():
        detail = "`expires_at` is in the past: name a time to come."
        raise BadRequest(detail, param="expires_at")
    return moment


def _answer(value: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


routes = [
    Route("/v1/keys", create, methods=["POST"]),
    Route("/v1/keys", index, methods=["GET"]),
    Route("/v1/keys/{key_id}", revoke, methods=["DELETE"]),
]
