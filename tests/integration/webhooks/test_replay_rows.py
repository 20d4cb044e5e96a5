"""What a tenant reads of deliveries and may send again, on both databases."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert, update

from shared import migrate
from shared.database import Database, Row
from shared.webhooks import replay_store, store
from shared.webhooks.model import WebhookDelivery, WebhookTry
from shared.webhooks.replay_store import Filters

MINE, THEIRS = "ten_mine", "ten_theirs"
OLD, NEW = "https://example.com/old", "https://example.com/new"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    await migrate.upgrade(opened)
    row = {"id": "whe_1", "tenant_id": MINE, "name": "r", "url": NEW, "event_types": []}
    async with opened.transaction() as db:
        await store.insert_endpoint(db, {**row, "created_at": 1, "secret": b""})
    yield opened
    await opened.close()


async def add(database: Database, delivery_id: str, **changes: Any) -> str:
    row = {
        "id": delivery_id,
        "tenant_id": MINE,
        "endpoint_id": "whe_1",
        "target": "whe_1",
        "url": OLD,
        "event_id": "evt_x_1",
        "event_type": "job.completed",
        "job_id": "job_x",
        "body": b'{"id":"evt_x_1"}',
        "state": "failed",
        "tries": 3,
        "claim_number": 3,
        "created_at": 1_000,
        "finished_at": 2_000,
    }
    async with database.transaction() as db:
        await db.execute(insert(WebhookDelivery).values(**{**row, **changes}))
    return delivery_id


async def found(database: Database, delivery_id: str) -> Row:
    async with database.reading() as db:
        row = await replay_store.get(db, MINE, delivery_id)
    assert row is not None
    return row


async def ids(database: Database, tenant_id: str = MINE, **narrowed: str) -> list[str]:
    async with database.reading() as db:
        rows = await replay_store.page(
            db, tenant_id, Filters(**narrowed), after=None, ascending=True, limit=99
        )
    return [row["id"] for row in rows]


async def resend(database: Database, delivery_id: str, tenant_id: str = MINE) -> Row:
    async with database.transaction() as db:
        await replay_store.resend(db, tenant_id, delivery_id)
    return await found(database, delivery_id)


async def recover(database: Database, *, tenant_id: str = MINE, **span: int) -> int:
    asked = {"since": 0, "until": 2**50, "limit": 100, **span}
    async with database.transaction() as db:
        return await replay_store.recover(db, tenant_id, "whe_1", **asked)


async def test_a_list_is_narrowed_by_everything_at_once(database: Database) -> None:
    await add(database, "dlv_1")
    await add(database, "dlv_2", job_id="job_y", created_at=999)
    await add(database, "dlv_3", state="skipped")
    await add(database, "dlv_4", event_type="job.failed", endpoint_id=None)
    await add(database, "dlv_5", tenant_id=THEIRS)
    assert await ids(database) == ["dlv_2", "dlv_1", "dlv_3", "dlv_4"]
    assert await ids(database, THEIRS) == ["dlv_5"]
    assert await ids(database, job_id="job_x", state="failed") == ["dlv_1", "dlv_4"]
    assert await ids(database, endpoint_id="whe_1", event_type="job.failed") == []


async def test_a_page_leaves_the_bodies_where_they_are(database: Database) -> None:
    await add(database, "dlv_1")
    async with database.reading() as db:
        (row,) = await replay_store.page(
            db, MINE, Filters(), after=(1_000, "dlv_0"), ascending=True, limit=1
        )
    assert "body" not in row
    assert bytes((await found(database, "dlv_1"))["body"]) == b'{"id":"evt_x_1"}'


async def test_tries_are_in_order(database: Database) -> None:
    tries = [
        {"delivery_id": "dlv_1", "number": number, "started_at": 1, "total_ms": 1, "manual": False}
        for number in (10, 2, 1)
    ]
    async with database.transaction() as db:
        await db.execute(insert(WebhookTry), tries)
        rows = await replay_store.tries_of(db, "dlv_1")
    assert [row["number"] for row in rows] == [1, 2, 10]


@pytest.mark.parametrize("state", ["delivered", "failed", "skipped"])
async def test_what_had_ended_is_due_by_hand(database: Database, state: str) -> None:
    await add(database, "dlv_1", state=state)
    row = await resend(database, "dlv_1")
    assert row["state"] == "pending"
    assert row["finished_at"] == row["next_try_at"] > 2_000
    assert (row["tries"], row["url"]) == (3, NEW)


async def test_what_waits_comes_early_and_keeps_its_schedule(database: Database) -> None:
    far = 2**50
    await add(database, "dlv_1", state="pending", next_try_at=far, finished_at=None)
    row = await resend(database, "dlv_1")
    assert row["next_try_at"] < far
    assert row["finished_at"] is None


async def test_what_is_in_hand_is_left_alone_until_its_lease_ends(database: Database) -> None:
    held = {"state": "pending", "next_try_at": 7, "owner": "w", "finished_at": None}
    await add(database, "dlv_1", **held, lease_expires_at=2**50)
    await add(database, "dlv_2", **held, lease_expires_at=8)
    assert (await resend(database, "dlv_1"))["next_try_at"] == 7
    assert (await resend(database, "dlv_2"))["next_try_at"] > 7


async def test_a_jobs_own_url_stays_and_other_tenants_reach_nothing(database: Database) -> None:
    await add(database, "dlv_1", endpoint_id=None)
    assert (await resend(database, "dlv_1", THEIRS))["state"] == "failed"
    assert (await resend(database, "dlv_1"))["url"] == OLD


async def test_recovery_takes_what_failed_or_was_skipped_the_oldest_first(
    database: Database,
) -> None:
    await add(database, "dlv_1", created_at=3_000)
    await add(database, "dlv_2", created_at=1_000, state="skipped", tries=0)
    await add(database, "dlv_3", created_at=2_000)
    await add(database, "dlv_4", state="delivered")
    await add(database, "dlv_5", state="pending", next_try_at=2**50, finished_at=None)
    await add(database, "dlv_6", event_id=f"{replay_store.TEST_EVENT}_x")
    await add(database, "dlv_7", endpoint_id="whe_2")
    assert await recover(database, limit=2) == 2
    assert await ids(database, state="pending") == ["dlv_2", "dlv_5", "dlv_3"]
    assert await recover(database) == 1
    assert await recover(database) == 0
    due = [await found(database, each) for each in ("dlv_2", "dlv_3", "dlv_1")]
    assert [row["next_try_at"] for row in due] == [1_000, 2_000, 3_000]
    assert {(row["finished_at"], row["url"]) for row in due} == {(None, NEW)}
    assert (await found(database, "dlv_4"))["state"] == "delivered"


async def test_recovery_ends_before_its_end_and_knows_its_tenant(database: Database) -> None:
    await add(database, "dlv_1")
    assert await recover(database, tenant_id=THEIRS) == 0
    assert await recover(database, until=1_000) == 0
    assert await recover(database, since=1_001) == 0
    assert await recover(database, since=1_000, until=1_001) == 1


async def test_one_that_nobody_took_is_given_up(database: Database) -> None:
    row = await found(database, await add(database, "dlv_0"))
    once = {name: row[name] for name in _GIVEN} | {"id": "dlv_1"}
    async with database.transaction() as db:
        await replay_store.add_once(db, once)
    row = await found(database, "dlv_1")
    assert (row["state"], row["tries"]) == ("pending", 0)
    assert row["finished_at"] == row["next_try_at"]
    async with database.transaction() as db:
        await db.execute(update(WebhookDelivery).values(owner="w"))
        await replay_store.give_up(db, "dlv_1")
    assert (await found(database, "dlv_1"))["state"] == "pending"
    async with database.transaction() as db:
        await db.execute(update(WebhookDelivery).values(owner=None))
        await replay_store.give_up(db, "dlv_1")
    row = await found(database, "dlv_1")
    assert (row["state"], row["next_try_at"]) == ("failed", None)


_GIVEN = (
    "id",
    "tenant_id",
    "endpoint_id",
    "target",
    "url",
    "event_id",
    "event_type",
    "job_id",
    "body",
)
