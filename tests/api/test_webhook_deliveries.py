"""Deliveries over HTTP: listed, read with every try, sent again."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import insert, select, update
from sqlmodel import col

from api.webhooks import deliveries
from shared.auth.model import DEFAULT_TENANT, Tenant
from shared.clock import now_ms
from shared.ids import new_id
from shared.webhooks import store
from shared.webhooks.model import WebhookDelivery, WebhookSecret, WebhookTry
from shared.webhooks.secrets import SecretBox
from tests.api.conftest import Api

PATH = "/v1/webhook_deliveries"
ENDPOINT = {"name": "results", "url": "https://example.com/hook", "event_types": []}
JOB = "job_068g2m9c0q3hk6v1r7d5s4b2n8"


async def endpoint(api: Api) -> str:
    return str((await api.client.post("/v1/webhook_endpoints", json=ENDPOINT)).json()["id"])


async def add(api: Api, endpoint_id: str | None, **changes: Any) -> str:
    async with api.database.reading() as db:
        tenant_id = (await db.execute(_TENANT)).scalar_one()
    row = {
        "id": new_id("dlv"),
        "tenant_id": tenant_id,
        "endpoint_id": endpoint_id,
        "target": endpoint_id or f"{tenant_id}:example.com",
        "url": "https://example.com/hook",
        "event_id": "evt_x_1",
        "event_type": "job.completed",
        "job_id": JOB,
        "body": '{"id":"evt_x_1","text":"ä"}'.encode(),
        "state": "failed",
        "tries": 1,
        "claim_number": 1,
        "created_at": now_ms(),
        "finished_at": now_ms(),
    }
    async with api.database.transaction() as db:
        await db.execute(insert(WebhookDelivery).values(**{**row, **changes}))
    return str(row["id"])


_TENANT = select(col(Tenant.id)).where(col(Tenant.name) == DEFAULT_TENANT)


async def woken(api: Api, target: str) -> bool:
    """Wait until the broker has a message to the deliverer that names the target."""
    async with Redis.from_url(api.settings.redis_url) as redis:
        for _ in range(200):
            messages = await redis.hvals("dramatiq:webhooks.msgs")
            if any(target.encode() in each for each in messages):
                return True
            await asyncio.sleep(0.02)
    return False


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


async def test_a_list_goes_on_page_by_page_and_is_narrowed(api: Api) -> None:
    first, second = await endpoint(api), await endpoint(api)
    made = [await add(api, first, created_at=1_000 + number) for number in range(3)]
    other = await add(api, second, created_at=2_000, state="skipped", event_type="job.failed")
    query = {"limit": 2}
    page = (await api.client.get(PATH, params=query)).json()
    assert [each["id"] for each in page["data"]] == [other, made[2]]
    assert page["has_more"] is True
    for after in (page["next_after"], page["last_id"]):
        rest = (await api.client.get(PATH, params={**query, "after": after})).json()
        assert [each["id"] for each in rest["data"]] == [made[1], made[0]]
        assert rest["has_more"] is False
    for narrowed in (
        {"webhook_endpoint_id": second},
        {"state": "skipped"},
        {"event_type": "job.failed", "job_id": JOB},
    ):
        found = (await api.client.get(PATH, params=narrowed)).json()
        assert [each["id"] for each in found["data"]] == [other]
    assert (await api.stranger.get(PATH)).json()["data"] == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"state": "lost"}, "state"),
        ({"event_type": "job.done"}, "event_type"),
        ({"endpoint": "whe_x"}, "endpoint"),
        ({"job_id": "a\x00b"}, "job_id"),
        ({"limit": "101"}, "limit"),
        ({"after": "dlv_x"}, "after"),
    ],
)
async def test_a_wrong_filter_is_named(api: Api, query: dict[str, str], param: str) -> None:
    answer = await api.client.get(PATH, params=query)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_one_is_shown_with_its_body_and_every_try(api: Api) -> None:
    delivery_id = await add(api, await endpoint(api))
    tries: list[dict[str, Any]] = [
        {"number": 1, "status_code": None, "response": None, "error": "timeout", "manual": False},
        {"number": 2, "status_code": 503, "response": "busy", "error": None, "manual": True},
    ]
    for each in tries:
        row = {"delivery_id": delivery_id, "started_at": 1_000, "total_ms": 15, "ip": "192.0.2.1"}
        async with api.database.transaction() as db:
            said = {"error_message": "15 s have passed." if each["error"] else None}
            await db.execute(insert(WebhookTry).values(**row, **each, **said))
    shown = (await api.viewer.get(f"{PATH}/{delivery_id}")).json()
    assert shown["body"] == '{"id":"evt_x_1","text":"ä"}'
    assert (shown["state"], shown["job_id"], shown["object"]) == ("failed", JOB, "webhook_delivery")
    assert [each["number"] for each in shown["tries"]] == [1, 2]
    assert shown["tries"][0]["error"] == {"code": "timeout", "message": "15 s have passed."}
    assert shown["tries"][0]["started_at"] == "1970-01-01T00:00:01.000Z"
    assert shown["tries"][1]["error"] is None
    assert (shown["tries"][1]["status_code"], shown["tries"][1]["manual"]) == (503, True)


@pytest.mark.parametrize("state", ["delivered", "failed", "skipped"])
async def test_a_delivery_is_sent_again_whatever_became_of_it(api: Api, state: str) -> None:
    endpoint_id = await endpoint(api)
    delivery_id = await add(api, endpoint_id, state=state)
    answer = await api.client.post(f"{PATH}/{delivery_id}/resend")
    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["state"], shown["finished_at"]) == ("pending", None)
    assert shown["next_try_at"] is not None
    assert await woken(api, endpoint_id)


async def test_a_jobs_own_delivery_is_sent_again(api: Api) -> None:
    delivery_id = await add(api, None)
    answer = await api.client.post(f"{PATH}/{delivery_id}/resend")
    assert (answer.status_code, answer.json()["webhook_endpoint_id"]) == (202, None)


async def test_nothing_is_sent_to_what_is_disabled_or_deleted(api: Api) -> None:
    endpoint_id = await endpoint(api)
    delivery_id = await add(api, endpoint_id)
    async with api.database.transaction() as db:
        await store.disable(db, endpoint_id, reason="410")
    for path, body in (
        (f"{PATH}/{delivery_id}/resend", None),
        (f"/v1/webhook_endpoints/{endpoint_id}/recover", {"since": ago(days=1)}),
    ):
        answer = await api.client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "webhook_endpoint_disabled")
        assert "410" in answer.json()["detail"]
    await api.client.delete(f"/v1/webhook_endpoints/{endpoint_id}")
    answer = await api.client.post(f"{PATH}/{delivery_id}/resend")
    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_endpoint_deleted")
    assert (await api.client.get(f"{PATH}/{delivery_id}")).json()["state"] == "failed"


async def test_other_tenants_and_viewers_send_nothing(api: Api) -> None:
    delivery_id = await add(api, await endpoint(api))
    for path in ("", "/resend"):
        method = "POST" if path else "GET"
        for each in (delivery_id, "dlv_x"):
            answer = await api.stranger.request(method, f"{PATH}/{each}{path}")
            assert (answer.status_code, answer.json()["code"]) == (
                404,
                "webhook_delivery_not_found",
            )
    assert (await api.viewer.post(f"{PATH}/{delivery_id}/resend")).status_code == 403
    assert (await api.client.get(f"{PATH}/{delivery_id}")).json()["state"] == "failed"


async def test_recovery_counts_what_it_sends_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MOST_RECOVERED", 2)
    endpoint_id = await endpoint(api)
    path = f"/v1/webhook_endpoints/{endpoint_id}/recover"
    for state in ("failed", "skipped", "failed", "delivered"):
        await add(api, endpoint_id, state=state)
    asked = {"since": ago(hours=1)}
    for recovered, has_more in ((2, True), (1, False), (0, False)):
        answer = await api.client.post(path, json=asked)
        assert answer.status_code == 202
        assert answer.json() == {
            "object": "webhook_endpoint.recovery",
            "webhook_endpoint_id": endpoint_id,
            "recovered": recovered,
            "has_more": has_more,
        }
    states = [each["state"] for each in (await api.client.get(PATH)).json()["data"]]
    assert sorted(states) == ["delivered", "pending", "pending", "pending"]
    assert await woken(api, endpoint_id)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"since": ago(days=15)}, "since"),
        ({"since": ago(days=-1)}, "since"),
        ({"since": ago(days=1), "until": ago(days=2)}, "until"),
    ],
)
async def test_a_span_must_be_one(api: Api, asked: dict[str, str], param: str) -> None:
    path = f"/v1/webhook_endpoints/{await endpoint(api)}/recover"
    answer = await api.client.post(path, json=asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_the_tenants_secret_is_made_once_and_rotated(api: Api) -> None:
    answer = await api.client.get("/v1/webhook_secret")
    first = answer.json()
    assert first["signing_secret"].startswith("whsec_")
    assert answer.headers["cache-control"] == "no-store"
    assert (await api.client.get("/v1/webhook_secret")).json() == first
    theirs = (await api.stranger.get("/v1/webhook_secret")).json()
    assert theirs["signing_secret"] != first["signing_secret"]

    kept = {"keep_old_secret_active_for_24_hours": True}
    second = (await api.client.post("/v1/webhook_secret/rotate", json=kept)).json()
    assert second["signing_secret"] != first["signing_secret"]
    until = datetime.fromisoformat(second["old_secret_active_until"])
    assert timedelta(hours=23) < until - datetime.now(UTC) < timedelta(hours=25)
    third = (await api.client.post("/v1/webhook_secret/rotate")).json()
    assert third["old_secret_active_until"] is None
    assert (await api.client.get("/v1/webhook_secret")).json() == third


async def test_a_tenants_secret_under_another_server_key_says_so(api: Api) -> None:
    await api.client.get("/v1/webhook_secret")
    sealed = SecretBox(b"another").seal("whsec_x")
    async with api.database.transaction() as db:
        await db.execute(update(WebhookSecret).values(secret=sealed))
    answer = await api.client.get("/v1/webhook_secret")
    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_secret_unreadable")
    assert "PENSTOCK_SECRET_KEY" in answer.json()["detail"]
    kept = {"keep_old_secret_active_for_24_hours": True}
    rotated = await api.client.post("/v1/webhook_secret/rotate", json=kept)
    assert (rotated.status_code, rotated.json()["old_secret_active_until"]) == (200, None)
    assert (await api.client.get("/v1/webhook_secret")).json() == rotated.json()
