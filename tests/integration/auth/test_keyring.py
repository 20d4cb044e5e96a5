"""Who a key belongs to, and for how long an answer is remembered."""

import asyncio
from dataclasses import dataclass

import pytest
from sqlalchemy import event, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from shared.auth import issuing, store
from shared.auth.keyring import MAX_REFUSED, Keyring
from shared.auth.model import ApiKey
from shared.auth.permissions import Principal, Role
from shared.clock import now_ms
from shared.database import Database
from shared.errors import Unauthenticated, Unavailable

SECRET = b"s" * 32


@dataclass
class Hands:
    """A clock that only moves when it is told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


async def tenant(database: Database) -> str:
    async with database.transaction() as db:
        return await store.ensure_tenant(db, id="ten_one", name="one", created_at=1)


def count_statements(database: Database) -> list[str]:
    seen: list[str] = []
    engines: set[AsyncEngine] = {database._reader, database._writer}
    for engine in engines:
        event.listen(
            engine.sync_engine,
            "before_cursor_execute",
            lambda _c, _cur, statement, *_rest: seen.append(statement),
        )
    return seen


def questions(statements: list[str]) -> int:
    return sum("api_key.prefix =" in each for each in statements)


async def test_a_key_is_its_tenants_and_is_asked_for_once(database: Database) -> None:
    tenant_id = await tenant(database)
    row, key = await issuing.issue(
        database, SECRET, tenant_id=tenant_id, name="a", role=Role.MEMBER
    )
    hands, seen = Hands(), count_statements(database)
    ring = Keyring(database, SECRET, monotonic=hands)

    for _ in range(5):
        assert await ring.authenticate(key) == Principal(tenant_id, row.id, Role.MEMBER)
    assert questions(seen) == 1

    hands.now += 5.1
    await ring.authenticate(key)
    assert questions(seen) == 2
    await ring.close()


async def test_many_callers_at_once_ask_one_question(database: Database) -> None:
    _, key = await issuing.issue(
        database, SECRET, tenant_id=await tenant(database), name="a", role=Role.VIEWER
    )
    seen, ring = count_statements(database), Keyring(database, SECRET)

    await asyncio.gather(*(ring.authenticate(key) for _ in range(100)))

    assert questions(seen) == 1
    await ring.close()


async def test_strangers_are_refused_and_remembered_within_bounds(database: Database) -> None:
    tenant_id = await tenant(database)
    _, key = await issuing.issue(database, SECRET, tenant_id=tenant_id, name="a", role=Role.VIEWER)
    seen, ring = count_statements(database), Keyring(database, SECRET)
    await ring.authenticate(key)

    for number in range(MAX_REFUSED + 20):
        with pytest.raises(Unauthenticated, match="not an API key"):
            await ring.authenticate(f"a stranger's key {number}")
    with pytest.raises(Unauthenticated):
        await ring.authenticate(f"a stranger's key {MAX_REFUSED}")

    assert len(ring._refused) == MAX_REFUSED
    asked = questions(seen)
    assert asked == MAX_REFUSED + 21
    await ring.authenticate(key)
    assert questions(seen) == asked
    await ring.close()


async def test_a_right_prefix_with_a_wrong_secret_is_a_stranger(database: Database) -> None:
    _, key = await issuing.issue(
        database, SECRET, tenant_id=await tenant(database), name="a", role=Role.VIEWER
    )
    forged = key[:-1] + ("0" if key[-1] != "0" else "1")

    with pytest.raises(Unauthenticated, match="not an API key"):
        await Keyring(database, SECRET).authenticate(forged)
    with pytest.raises(Unauthenticated, match="not an API key"):
        await Keyring(database, b"another server's key").authenticate(key)


@pytest.mark.parametrize("presented", ["", "short", "x" * 513])
async def test_what_cannot_be_a_key_is_not_looked_up(database: Database, presented: str) -> None:
    seen = count_statements(database)

    with pytest.raises(Unauthenticated):
        await Keyring(database, SECRET).authenticate(presented)

    assert not seen


async def test_a_revoked_key_stops_at_once_here_and_soon_elsewhere(database: Database) -> None:
    tenant_id, hands = await tenant(database), Hands()
    row, key = await issuing.issue(
        database, SECRET, tenant_id=tenant_id, name="a", role=Role.VIEWER
    )
    here, elsewhere = (Keyring(database, SECRET, monotonic=hands) for _ in range(2))
    await here.authenticate(key)
    await elsewhere.authenticate(key)

    await issuing.revoke(database, tenant_id=tenant_id, key_id=row.id)
    here.forget(row.id)

    with pytest.raises(Unauthenticated, match="was revoked"):
        await here.authenticate(key)
    await elsewhere.authenticate(key)
    hands.now += 5.1
    with pytest.raises(Unauthenticated, match="was revoked"):
        await elsewhere.authenticate(key)
    await here.close()
    await elsewhere.close()


async def test_an_expiry_is_kept_to_even_within_the_five_seconds(database: Database) -> None:
    tenant_id, hands = await tenant(database), Hands()
    row, key = await issuing.issue(
        database,
        SECRET,
        tenant_id=tenant_id,
        name="a",
        role=Role.VIEWER,
        expires_at=now_ms() + 2000,
    )
    ring = Keyring(database, SECRET, monotonic=hands)
    await ring.authenticate(key)

    async with database.transaction() as db:
        past = update(ApiKey).where(col(ApiKey.id) == row.id)
        await db.execute(past.values(expires_at=now_ms() - 1))
    hands.now += 2.1

    with pytest.raises(Unauthenticated, match="expired at 2"):
        await ring.authenticate(key)
    await ring.close()


async def test_use_is_noted_once_a_minute(database: Database) -> None:
    tenant_id, hands = await tenant(database), Hands()
    row, key = await issuing.issue(
        database, SECRET, tenant_id=tenant_id, name="a", role=Role.VIEWER
    )
    ring, seen = Keyring(database, SECRET, monotonic=hands), count_statements(database)

    for _ in range(4):
        await ring.authenticate(key)
        await ring.close()
        hands.now += 5.1

    async with database.reading() as db:
        stored = await store.get(db, tenant_id, row.id)
    assert stored is not None
    assert abs(stored.last_used_at - now_ms()) < 60_000
    assert sum("UPDATE" in each for each in seen) == 1


async def test_without_a_database_a_known_key_lasts_and_others_are_told_to_wait() -> None:
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")

    with pytest.raises(Unavailable) as caught:
        await Keyring(away, SECRET).authenticate("a key nobody can check")

    assert caught.value.retry_after_s
    await away.close()
