"""How many may follow, and how they are let go when a part or the whole stops."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.events import followers
from shared.auth.permissions import Role
from tests.api.events.following import Follow, Stream
from tests.api.openai.hand import a_hand, completion
from tests.api.whole_app import ADMIN_KEY, WholeApp, whole_app
from tests.servers import RedisServer


async def test_no_more_than_there_is_room_for(app: WholeApp, follow: Follow) -> None:
    job_id = await app.submit("hello")
    mine = [follow(job_id) for _ in range(3)]
    for each in mine:
        await each.event()
    refused = await app.client.get(f"/v1/jobs/{job_id}/events")
    other = follow(job_id, authorization=f"Bearer {await app.key(Role.VIEWER)}")
    await other.event()
    third = app.client_of(await app.key(Role.VIEWER))
    full = await third.get(f"/v1/jobs/{job_id}/events")

    for answer, status in ((refused, 429), (full, 503)):
        assert (answer.status_code, answer.json()["code"]) == (status, "too_many_event_streams")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    scraped = (await app.client.get("/metrics")).text
    assert "\npenstock_sse_clients 4.0\n" in scraped
    async with mine[0]:
        pass
    await follow(job_id).event()
    assert (
        'penstock_sse_events_total{type="snapshot"} 5.0' in (await app.client.get("/metrics")).text
    )


async def test_a_head_is_no_stream(app: WholeApp) -> None:
    job_id = await app.submit("hello")

    answer = await app.client.head(f"/v1/jobs/{job_id}/events")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


@pytest.fixture
def server_stays() -> Iterator[None]:
    """Stand in for the server, which handles the signals before the lifespan begins."""
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("server_stays")
async def test_everybody_is_said_goodbye_to(
    tmp_path: Path, sqlite_url: str, redis_url: str
) -> None:
    async with whole_app(tmp_path, database_url=sqlite_url, redis_url=redis_url) as app:
        job_id = await app.submit("hello")
        key = {"authorization": f"Bearer {ADMIN_KEY}"}
        async with (
            Stream(app.app, f"/v1/jobs/{job_id}/events", **key) as stream,
            Stream(app.app, f"/v1/jobs/{job_id}/events", **key) as lazy,
        ):
            await stream.event()
            await lazy.event()
            lazy.reads.clear()
            signal.raise_signal(signal.SIGTERM)
            (goodbye,) = await stream.rest()
            assert (goodbye.type, goodbye.data["reason"]) == ("reconnect", "shutdown")
            # Who does not read is not waited for as long as usual.
            async with asyncio.timeout(4):
                await lazy.task
        async with Stream(app.app, f"/v1/jobs/{job_id}/events", **key) as late:
            came = await late.rest()
        assert came[-1].type == "reconnect"
        assert came[0].retry_ms


async def test_status_without_redis(
    tmp_path: Path,
    sqlite_url: str,
    start_redis: Callable[..., RedisServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(followers, "RECHECK_S", 0.1)
    redis = start_redis()
    async with (
        whole_app(tmp_path, database_url=sqlite_url, redis_url=redis.url) as app,
        a_hand(app.settings) as hand,
    ):
        job_id = await app.submit("hello")
        job = await hand.claim(job_id)
        redis.stop()
        url = f"/v1/jobs/{job_id}/events"
        async with Stream(app.app, url, authorization=f"Bearer {ADMIN_KEY}") as stream:
            await stream.event()
            await hand.end(job, answer=completion("hello"))
            assert [each.type for each in await stream.rest()] == ["job.completed"]
        redis.start()
