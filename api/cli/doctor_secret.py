"""The doctor on the server's secret key: what this database keeps must open with it."""

from sqlalchemy.ext.asyncio import AsyncConnection

from api.cli.configuration import read_admin_key
from api.cli.finding import Finding, fail, ok
from shared import crypto
from shared.auth import keys
from shared.auth import store as auth_store
from shared.resources import secret_key
from shared.routing import store as routing_store
from shared.routing.sealing import KeyBox, KeysUnreadable
from shared.routing.stored_model import StoredDeployment
from shared.settings import Settings

PART = "secret key"
RESTORE = "restore PENSTOCK_SECRET_KEY, or `secret.key` in the data folder"


async def examine(db: AsyncConnection, settings: Settings) -> Finding:
    """Judge whether the administrator's key works and the providers' stored keys open."""
    if settings.secret_key is None and not (settings.data_dir / "secret.key").exists():
        # Looking must not make a new one.
        return fail(PART, f"there is none, and no key works with a new one: {RESTORE}")
    try:
        own = secret_key(settings)
    except ValueError:
        return fail(PART, f"`secret.key` in the data folder is damaged: {RESTORE}")
    if await _is_strange(db, own, read_admin_key(settings)):
        return fail(PART, f"this database's API keys were made with another one: {RESTORE}")
    if shut := await _shut(db, own):
        words = f"the stored keys of {', '.join(shut)} were sealed with another one: {RESTORE}"
        return fail(PART, f"{words}, or give them again")
    return ok(PART, "what is stored opens with it")


async def _is_strange(db: AsyncConnection, own: bytes, presented: str | None) -> bool:
    if presented is None:
        return False
    shown = keys.read(own, presented)
    found = await auth_store.find(db, shown.prefix)
    return found is not None and not crypto.same(found.digest, shown.digest)


async def _shut(db: AsyncConnection, own: bytes) -> list[str]:
    box, shut = KeyBox(own), list[str]()
    for row in await routing_store.every(db, StoredDeployment):
        try:
            box.open(row["name"], row["sealed"])
        except KeysUnreadable:
            shut.append(row["name"])
    return shut
