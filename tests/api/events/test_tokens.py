"""Tokens with which pages follow a job: of one job, for a while, and nobody else's."""

import io

import pytest

from api.events import tokens
from shared.auth.permissions import Role
from shared.clock import now_ms
from shared.telemetry import logs
from tests.api.events.following import Follow
from tests.api.whole_app import WholeApp


async def token_url(app: WholeApp, job_id: str) -> str:
    answer = await app.client_of(await app.key(Role.VIEWER)).post(f"/v1/jobs/{job_id}/events/token")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.json()["url"])


async def test_a_page_follows_with_a_token(app: WholeApp, follow: Follow) -> None:
    job_id = await app.submit("hello")
    url = await token_url(app, job_id)

    stream = follow(url, origin="https://elsewhere.example")

    assert await stream.names(1) == ["snapshot"]
    assert stream.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in stream.headers


async def test_a_token_is_of_one_job_and_grows_old(
    app: WholeApp, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, other = await app.submit("hello"), await app.submit("hello")
    url = await token_url(app, job_id)
    nobody = app.client_of(None)
    wrong = [url.replace(job_id, other, 1), f"{url}x", url[:-1], f"/v1/jobs/{job_id}/events?token="]
    for each in (*wrong, f"{wrong[-1]}ü.ü", url.split(".")[0]):
        answer = await nobody.get(each)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_event_token"), each
        assert answer.headers["access-control-allow-origin"] == "*"
    assert (await nobody.get(f"/v1/jobs/{job_id}?{url.split('?')[1]}")).status_code == 401

    monkeypatch.setattr("api.job_events.now_ms", lambda: now_ms() + tokens.FRESH_MS + 1)
    for headers in ({}, {"last-event-id": "00000000.1.0"}):
        assert (await nobody.get(url, headers=headers)).status_code == 401
    resumed = follow(url, last_event_id=f"{job_id[-8:]}.1.0")
    await app.client.post(f"/v1/jobs/{job_id}/cancel")
    assert [each.type for each in await resumed.rest()] == ["job.cancelled"]
    over = await nobody.get(url, headers={"last-event-id": f"{job_id[-8:]}.2.0"})
    assert over.status_code == 204
    assert over.headers["access-control-allow-origin"] == "*"

    hour = tokens.FRESH_MS + tokens.RESUMES_MS + 1
    monkeypatch.setattr("api.job_events.now_ms", lambda: now_ms() + hour)
    late = await nobody.get(url, headers={"last-event-id": f"{job_id[-8:]}.1.0"})
    assert late.status_code == 401


async def test_a_token_ends_with_its_key(app: WholeApp) -> None:
    job_id = await app.submit("hello")
    made = (await app.client.post("/v1/keys", json={"name": "page", "role": "viewer"})).json()
    token = await app.client_of(made["key"]).post(f"/v1/jobs/{job_id}/events/token")
    await app.client.delete(f"/v1/keys/{made['id']}")

    assert (await app.client_of(None).get(token.json()["url"])).status_code == 401


async def test_tokens_stay_out_of_the_logs(app: WholeApp) -> None:
    job_id = await app.submit("hello")
    url = await token_url(app, job_id)
    await app.client.post(f"/v1/jobs/{job_id}/cancel")
    written = io.StringIO()
    logs.configure("debug", "json", written)

    await app.client_of(None).get(url)
    await app.client_of(None).get(f"{url}x")

    assert written.getvalue().count('"path":"/v1/jobs/{job_id}/events"') == 2
    assert url.split("token=")[1][:40] not in written.getvalue()
