"""The first key, new keys, and the last one that must not go."""

import asyncio

import pytest

from shared.auth import issuing, store
from shared.auth.keyring import Keyring
from shared.auth.permissions import Principal, Role
from shared.clock import now_ms
from shared.database import Database
from shared.errors import Conflict, NotFound, Unauthenticated

SECRET = b"s" * 32
ONE, OTHER = "the-first-key-of-the-operator", "the-second-key-of-the-operator"


async def who_is(database: Database, key: str) -> Principal:
    ring = Keyring(database, SECRET)
    try:
        return await ring.authenticate(key)
    finally:
        await ring.close()


async def test_without_a_setting_one_key_is_made_and_then_no_more(database: Database) -> None:
    key = await issuing.bootstrap(database, SECRET, admin_key=None)

    assert key is not None
    assert await issuing.bootstrap(database, SECRET, admin_key=None) is None
    principal = await who_is(database, key)
    assert principal.role is Role.ADMIN


async def test_the_settings_key_works_and_is_set_once(database: Database) -> None:
    for _ in range(2):
        assert await issuing.bootstrap(database, SECRET, admin_key=ONE) is None

    principal = await who_is(database, ONE)
    assert principal.key_id == issuing.BOOTSTRAP_ID
    async with database.reading() as db:
        assert await store.count_admins(db, principal.tenant_id, besides="", at=now_ms()) == 1
        row = await store.get(db, principal.tenant_id, principal.key_id)
    assert row is not None
    assert ONE not in str(row)


async def test_another_setting_takes_the_place_of_the_first(database: Database) -> None:
    await issuing.bootstrap(database, SECRET, admin_key=ONE)
    await issuing.bootstrap(database, SECRET, admin_key=OTHER)

    assert (await who_is(database, OTHER)).role is Role.ADMIN
    with pytest.raises(Unauthenticated):
        await who_is(database, ONE)


async def test_two_processes_may_start_at_once(database: Database) -> None:
    await asyncio.gather(
        *(issuing.bootstrap(database, SECRET, admin_key=ONE) for _ in range(4)),
    )
    made = await asyncio.gather(
        *(issuing.bootstrap(database, SECRET, admin_key=None) for _ in range(4))
    )

    assert made == [None] * 4


async def test_a_revoked_setting_stays_revoked_until_it_changes(database: Database) -> None:
    await issuing.bootstrap(database, SECRET, admin_key=ONE)
    who = await who_is(database, ONE)
    await issuing.issue(database, SECRET, tenant_id=who.tenant_id, name="second", role=Role.ADMIN)
    await issuing.revoke(database, tenant_id=who.tenant_id, key_id=who.key_id)

    await issuing.bootstrap(database, SECRET, admin_key=ONE)
    with pytest.raises(Unauthenticated, match="revoked"):
        await who_is(database, ONE)

    await issuing.bootstrap(database, SECRET, admin_key=OTHER)
    assert (await who_is(database, OTHER)).key_id == issuing.BOOTSTRAP_ID


async def test_a_key_that_the_service_made_may_become_the_setting(database: Database) -> None:
    key = await issuing.bootstrap(database, SECRET, admin_key=None)
    assert key is not None

    await issuing.bootstrap(database, SECRET, admin_key=key)

    assert (await who_is(database, key)).role is Role.ADMIN


@pytest.mark.parametrize("setting", ["short", "has spaces in the middle", "schlüssel-mit-umlaut"])
async def test_a_setting_that_cannot_be_a_key_is_refused(database: Database, setting: str) -> None:
    with pytest.raises(ValueError, match="PENSTOCK_ADMIN_KEY"):
        await issuing.bootstrap(database, SECRET, admin_key=setting)


async def test_the_last_administrators_key_cannot_be_revoked(database: Database) -> None:
    await issuing.bootstrap(database, SECRET, admin_key=ONE)
    who = await who_is(database, ONE)
    ended, _ = await issuing.issue(
        database,
        SECRET,
        tenant_id=who.tenant_id,
        name="expired",
        role=Role.ADMIN,
        expires_at=now_ms() - 1,
    )
    await issuing.issue(database, SECRET, tenant_id=who.tenant_id, name="m", role=Role.MEMBER)

    with pytest.raises(Conflict) as caught:
        await issuing.revoke(database, tenant_id=who.tenant_id, key_id=who.key_id)
    assert caught.value.code == "last_admin_key"

    assert (await issuing.revoke(database, tenant_id=who.tenant_id, key_id=ended.id)).revoked_at


async def test_two_administrators_cannot_end_each_other_at_once(database: Database) -> None:
    await issuing.bootstrap(database, SECRET, admin_key=ONE)
    who = await who_is(database, ONE)
    last = who.key_id

    # The first rounds only warm the pool: a race needs two connections that are open already.
    for _ in range(10):
        second, _ = await issuing.issue(
            database, SECRET, tenant_id=who.tenant_id, name="second", role=Role.ADMIN
        )
        pair = [last, second.id]
        outcomes = await asyncio.gather(
            *(issuing.revoke(database, tenant_id=who.tenant_id, key_id=each) for each in pair),
            return_exceptions=True,
        )
        refused = [isinstance(each, Conflict) for each in outcomes]
        assert sorted(refused) == [False, True]
        last = pair[refused.index(True)]


async def test_revoking_twice_keeps_the_first_time_and_strangers_find_nothing(
    database: Database,
) -> None:
    await issuing.bootstrap(database, SECRET, admin_key=ONE)
    who = await who_is(database, ONE)
    row, _ = await issuing.issue(
        database, SECRET, tenant_id=who.tenant_id, name="m", role=Role.MEMBER
    )

    with pytest.raises(NotFound):
        await issuing.revoke(database, tenant_id="ten_other", key_id=row.id)
    first = await issuing.revoke(database, tenant_id=who.tenant_id, key_id=row.id)
    again = await issuing.revoke(database, tenant_id=who.tenant_id, key_id=row.id)

    assert first.revoked_at is not None
    assert again.revoked_at == first.revoked_at
