"""`GET /v1/batches/{id}/events`: a snapshot, progress, the end; resumed without a gap."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from shared.batches import event_store
from shared.jobs.transitions import JobState
from tests.api.events.following import Stream
from tests.api.whole_app import ADMIN_KEY, WholeApp, whole_app
from tests.integration.batches.yard import Yard, a_yard


class Bulk:
    """A batch of twenty lines, and clients that follow it."""

    def __init__(self, app: WholeApp, yard: Yard, batch_id: str, stack: AsyncExitStack) -> None:
        self.app, self.yard, self.batch_id, self._stack = app, yard, batch_id, stack

    @property
    def url(self) -> str:
        return f"/v1/batches/{self.batch_id}/events"

    async def follow(self, url: str | None = None, **headers: str) -> Stream:
        shown = {} if url and "token=" in url else {"authorization": f"Bearer {ADMIN_KEY}"}
        stream = Stream(self.app.app, url or self.url, **(shown | headers))
        return await self._stack.enter_async_context(stream)

    async def end(self, lines: int, state: JobState = JobState.COMPLETED) -> None:
        """End some more lines, and do what the leader does then."""
        rows = await self.yard.lines(self.batch_id)
        left = [each["id"] for each in rows if each["outcome_number"] is None]
        await self.yard.finish(left[:lines], state)
        await self.yard.lead()

    def place(self, number: int) -> str:
        return f"{self.batch_id[-8:]}.{number}.0"


@pytest.fixture
async def bulk(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Bulk]:
    most: dict[str, Any] = {"max_sse_clients": 4, "max_sse_clients_per_key": 3}
    async with (
        whole_app(tmp_path, database_url=database_url, redis_url=redis_url, **most) as app,
        a_yard(app.resources, app.tenant_id) as yard,
        AsyncExitStack() as stack,
    ):
        yield Bulk(app, yard, await yard.batch(20), stack)


async def test_a_batch_is_followed_to_its_end(bulk: Bulk) -> None:
    stream = await bulk.follow()
    first = await stream.event()
    await bulk.end(5)
    await bulk.end(15, JobState.FAILED)
    *progress, end = await stream.rest()

    assert (stream.status, first.type) == (200, "snapshot")
    assert first.data["id"] == bulk.batch_id
    assert first.data["counts"]["pending"] == 20
    assert [each.type for each in progress] == ["batch.progress"]
    assert progress[0].data["counts"]["completed"] == 5
    assert end.type == "batch.completed"
    assert end.data["request_counts"] == {"total": 20, "completed": 5, "failed": 15}
    assert end.data["output_file_id"]
    stored = await bulk.yard.events(bulk.batch_id)
    assert [each.id for each in (*progress, end)] == [bulk.place(x["number"]) for x in stored]


async def test_who_comes_back_is_told_what_was_missed_and_nothing_twice(bulk: Bulk) -> None:
    stream = await bulk.follow()
    await stream.event()
    await bulk.end(5)
    seen = await stream.event()
    stream.leave()
    await bulk.end(5)
    await bulk.end(10)

    again = await bulk.follow(last_event_id=seen.id or "")
    told = await again.rest()

    assert [each.type for each in told] == ["batch.progress", "batch.completed"]
    assert [each.data["counts"]["completed"] for each in told] == [10, 20]


async def test_who_comes_late_is_told_the_end(bulk: Bulk) -> None:
    await bulk.end(20)

    told = await (await bulk.follow()).rest()

    assert [each.type for each in told] == ["snapshot", "batch.completed"]
    assert told[0].id != told[1].id


async def test_who_knows_the_end_need_not_come_back(bulk: Bulk) -> None:
    await bulk.end(20)
    number = (await bulk.yard.events(bulk.batch_id))[-1]["number"]

    stream = await bulk.follow(last_event_id=bulk.place(number))
    await stream.task

    assert stream.status == 204


@pytest.mark.parametrize("place", ["nonsense", "aaaaaaaa.1.0"])
async def test_a_place_of_something_else_is_reset(bulk: Bulk, place: str) -> None:
    stream = await bulk.follow(last_event_id=place)

    assert await stream.names(2) == ["reset", "snapshot"]


async def test_a_place_that_is_forgotten_is_reset(bulk: Bulk) -> None:
    await bulk.yard.change(bulk.batch_id, version=event_store.KEPT + 10)

    stream = await bulk.follow(last_event_id=bulk.place(5))

    assert await stream.names(2) == ["reset", "snapshot"]


async def test_a_token_opens_the_events_of_this_batch_alone(bulk: Bulk) -> None:
    made = (await bulk.app.client.post(f"{bulk.url}/token")).json()
    stream = await bulk.follow(made["url"])
    other = await bulk.yard.batch(1)
    refused = await bulk.follow(made["url"].replace(bulk.batch_id, other))
    await refused.task

    assert (await stream.event()).type == "snapshot"
    assert stream.headers["access-control-allow-origin"] == "*"
    assert refused.status == 401


async def test_followers_of_batches_count_as_followers(bulk: Bulk) -> None:
    for _ in range(3):
        await (await bulk.follow()).event()

    refused = await bulk.follow()
    await refused.task

    assert refused.status == 429


async def test_a_lost_notice_is_made_up_for(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = await bulk.follow()
    await stream.event()
    monkeypatch.setattr(bulk.yard.resources.announcer, "tell", lambda _messages: None)
    await bulk.end(20)

    await bulk.app.state["followers"]._recheck()

    assert (await stream.event()).type == "batch.completed"


async def test_a_batch_of_another_tenant_cannot_be_followed(bulk: Bulk) -> None:
    async with a_yard(bulk.app.resources, "ten_other") as other:
        theirs = await other.batch(1)

    assert (await bulk.app.client.get(f"/v1/batches/{theirs}/events")).status_code == 404


async def test_receivers_are_told_and_their_deliveries_name_the_batch(bulk: Bulk) -> None:
    client = bulk.app.client
    types = {"event_types": ["batch.progress", "batch.completed", "job.completed"]}
    asked = {"name": "all", "url": "https://example.com/hook", **types}
    made = (await client.post("/v1/webhook_endpoints", json=asked)).json()
    await bulk.end(5)
    await bulk.end(15)

    query = {"batch_id": bulk.batch_id, "order": "asc"}
    found = (await client.get("/v1/webhook_deliveries", params=query)).json()["data"]
    everything = (await client.get("/v1/webhook_deliveries")).json()["data"]

    assert [each["event_type"] for each in found] == ["batch.progress", "batch.completed"]
    assert {each["webhook_endpoint_id"] for each in found} == {made["id"]}
    assert {(each["batch_id"], each["job_id"]) for each in everything} == {(bulk.batch_id, None)}
    assert len(everything) == 2
