"""How much a batch may be, alone and with what waits already."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.batches.clerk import Clerk, jsonl, line
from tests.api.whole_app import whole_app


@pytest.fixture
async def narrow(
    tmp_path: Path, sqlite_url: str, redis_url: str, request: pytest.FixtureRequest
) -> AsyncIterator[Clerk]:
    async with whole_app(
        tmp_path, database_url=sqlite_url, redis_url=redis_url, **request.param
    ) as app:
        yield Clerk(app)


LIMITS: list[Any] = [
    ({"max_queued_jobs_per_tenant": 3}, 429, "queue_full", 3),
    ({"max_queued_bytes_per_tenant": 500}, 429, "queue_full", 500),
    ({"max_queued_tokens_per_tenant": 150}, 429, "queue_full", 150),
    ({"max_queued_jobs": 3}, 503, "queue_full", 3),
    ({"max_batch_lines": 3}, 413, "too_many_lines", 3),
]


@pytest.mark.parametrize(("narrow", "status", "code", "limit"), LIMITS, indirect=["narrow"])
@pytest.mark.parametrize("by_file", [True, False])
async def test_limits_name_themselves_and_store_nothing(
    narrow: Clerk, status: int, code: str, limit: int, *, by_file: bool
) -> None:
    lines = [line(str(number)) for number in range(4)]
    if by_file:
        reply = await narrow.post(input_file_id=await narrow.upload(jsonl(lines)))
    else:
        for each in lines:
            each["body"]["max_tokens"] = 50
        reply = await narrow.post(requests=lines)
    body = reply.json()

    assert (reply.status_code, body["code"], body["limit"]) == (status, code, limit)
    assert isinstance(body["current"], int)
    assert await narrow.nothing_stored()


@pytest.mark.parametrize("narrow", [{"max_queued_jobs_per_tenant": 5}], indirect=True)
async def test_what_is_not_read_yet_waits_too(narrow: Clerk) -> None:
    lines = [line(str(number)) for number in range(3)]
    file_id = await narrow.upload(jsonl(lines))
    await narrow.create(input_file_id=file_id)
    # What the process remembers is forgotten: what is stored must say it.
    narrow.app.state["admission"]._fresh_until = 0.0

    reply = await narrow.post(input_file_id=file_id)

    assert (reply.status_code, reply.json()["current"]) == (429, 3)
    job = {"endpoint": "/v1/chat/completions", "body": line("x")["body"]}
    for status in (202, 202, 429):
        assert (await narrow.client.post("/v1/jobs", json=job)).status_code == status


@pytest.mark.parametrize("narrow", [{"min_free_disk_bytes": 1 << 60}], indirect=True)
async def test_a_full_disk_refuses_batches(narrow: Clerk) -> None:
    for reply in (
        await narrow.post(requests=[line("one")]),
        await narrow.form(jsonl([line("one")]), "a.jsonl"),
    ):
        assert (reply.status_code, reply.json()["code"]) == (503, "disk_full")
    assert await narrow.nothing_stored()
