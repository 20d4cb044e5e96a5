"""Direct calls are answered as `/openapi.json` says."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.api.documented import Checked
from tests.api.openai.direct import ASKED
from tests.api.whole_app import WholeApp


@pytest.fixture
async def checked(app: WholeApp) -> AsyncIterator[tuple[httpx.AsyncClient, Checked]]:
    transport = Checked(app.client._transport)
    headers = {"Authorization": app.client.headers["authorization"]}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://penstock", headers=headers
    ) as client:
        yield client, transport


async def test_answers_to_direct_calls_are_as_documented(
    app: WholeApp, checked: tuple[httpx.AsyncClient, Checked]
) -> None:
    client, transport = checked
    calls = {
        "/v1/chat/completions": ASKED,
        "/v1/completions": {"model": "sandbox/echo", "prompt": "a text"},
        "/v1/embeddings": {"model": "sandbox/embed", "input": "a text"},
    }
    for path, body in calls.items():
        later = await client.post(path, json=body, headers={"Prefer": "respond-async"})
        now = asyncio.create_task(client.post(path, json=body))
        jobs: list[str] = []
        while later.json()["id"] in jobs[:1] or not jobs:
            listed = await app.client.get("/v1/jobs")
            jobs = [each["id"] for each in listed.json()["data"]]
        await app.work(jobs[0])
        assert (await now).status_code == 200
        await client.post(path, json={})
    await client.get("/v1/models")
    await client.get("/v1/models/nothing")
    models = {"/v1/models", "/v1/models/{model}"}
    assert {path for _, path, _ in transport.seen} == {*calls, *models}
    assert {status for _, _, status in transport.seen} == {200, 202, 400, 404}
