"""Events commit with the changes they tell of; whoever listens is promised a delivery."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis
from sqlalchemy import insert, select, update
from sqlmodel import SQLModel

from shared import outbox
from shared.clock import now_ms
from shared.database import Database, Row, fetch
from shared.enqueue import ActorName, Enqueuer
from shared.events import store as event_store
from shared.events.notices import Channel, Listener
from shared.jobs import change_store, timer_store
from shared.jobs.announcer import Announcer
from shared.jobs.changes import Change
from shared.jobs.transitions import JobState
from shared.publisher import Publisher
from shared.webhooks import fanout_store
from shared.webhooks.model import WebhookDelivery, WebhookEndpoint
from tests.integration.jobs.conftest import AddJob

HOOK = {"url": "https://a.example/hook", "events": ["job.cancelled"]}


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def announcer(database: Database, redis: Redis, redis_url: str) -> Announcer:
    return Announcer(redis, Publisher(database, Enqueuer(redis_url)))


async def rows(database: Database, table: type[SQLModel]) -> list[Row]:
    async with database.reading() as db:
        return list(await fetch(db, select(table.__table__)))  # type: ignore[attr-defined]


async def listen(database: Database, **changes: Any) -> str:
    row = {
        "id": "whe_1",
        "tenant_id": "ten_1",
        "name": "books",
        "url": "https://b.example/hook",
        "event_types": [],
        "created_at": 1,
        "secret": b"sealed",
        "failures": 0,
        **changes,
    }
    async with database.transaction() as db:
        await db.execute(insert(WebhookEndpoint), [row])
    return str(row["id"])


async def cancel(
    database: Database, announcer: Announcer, job_id: str, *, fail: bool = False
) -> Change:
    async with database.transaction() as db:
        _, change = await change_store.cancel(db, "ten_1", job_id)
        assert change is not None
        await announcer.announce(db, [change])
        if fail:
            message = "not today"
            raise RuntimeError(message)
    return change


async def test_an_event_commits_with_its_change(
    database: Database, add_job: AddJob, announcer: Announcer
) -> None:
    job_id = await add_job()

    change = await cancel(database, announcer, job_id)

    async with database.reading() as db:
        (event,) = await event_store.events_of(db, job_id)
    assert (event["number"], event["type"], event["reason"]) == (2, "job.cancelled", "cancelled")
    assert change.event_id == f"evt_{job_id.removeprefix('job_')}_2"


async def test_nothing_is_told_of_what_was_rolled_back(
    database: Database, add_job: AddJob, announcer: Announcer
) -> None:
    await listen(database)
    job_id = await add_job()

    with pytest.raises(RuntimeError, match="not today"):
        await cancel(database, announcer, job_id, fail=True)

    assert await rows(database, WebhookDelivery) == []
    async with database.reading() as db:
        assert list(await event_store.events_of(db, job_id)) == []
        assert await outbox.overdue(db, older_than_ms=-1000, limit=10) == []


async def test_a_delivery_is_promised_to_each_who_listens(
    database: Database, add_job: AddJob, announcer: Announcer
) -> None:
    await listen(database)
    await listen(database, id="whe_2", event_types=["job.cancelled", "job.failed"])
    await listen(database, id="whe_3", event_types=["job.completed"])
    await listen(database, id="whe_4", tenant_id="ten_2")
    await listen(database, id="whe_5", deleted_at=1)
    job_id = await add_job(webhook=HOOK, metadata={"order": "Zoë"})

    change = await cancel(database, announcer, job_id)

    found = {each["endpoint_id"]: each for each in await rows(database, WebhookDelivery)}
    assert set(found) == {"whe_1", "whe_2", None}
    assert {each["state"] for each in found.values()} == {"pending"}
    assert {each["event_id"] for each in found.values()} == {change.event_id}
    own = found[None]
    assert (own["url"], own["target"]) == (HOOK["url"], "ten_1:a.example:443")
    body = orjson.loads(own["body"])
    assert (body["id"], body["type"], body["object"]) == (
        change.event_id,
        "job.cancelled",
        "event",
    )
    assert (body["data"]["id"], body["data"]["status"]) == (job_id, "cancelled")
    assert body["data"]["metadata"] == {"order": "Zoë"}
    async with database.reading() as db:
        (promise,) = await outbox.overdue(db, older_than_ms=-1000, limit=10)
    assert promise.wakeup.actor is ActorName.DELIVER_WEBHOOKS
    assert promise.wakeup.kwargs == {"targets": ["ten_1:a.example:443", "whe_1", "whe_2"]}


async def test_a_job_s_own_url_hears_only_what_it_asked_for(
    database: Database, add_job: AddJob, announcer: Announcer
) -> None:
    job_id = await add_job(webhook={**HOOK, "events": ["job.completed"]})

    await cancel(database, announcer, job_id)

    assert await rows(database, WebhookDelivery) == []


async def test_what_a_disabled_endpoint_misses_is_kept_as_skipped(
    database: Database, add_job: AddJob, announcer: Announcer
) -> None:
    await listen(database, disabled_at=5)

    await cancel(database, announcer, await add_job())

    (found,) = await rows(database, WebhookDelivery)
    assert (found["state"], found["next_try_at"]) == ("skipped", None)
    assert found["finished_at"] is not None
    async with database.reading() as db:
        assert await outbox.overdue(db, older_than_ms=-1000, limit=10) == []


async def test_a_job_that_waits_for_long_keeps_its_last_events_only(
    database: Database, add_job: AddJob, announcer: Announcer
) -> None:
    job_id = await add_job()
    many = [Change(job_id, "ten_1", number, JobState.RUNNING) for number in range(2, 641)]

    for change in many:
        async with database.transaction() as db:
            await announcer.announce(db, [change])

    async with database.reading() as db:
        numbers = [each["number"] for each in await event_store.events_of(db, job_id)]
    assert numbers == list(range(640 - event_store.KEPT + 1, 641))


async def test_listeners_are_told_after_the_commit(
    database: Database, add_job: AddJob, announcer: Announcer, redis: Redis
) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    began = asyncio.Event()
    listener = Listener(
        redis, [Channel.CHANGED], lambda _, said: heard.put_nowait(said), lambda _: began.set()
    )
    listener.start()
    await asyncio.wait_for(began.wait(), 10)
    job_id = await add_job()

    await cancel(database, announcer, job_id)

    assert await asyncio.wait_for(heard.get(), 10) == f"{job_id}:2:cancelled".encode()
    await listener.close()


async def test_the_scheduler_s_changes_are_numbered_like_all_others(
    database: Database, add_job: AddJob
) -> None:
    job_id = await add_job(complete_by=1, version=7)

    async with database.transaction() as db:
        (change,) = await timer_store.expire(db, limit=10)

    assert (change.job_id, change.number, change.type) == (job_id, 8, "job.expired")


async def test_what_was_delivered_long_ago_is_forgotten_and_what_waits_is_not(
    database: Database, add_job: AddJob, announcer: Announcer
) -> None:
    await listen(database)
    for _ in range(3):
        await cancel(database, announcer, await add_job())
    waiting, fresh, past = sorted(each["id"] for each in await rows(database, WebhookDelivery))
    table = WebhookDelivery.__table__  # type: ignore[attr-defined]
    async with database.transaction() as db:
        for job_id, ended_at in ((waiting, 1), (fresh, now_ms()), (past, 1)):
            state = "pending" if job_id == waiting else "delivered"
            change = update(table).where(table.c.id == job_id)
            await db.execute(change.values(state=state, finished_at=ended_at))
        gone = await fanout_store.forget_past(db, older_than_ms=60_000, limit=10)

    assert gone == 1
    assert {each["id"] for each in await rows(database, WebhookDelivery)} == {waiting, fresh}
