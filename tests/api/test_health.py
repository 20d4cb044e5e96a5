"""`/healthz` and `/readyz`: alive is not ready, and each missing part is named."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from api import readiness
from shared import migrate
from shared.jobs import pulse
from tests.api.whole_app import WholeApp, whole_app
from tests.servers import RedisServer
from workers.scheduler import leader


@pytest.fixture
async def app(tmp_path: Path, sqlite_url: str, redis_url: str) -> AsyncIterator[WholeApp]:
    async with whole_app(tmp_path, database_url=sqlite_url, redis_url=redis_url) as app:
        yield app


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH_S", 0.0)


async def parts(app: WholeApp, *, status: int = 503) -> set[str]:
    reply = await app.client_of(None).get("/readyz")
    assert reply.status_code == status, reply.text
    return {each["part"] for each in reply.json()["problems"]}


async def test_ready_while_a_leader_leads_and_a_worker_consumes(
    database_url: str, tmp_path: Path, redis_url: str
) -> None:
    async with whole_app(tmp_path, database_url=database_url, redis_url=redis_url) as app:
        await app.lead()
        await app.live()
        reply = await app.client_of(None).get("/readyz")
        assert reply.status_code == 200
        assert reply.json() == {
            "status": "ready",
            "accepting": True,
            "consuming": True,
            "problems": [],
        }
        assert reply.headers["cache-control"] == "no-store"


async def test_names_every_part_that_is_missing(app: WholeApp) -> None:
    assert await parts(app) == {"scheduler", "workers"}
    await app.lead()
    assert await parts(app) == {"workers"}
    await app.live()
    assert await parts(app, status=200) == set()


async def test_a_leader_whose_time_is_over_does_not_lead(app: WholeApp) -> None:
    await app.live()
    await app.lead(for_ms=-1)
    assert await parts(app) == {"scheduler"}


@pytest.mark.parametrize("said", [{"draining": True}, {"silent_ms": pulse.SEEN_MS + 5000}])
async def test_a_worker_that_does_not_consume_does_not_count(
    app: WholeApp, said: dict[str, Any]
) -> None:
    await app.lead()
    await app.live(**said)
    assert await parts(app) == {"workers"}
    await app.live("worker-2")
    assert await parts(app, status=200) == set()


async def test_accepts_but_does_not_consume_while_redis_is_down(
    tmp_path: Path, sqlite_url: str, start_redis: Callable[..., RedisServer]
) -> None:
    redis = start_redis()
    async with whole_app(tmp_path, database_url=sqlite_url, redis_url=redis.url) as app:
        await app.lead()
        await app.live()
        assert await parts(app, status=200) == set()
        redis.kill()
        reply = await app.client_of(None).get("/readyz")
        assert reply.status_code == 503
        body = reply.json()
        assert (body["accepting"], body["consuming"]) == (True, False)
        assert {each["part"] for each in body["problems"]} == {"redis"}
        await app.submit("accepted all the same")
        redis.start()
        assert await parts(app, status=200) == set()


async def test_not_ready_before_the_migrations(
    tmp_path: Path, sqlite_url: str, redis_url: str
) -> None:
    async with whole_app(
        tmp_path, database_url=sqlite_url, redis_url=redis_url, migrated=False
    ) as app:
        reply = await app.client_of(None).get("/readyz")
        assert reply.status_code == 503
        assert reply.json()["accepting"] is False
        assert "penstock migrate" in reply.json()["problems"][0]["detail"]
        await migrate.upgrade(app.resources.database)
        assert await parts(app) == {"scheduler", "workers"}


async def test_alive_without_any_other_part(tmp_path: Path) -> None:
    url = "postgresql+asyncpg://nobody:the-password@127.0.0.1:1/nothing"
    async with whole_app(
        tmp_path, database_url=url, redis_url="redis://127.0.0.1:1/0", migrated=False
    ) as app:
        client = app.client_of(None)
        reply = await client.get("/healthz")
        assert (reply.status_code, reply.json()) == (200, {"status": "alive"})
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert {each["part"] for each in ready.json()["problems"]} == {"database", "redis"}
        # What a stranger may ask tells nothing of addresses or passwords.
        assert "the-password" not in ready.text
        assert "127.0.0.1" not in ready.text


def test_the_office_is_the_schedulers() -> None:
    assert pulse.OFFICE == leader.OFFICE
