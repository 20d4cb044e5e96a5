"""What Google's and Mistral's clients are answered is as the description of the API says."""

import httpx

from tests.api.documented import Checked
from tests.api.openai.hand import Hand
from tests.api.whole_app import ADMIN_KEY, WholeApp

MISTRALS = {"authorization": f"Bearer {ADMIN_KEY}", "user-agent": "mistral-client-python/3.7.0"}
GOOGLES = {"x-goog-api-key": ADMIN_KEY}
MESSAGES = [{"role": "user", "content": "hi"}]
JOBS = "/v1/batch/jobs"


def checked(app: WholeApp, headers: dict[str, str]) -> tuple[httpx.AsyncClient, Checked]:
    transport = Checked(httpx.ASGITransport(app.app))
    client = httpx.AsyncClient(transport=transport, base_url="http://penstock", headers=headers)
    return client, transport


async def test_mistrals(app: WholeApp) -> None:
    client, transport = checked(app, MISTRALS)
    async with client:
        upload = {"file": ("a.jsonl", b"{}")}
        made = (await client.post("/v1/files", data={"purpose": "batch"}, files=upload)).json()
        await client.get(f"/v1/files/{made['id']}")
        await client.get("/v1/files")
        await client.get("/v1/models")
        await client.get("/v1/models/tiny")
        asked = {"endpoint": "/v1/chat/completions", "model": "sandbox/echo"}
        requests = [{"body": {"messages": MESSAGES}}]
        batch = (await client.post(JOBS, json={**asked, "requests": requests})).json()
        await client.post(JOBS, json=asked)
        await client.get(JOBS)
        await client.get(f"{JOBS}/{batch['id']}")
        await client.post(f"{JOBS}/{batch['id']}/cancel")
        await client.delete(f"{JOBS}/{batch['id']}")
        await client.get(f"{JOBS}/none")

    assert {status for _, _, status in transport.seen} == {200, 400, 404, 409}


async def test_googles(app: WholeApp, hand: Hand) -> None:
    client, transport = checked(app, GOOGLES)
    asked = {"contents": [{"parts": [{"text": "hi"}]}]}
    async with client:
        await client.get("/v1/models")
        for version in ("v1", "v1beta"):
            path = f"/{version}/models/none:generateContent"
            await client.post(path, json=asked)
            await client.post(path, json={})
        await client.get("/v1beta/models", params={"pageSize": 1})
        await client.get("/v1beta/models", params={"pageSize": "x"})
        await client.get("/v1beta/models/none")
        later = {"prefer": "respond-async"}
        path = "/v1beta/models/tiny:countTokens"
        await client.post(path, json=asked, headers=later)

    assert {status for _, _, status in transport.seen} == {200, 202, 400, 404}
