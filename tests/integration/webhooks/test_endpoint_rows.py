"""Rows of endpoints and secrets, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared import migrate
from shared.database import Database, Row
from shared.webhooks import replay_store, store
from shared.webhooks.secrets import SecretBox, new_secret

BOX = SecretBox(b"the server's key")
MINE, THEIRS = "ten_mine", "ten_theirs"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    await migrate.upgrade(opened)
    yield opened
    await opened.close()


async def add(database: Database, endpoint_id: str = "whe_1", **changes: Any) -> str:
    row = {
        "id": endpoint_id,
        "tenant_id": MINE,
        "name": "a receiver",
        "url": "https://example.com/1",
        "event_types": ["job.completed"],
        "created_at": 1_000,
        "updated_at": 1_000,
        "secret": BOX.seal("whsec_first"),
    }
    async with database.transaction() as db:
        await store.insert_endpoint(db, {**row, **changes})
    return endpoint_id


async def deliver(database: Database, endpoint_id: str, **changes: Any) -> str:
    delivery_id = f"dlv_{endpoint_id}_{len(changes)}"
    row = {
        "id": delivery_id,
        "tenant_id": MINE,
        "endpoint_id": endpoint_id,
        "target": endpoint_id,
        "url": "https://example.com/1",
        "event_id": "evt_x_1",
        "event_type": "job.completed",
        "job_id": "job_x",
        "body": b"{}",
    }
    async with database.transaction() as db:
        await replay_store.add_once(db, {**row, **changes})
    return delivery_id


async def found(database: Database, endpoint_id: str = "whe_1", tenant_id: str = MINE) -> Row:
    async with database.reading() as db:
        row = await store.get(db, tenant_id, endpoint_id)
    assert row is not None
    return row


async def delivery(database: Database, delivery_id: str) -> Row:
    async with database.reading() as db:
        row = await replay_store.get(db, MINE, delivery_id)
    assert row is not None
    return row


async def test_an_endpoint_is_its_tenants_alone(database: Database) -> None:
    await add(database)
    async with database.transaction() as db:
        assert await store.get(db, THEIRS, "whe_1") is None
        await store.change(db, THEIRS, "whe_1", {"name": "stolen"})
        await store.rotate(db, THEIRS, "whe_1", b"x", keep_old=False)
        assert await store.delete(db, THEIRS, "whe_1") is False
        assert await store.count(db, THEIRS) == 0
        assert await store.page(db, THEIRS, after=None, ascending=True, limit=9) == []
    row = await found(database)
    assert (row["name"], row["updated_at"]) == ("a receiver", 1_000)
    assert BOX.open(row["secret"]) == "whsec_first"


async def test_pages_go_on_behind_a_place(database: Database) -> None:
    for number in range(5):
        await add(database, f"whe_{number}", created_at=1_000 + number // 2)
    async with database.reading() as db:
        first = await store.page(db, MINE, after=None, ascending=False, limit=2)
        last = first[-1]
        rest = await store.page(
            db, MINE, after=(last["created_at"], last["id"]), ascending=False, limit=9
        )
    assert [row["id"] for row in [*first, *rest]] == [f"whe_{n}" for n in (4, 3, 2, 1, 0)]


async def test_a_new_url_holds_for_what_waits(database: Database) -> None:
    await add(database)
    waiting = await deliver(database, "whe_1")
    other = await deliver(database, "whe_2")
    async with database.transaction() as db:
        await store.change(db, MINE, "whe_1", {"url": "https://example.com/2"})
    assert (await found(database))["url"] == "https://example.com/2"
    assert (await found(database))["updated_at"] > 1_000
    assert (await delivery(database, waiting))["url"] == "https://example.com/2"
    assert (await delivery(database, other))["url"] == "https://example.com/1"


async def test_disabling_skips_what_waits_and_enabling_forgets_the_failures(
    database: Database,
) -> None:
    await add(database, failing_since=5, failures=12)
    waiting = await deliver(database, "whe_1")
    in_hand = await deliver(database, "whe_1", owner="worker", lease_expires_at=2**50)
    async with database.transaction() as db:
        assert await store.disable(db, "whe_1", reason="gone") is True
        assert await store.disable(db, "whe_1", reason="again") is False
    row = await found(database)
    assert row["disabled_at"] > 1_000
    assert (row["disabled_reason"], row["failures"]) == ("gone", 12)
    assert (await delivery(database, waiting))["state"] == "skipped"
    assert (await delivery(database, waiting))["next_try_at"] is None
    assert (await delivery(database, in_hand))["state"] == "pending"
    async with database.transaction() as db:
        await store.enable(db, MINE, "whe_1")
    row = await found(database)
    assert [row[name] for name in ("disabled_at", "disabled_reason", "failing_since")] == [None] * 3
    assert row["failures"] == 0


async def test_enabling_what_listens_keeps_its_record(database: Database) -> None:
    await add(database, failing_since=5, failures=12)
    async with database.transaction() as db:
        await store.enable(db, MINE, "whe_1")
    row = await found(database)
    assert (row["failures"], row["updated_at"]) == (12, 1_000)


async def test_a_deleted_endpoint_is_out_of_sight_and_signs_no_more(database: Database) -> None:
    await add(database)
    waiting = await deliver(database, "whe_1")
    async with database.transaction() as db:
        assert await store.delete(db, MINE, "whe_1") is True
        assert await store.delete(db, MINE, "whe_1") is False
        assert await store.get(db, MINE, "whe_1") is None
        assert await store.count(db, MINE) == 0
    assert (await delivery(database, waiting))["state"] == "skipped"


@pytest.mark.parametrize("keep_old", [True, False])
async def test_a_rotation_moves_the_old_secret_over_for_a_day(
    database: Database, *, keep_old: bool
) -> None:
    await add(database)
    async with database.transaction() as db:
        await store.rotate(db, MINE, "whe_1", BOX.seal("whsec_second"), keep_old=keep_old)
        await store.ensure_secret(db, MINE, BOX)
        own = await store.secret_of(db, MINE)
        await store.rotate_secret(db, MINE, BOX.seal("whsec_other"), keep_old=keep_old)
        after = await store.secret_of(db, MINE)
    row = await found(database)
    assert BOX.open(row["secret"]) == "whsec_second"
    assert own is not None
    assert after is not None
    assert BOX.open(after["secret"]) == "whsec_other"
    if not keep_old:
        for each in (row, after):
            assert (each["old_secret"], each["old_secret_until"]) == (None, None)
        return
    assert BOX.open(row["old_secret"]) == "whsec_first"
    assert BOX.open(after["old_secret"]) == BOX.open(own["secret"])
    for each in (row, after):
        assert abs(each["old_secret_until"] - row["updated_at"] - store.OVERLAP_MS) < 5_000


async def test_a_second_rotation_forgets_the_first_secret(database: Database) -> None:
    await add(database)
    async with database.transaction() as db:
        await store.rotate(db, MINE, "whe_1", BOX.seal("whsec_second"), keep_old=True)
        await store.rotate(db, MINE, "whe_1", BOX.seal("whsec_third"), keep_old=True)
    row = await found(database)
    assert BOX.open(row["secret"]) == "whsec_third"
    assert BOX.open(row["old_secret"]) == "whsec_second"


async def test_a_tenants_secret_is_made_once_however_many_ask(database: Database) -> None:
    async def ask() -> str:
        async with database.transaction() as db:
            return BOX.open((await store.ensure_secret(db, MINE, BOX))["secret"])

    assert len(set(await asyncio.gather(*(ask() for _ in range(6))))) == 1
    async with database.transaction() as db:
        theirs = await store.ensure_secret(db, THEIRS, BOX)
    assert BOX.open(theirs["secret"]) != await ask()
    assert len(BOX.open(theirs["secret"])) == len(new_secret())
