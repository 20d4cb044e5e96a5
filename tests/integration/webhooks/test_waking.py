"""The scheduler names the targets for which something is due, and never floods the broker."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import orjson
import pytest
from redis.asyncio import Redis

from shared import migrate
from shared.clock import now_ms
from shared.database import Database
from shared.enqueue import ActorName, QueueName, Wakeup
from shared.limiter.limiter import Limiter
from shared.resources import Resources, open_resources
from shared.settings import Settings
from shared.telemetry.metrics import SchedulerMetrics
from shared.webhooks.model import WebhookRest
from tests.integration.webhooks.conftest import Rows, claim
from workers.scheduler.duties import DRY_MESSAGES, Desk

URL = "https://receiver.example/hook"


@pytest.fixture
async def resources(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[Resources]:
    settings = Settings(
        database_url=database_url, redis_url=redis_url, data_dir=tmp_path, slice_size=2
    )
    async with open_resources(settings) as opened:
        await migrate.upgrade(opened.database)
        yield opened


@pytest.fixture
def desk(resources: Resources) -> Desk:
    return Desk(resources, Limiter(resources.redis), SchedulerMetrics())


async def named(redis: Redis) -> list[Sequence[str]]:
    """Return the targets of each message that waits."""
    messages = await redis.hgetall("dramatiq:webhooks.msgs")
    found = [orjson.loads(each) for each in messages.values()]
    assert {each["actor_name"] for each in found} <= {ActorName.DELIVER_WEBHOOKS}
    return sorted(each["kwargs"]["targets"] for each in found)


async def test_what_is_due_is_named_in_short_messages(
    desk: Desk, resources: Resources, rows: Rows
) -> None:
    names = sorted([await rows.endpoint(URL) for _ in range(3)])
    for name in names:
        await rows.deliveries(2, URL, name)

    await desk.wake_deliverers()

    assert await named(resources.redis) == [names[:2], names[2:]]


async def test_a_dead_worker_s_deliveries_are_named_again(
    desk: Desk, database: Database, resources: Resources, rows: Rows
) -> None:
    endpoint = await rows.endpoint(URL)
    name = await rows.delivery(URL, endpoint)
    await claim(database, endpoint, owner="dead")
    await desk.wake_deliverers()
    assert await named(resources.redis) == []

    await rows.change(name, lease_expires_at=now_ms() - 1)
    await desk.wake_deliverers()

    assert await named(resources.redis) == [[endpoint]]


async def test_nothing_is_sent_where_nothing_is_due(desk: Desk, resources: Resources) -> None:
    await desk.wake_deliverers()

    assert await named(resources.redis) == []


async def test_while_messages_wait_none_is_added(
    desk: Desk, resources: Resources, rows: Rows
) -> None:
    endpoint = await rows.endpoint(URL)
    await rows.delivery(URL, endpoint)
    wakeup = Wakeup(ActorName.DELIVER_WEBHOOKS, QueueName.WEBHOOKS, {"targets": ["whe_x"]})
    await resources.enqueuer.publish([wakeup] * (DRY_MESSAGES + 1))

    await desk.wake_deliverers()

    assert await named(resources.redis) == [["whe_x"]] * (DRY_MESSAGES + 1)


async def test_rests_that_are_over_are_tidied_away(
    desk: Desk, database: Database, rows: Rows
) -> None:
    times = {"past": now_ms() - 1, "to come": now_ms() + 60_000}
    async with database.transaction() as db:
        table = WebhookRest.__table__  # type: ignore[attr-defined]
        found = [{"target": target, "rests_until": at} for target, at in times.items()]
        await db.execute(table.insert(), found)

    await desk.tidy()

    assert [row["target"] for row in await rows.all(WebhookRest)] == ["to come"]
