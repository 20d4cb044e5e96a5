"""OpenAI's own SDK, from the upload to the last line of the results, in one process."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import orjson
import pytest
from openai import AsyncOpenAI
from sqlalchemy import select
from sqlmodel import col

from shared.clock import now_ms
from shared.jobs.model import Job
from tests.api.batches.clerk import Clerk, jsonl, line
from tests.api.whole_app import ADMIN_KEY, WholeApp
from tests.integration.batches.yard import a_yard
from workers.batches.turns import Turns


@pytest.fixture(params=["/v1", "/openai/v1"])
async def sdk(app: WholeApp, request: pytest.FixtureRequest) -> AsyncIterator[AsyncOpenAI]:
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app.app))
    base_url = f"http://penstock{request.param}"
    async with AsyncOpenAI(
        api_key=ADMIN_KEY, base_url=base_url, http_client=http, max_retries=0
    ) as client:
        yield client


async def read(app: WholeApp) -> None:
    """Do what the leader does with new batches."""
    turns = Turns(app.resources)
    while await turns.perform():
        pass


async def work(app: WholeApp) -> None:
    """Do what the workers do with every line, and then the leader."""
    async with app.resources.database.reading() as db:
        ids = (await db.execute(select(col(Job.id)))).scalars().all()
    await app.work(*ids)
    async with a_yard(app.resources, app.tenant_id) as yard:
        await yard.lead()


async def test_from_the_file_to_the_results(app: WholeApp, sdk: AsyncOpenAI) -> None:
    lines = [line("good", "Bonjour"), line("bad", body={**line("")["body"]})]
    lines[1]["body"]["model"] = "sandbox/reject-400"
    file = await sdk.files.create(file=jsonl(lines), purpose="batch")

    made = await sdk.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"team": "billing"},
        output_expires_after={"anchor": "created_at", "seconds": 3600},
    )
    await read(app)
    running = await sdk.batches.retrieve(made.id)
    await work(app)
    done = await sdk.batches.retrieve(made.id)

    assert (file.filename, file.status, file.purpose) == ("upload", "processed", "batch")
    assert (made.status, running.status, done.status) == ("validating", "in_progress", "completed")
    assert made.request_counts is not None
    assert made.request_counts.total == 0
    assert running.in_progress_at is not None
    assert done.request_counts is not None
    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (2, 1, 1)
    assert done.usage is not None
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens
    assert done.usage.input_tokens_details.cached_tokens == 0
    assert done.metadata == {"team": "billing"}
    for file_id, custom_id, status in (
        (done.output_file_id, "good", 200),
        (done.error_file_id, "bad", 400),
    ):
        assert file_id is not None
        content = await sdk.files.content(file_id)
        [result] = [orjson.loads(each) for each in content.text.splitlines()]
        assert (result["custom_id"], result["response"]["status_code"]) == (custom_id, status)
        output = await sdk.files.retrieve(file_id)
        assert output.purpose == "batch_output"
        assert output.expires_at is not None
        assert output.expires_at - output.created_at == 3600


async def test_a_file_of_nonsense(app: WholeApp, sdk: AsyncOpenAI) -> None:
    file = await sdk.files.create(file=jsonl([line("one"), line("one")]), purpose="batch")
    made = await sdk.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    await read(app)

    failed = await sdk.batches.retrieve(made.id)

    assert failed.status == "failed"
    assert failed.failed_at is not None
    assert failed.errors is not None
    assert failed.errors.object == "list"
    [error] = failed.errors.data or []
    assert (error.line, error.code, error.param) == (2, "duplicate_custom_id", "custom_id")


async def test_lists_and_cancels(clerk: Clerk, sdk: AsyncOpenAI) -> None:
    made = [(await clerk.create())["id"] for _ in range(5)]

    seen = [each.id async for each in sdk.batches.list(limit=2)]
    cancelled = await sdk.batches.cancel(made[0])

    assert sorted(seen) == sorted(made)
    assert (cancelled.status, cancelled.id) == ("cancelling", made[0])


async def test_errors_of_the_sdk(clerk: Clerk, sdk: AsyncOpenAI) -> None:
    async def raised(kind: type[openai.APIStatusError], call: Any) -> openai.APIStatusError:
        with pytest.raises(kind) as caught:
            await call
        return caught.value

    asked: Any = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    none = await raised(
        openai.NotFoundError, sdk.batches.create(input_file_id="file-none", **asked)
    )
    wrong = await raised(
        openai.BadRequestError,
        sdk.batches.create(input_file_id="file-none", **{**asked, "completion_window": "1y"}),
    )
    over = (await clerk.create())["id"]
    await clerk.change(over, state="completed", finished_at=1)
    late = await raised(openai.ConflictError, sdk.batches.cancel(over))

    assert (none.code, none.param) == ("file_not_found", "input_file_id")
    assert (wrong.code, wrong.param) == ("invalid_field", "completion_window")
    assert late.code == "not_cancellable"


async def test_the_lines_are_jobs(app: WholeApp, clerk: Clerk) -> None:
    """They are listed and cancelled as jobs; what changes the batch as a whole is the batch's."""
    batch_id = (await clerk.create(requests=[line("one"), line("two")]))["id"]
    await clerk.client.post(
        "/v1/jobs", json={"endpoint": "/v1/chat/completions", "body": line("x")["body"]}
    )
    await read(app)

    listed = (await clerk.client.get("/v1/jobs", params={"batch_id": batch_id})).json()["data"]
    one = f"/v1/jobs/{listed[0]['id']}"
    cancelled = await clerk.client.post(f"{one}/cancel")
    refused = [await clerk.client.post(f"{one}/retry"), await clerk.client.delete(one)]
    batch = (await clerk.client.get(f"/v1/batches/{batch_id}")).json()

    assert {each["custom_id"] for each in listed} == {"one", "two"}
    assert {each["batch_id"] for each in listed} == {batch_id}
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    for reply in refused:
        assert (reply.status_code, reply.json()["code"]) == (409, "line_of_batch")
        assert f"/v1/batches/{batch_id}" in reply.json()["detail"]
    await clerk.change(batch_id, finished_at=now_ms())
    again = (await clerk.client.get("/v1/jobs", params={"batch_id": batch_id})).json()["data"]
    none = (await clerk.client.get("/v1/jobs", params={"batch_id": "batch_none"})).json()["data"]
    assert ([each["id"] for each in again], none) == ([each["id"] for each in listed], [])
    assert batch["counts"]["cancelled"] == batch["request_counts"]["failed"] == 1
