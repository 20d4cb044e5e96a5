"""`GET /v1/batches/{id}/results`: append-only, resumable, and never half a line."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from shared.batches import outcomes, purge
from shared.batches.results import stream_line
from shared.jobs.transitions import JobState
from tests.api.whole_app import WholeApp, whole_app
from tests.integration.batches.yard import Yard, a_yard


@pytest.fixture
async def app(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[WholeApp]:
    async with whole_app(tmp_path, database_url=database_url, redis_url=redis_url) as app:
        yield app


@pytest.fixture
async def yard(app: WholeApp) -> AsyncIterator[Yard]:
    async with a_yard(app.resources, app.tenant_id) as yard:
        yield yard


async def _ended(yard: Yard, lines: int, *, of: int | None = None) -> str:
    batch_id = await yard.batch(of or lines)
    ids = [line["id"] for line in await yard.lines(batch_id)]
    await yard.finish(ids[:lines])
    return batch_id


def _lines(reply: httpx.Response) -> list[dict[str, Any]]:
    assert reply.status_code == 200, reply.text
    return [orjson.loads(line) for line in reply.content.splitlines()]


async def test_what_has_ended_is_read_while_the_batch_runs(app: WholeApp, yard: Yard) -> None:
    batch_id = await _ended(yard, 5, of=8)
    url = f"/v1/batches/{batch_id}/results"
    first = await app.client.get(url)
    rest = [line["id"] for line in await yard.lines(batch_id) if line["outcome_number"] is None]
    await yard.finish(rest, JobState.FAILED)
    more = await app.client.get(url, params={"after": 5})

    assert first.headers["content-type"] == "application/x-ndjson"
    assert [each["number"] for each in _lines(first)] == [1, 2, 3, 4, 5]
    assert [each["status"] for each in _lines(more)] == ["failed"] * 3
    assert [each["number"] for each in _lines(more)] == [6, 7, 8]
    assert (await app.client.get(url)).content == first.content + more.content


async def test_pages_join_to_the_whole(app: WholeApp, yard: Yard) -> None:
    batch_id = await _ended(yard, 300)
    url = f"/v1/batches/{batch_id}/results"
    whole = _lines(await app.client.get(url))

    paged: list[dict[str, Any]] = []
    while page := _lines(
        await app.client.get(
            url, params={"limit": 70, "after": paged[-1]["number"] if paged else 0}
        )
    ):
        assert len(page) <= 70
        paged += page

    assert paged == whole
    assert len(whole) == 300


@pytest.mark.parametrize(
    "query", [{"after": "x"}, {"after": "-1"}, {"limit": "0"}, {"limit": "1.5"}, {"cursor": "1"}]
)
async def test_what_is_not_understood_is_refused(
    app: WholeApp, yard: Yard, query: dict[str, str]
) -> None:
    batch_id = await _ended(yard, 1)

    reply = await app.client.get(f"/v1/batches/{batch_id}/results", params=query)

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, next(iter(query)))


async def test_others_and_strangers_get_nothing(app: WholeApp, yard: Yard) -> None:
    batch_id = await _ended(yard, 1)
    async with a_yard(app.resources, "ten_other") as other:
        theirs = await other.batch(1)

    assert (await app.client.get(f"/v1/batches/{theirs}/results")).status_code == 404
    async with app.client_of(None) as nobody:
        assert (await nobody.get(f"/v1/batches/{batch_id}/results")).status_code == 401


async def test_a_head_request_reads_nothing(app: WholeApp, yard: Yard) -> None:
    batch_id = await _ended(yard, 1)

    reply = await app.client.head(f"/v1/batches/{batch_id}/results")

    assert (reply.status_code, reply.content) == (200, b"")


async def test_purged_results_are_gone(app: WholeApp, yard: Yard) -> None:
    batch_id = await _ended(yard, 3)
    await yard.lead()
    await purge.purge(app.resources.database, app.resources.blobs, await yard.row(batch_id))

    reply = await app.client.get(f"/v1/batches/{batch_id}/results")

    assert (reply.status_code, reply.json()["code"]) == (410, "batch_purged")


async def test_a_purge_in_the_middle_ends_the_stream_without_a_hole(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "LINES_AT_ONCE", 10)
    monkeypatch.setattr(purge, "LINES_AT_ONCE", 7)
    batch_id = await _ended(yard, 60)
    await yard.lead()
    row, resources = await yard.row(batch_id), yard.resources
    reading = outcomes.Outcomes(
        resources.database, resources.blobs, batch_id, stream_line, until=row["outcomes"]
    ).read()
    got = await anext(reading)

    purging = asyncio.create_task(purge.purge(resources.database, resources.blobs, row))
    async for piece in reading:
        got += piece
        await asyncio.sleep(0.01)
    await purging

    numbers = [orjson.loads(line)["number"] for line in got.splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) in {10, 20}
    assert got.endswith(b"\n")
