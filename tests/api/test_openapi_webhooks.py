"""What the API says of webhooks is as `/openapi.json` says that it is."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from api.openapi_operations import ALL
from api.webhooks import trial
from tests.api.documented import Checked
from tests.api.test_openapi import JOB
from tests.api.whole_app import WholeApp, whole_app


@pytest.fixture
async def app(tmp_path: Path, sqlite_url: str, redis_url: str) -> AsyncIterator[WholeApp]:
    async with whole_app(tmp_path, database_url=sqlite_url, redis_url=redis_url) as app:
        yield app


async def test_answers_about_webhooks_are_as_documented(
    app: WholeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = Checked(app.client._transport)
    headers = {"Authorization": app.client.headers["authorization"]}
    client = httpx.AsyncClient(transport=transport, base_url="http://penstock", headers=headers)
    monkeypatch.setattr(trial, "PATIENCE_S", 0.01)
    endpoints, deliveries = "/v1/webhook_endpoints", "/v1/webhook_deliveries"
    asked = {"name": "one", "url": "https://example.com/hook", "event_types": ["job.queued"]}
    made = (await client.post(endpoints, json=asked)).json()["id"]
    own = {"url": "https://example.com/job", "events": ["job.queued"]}
    await client.post("/v1/jobs", json={**JOB, "webhook": own})
    await client.post(endpoints, json={**asked, "url": "http://127.0.0.1"})
    await client.get(endpoints)
    await client.get("/v1/webhook_event_types")
    for path in (made, "whe_none"):
        await client.get(f"{endpoints}/{path}")
        await client.post(f"{endpoints}/{path}/rotate_secret")
        await client.post(f"{endpoints}/{path}/test", json={"event_type": "job.queued"})
        since = {"since": datetime.now(UTC).isoformat()}
        await client.post(f"{endpoints}/{path}/recover", json=since)
        await client.post(f"{endpoints}/{path}", json={"enabled": False})
    await client.post(f"{endpoints}/{made}/test", json={"event_type": "job.queued"})
    found = (await client.get(deliveries)).json()["data"]
    assert {each["webhook_endpoint_id"] for each in found} == {made, None}
    for each in (*(each["id"] for each in found), "dlv_none"):
        await client.get(f"{deliveries}/{each}")
        await client.post(f"{deliveries}/{each}/resend")
    await client.get(deliveries, params={"state": "lost"})
    await client.get("/v1/webhook_secret")
    await client.post("/v1/webhook_secret/rotate")
    await client.delete(f"{endpoints}/{made}")
    assert {path for _, path, _ in transport.seen} - {"/v1/jobs"} == {
        each.path for each in ALL if each.tag.startswith("webhook_")
    }
    assert {status for _, _, status in transport.seen} >= {200, 202, 400, 404, 409, 503}
