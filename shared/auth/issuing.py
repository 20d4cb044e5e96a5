"""Making and ending keys, and the first one of all."""

from typing import Any

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import clock
from shared.auth import keys, store
from shared.auth.model import DEFAULT_TENANT
from shared.auth.permissions import Role
from shared.database import Database
from shared.errors import Conflict, NotFound
from shared.ids import new_id

BOOTSTRAP_ID = "key_bootstrap"
log = structlog.get_logger()


async def issue(
    database: Database,
    secret_key: bytes,
    *,
    tenant_id: str,
    name: str,
    role: Role,
    expires_at: int | None = None,
) -> tuple[Row[Any], str]:
    """Make a key; return its row and the key itself, which cannot be had again."""
    minted = keys.mint(secret_key)
    key_id = new_id("key")
    async with database.transaction() as db:
        row = _row(key_id, tenant_id, name, role, minted)
        await store.insert_key(db, {**row, "expires_at": expires_at})
        stored = await store.get(db, tenant_id, key_id)
    if stored is None:
        message = f"the key {key_id} was stored and is not there"
        raise RuntimeError(message)
    return stored, minted.plaintext


async def revoke(database: Database, *, tenant_id: str, key_id: str) -> Row[Any]:
    """End a key of the tenant and return its row; ending it again changes nothing.

    Raises:
        NotFound: the tenant has no such key.
        Conflict: it is the last administrator's key that works.
    """
    async with database.transaction() as db:
        # Two administrators who end each other's key at once must not both succeed.
        await store.lock_tenant(db, tenant_id)
        key = await store.get(db, tenant_id, key_id)
        if key is None:
            detail = f"There is no API key {key_id}."
            raise NotFound(detail, code="key_not_found", param="id")
        now = clock.now_ms()
        if await _is_last_admin(db, key, now):
            detail = (
                "This is the last administrator's key that works; without it nobody could make"
                " another one. Create a new one with the role `admin` first, then revoke this one."
            )
            raise Conflict(detail, code="last_admin_key")
        await store.revoke(db, tenant_id, key_id, at=now)
        revoked = await store.get(db, tenant_id, key_id)
    return revoked or key


async def bootstrap(database: Database, secret_key: bytes, *, admin_key: str | None) -> str | None:
    """Make sure that there are the default tenant and an administrator's key for it.

    With `admin_key` (the operator's setting) exactly that key works; another value at the next
    start takes its place, and a revoked one stays revoked until the setting changes.
    Without it a key is made if no administrator's key works.

    Returns:
        The new key, if one was made: store it, it cannot be had again.

    Raises:
        ValueError: the setting is too short, or no key that a header can carry.
    """
    now = clock.now_ms()
    async with database.transaction() as db:
        tenant_id = await store.ensure_tenant(
            db, id=new_id("ten"), name=DEFAULT_TENANT, created_at=now
        )
        await store.lock_tenant(db, tenant_id)
        if admin_key is not None:
            await _install(db, secret_key, tenant_id, admin_key)
            return None
        if await store.count_admins(db, tenant_id, besides="", at=now):
            return None
        minted = keys.mint(secret_key)
        row = _row(new_id("key"), tenant_id, "bootstrap", Role.ADMIN, minted)
        await store.insert_key(db, row)
    return minted.plaintext


async def _install(db: AsyncConnection, secret_key: bytes, tenant_id: str, admin_key: str) -> None:
    _check(admin_key)
    shown = keys.read(secret_key, admin_key)
    found = await store.find(db, shown.prefix)
    if found is None or found.id == BOOTSTRAP_ID:
        row = _row(BOOTSTRAP_ID, tenant_id, "bootstrap", Role.ADMIN, shown)
        await store.replace_secret(db, row)
    elif found.digest != shown.digest or found.role != Role.ADMIN:
        message = f"PENSTOCK_ADMIN_KEY clashes with the key {found.id}: choose another value"
        raise ValueError(message)
    if found is not None and found.revoked_at is not None and found.digest == shown.digest:
        log.warning("auth.admin_key_is_revoked", key_id=found.id)


def _check(admin_key: str) -> None:
    if not keys.MIN_LENGTH <= len(admin_key) <= keys.MAX_LENGTH:
        message = (
            f"PENSTOCK_ADMIN_KEY has {len(admin_key)} characters:"
            f" it must have {keys.MIN_LENGTH} to {keys.MAX_LENGTH}"
        )
        raise ValueError(message)
    if not (admin_key.isascii() and admin_key.isprintable()) or " " in admin_key:
        message = "PENSTOCK_ADMIN_KEY may only have printable ASCII characters without spaces"
        raise ValueError(message)


async def _is_last_admin(db: AsyncConnection, key: Row[Any], now: int) -> bool:
    works = key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
    if key.role != Role.ADMIN or not works:
        return False
    return not await store.count_admins(db, key.tenant_id, besides=key.id, at=now)


def _row(
    key_id: str, tenant_id: str, name: str, role: Role, secret: keys.Minted | keys.Presented
) -> dict[str, Any]:
    return {
        "id": key_id,
        "tenant_id": tenant_id,
        "name": name,
        "role": role.value,
        "prefix": secret.prefix,
        "digest": secret.digest,
        "created_at": clock.now_ms(),
    }
