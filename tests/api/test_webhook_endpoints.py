"""Endpoints of webhooks over HTTP: OpenAI's shapes, our additions, each tenant for itself."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from sqlalchemy import insert, select, update

from api.webhooks import endpoints, trial
from shared.database import Database, Row, fetch
from shared.webhooks import store
from shared.webhooks.model import WebhookDelivery, WebhookEndpoint, WebhookTry
from shared.webhooks.secrets import SecretBox
from tests.api.conftest import ADMIN_KEY, Api

PATH = "/v1/webhook_endpoints"
ASKED = {"name": "results", "url": "https://example.com/hook", "event_types": ["job.completed"]}
BOX = SecretBox(b"the secret of the tests")


async def create(api: Api, **changes: Any) -> dict[str, Any]:
    answer = await api.client.post(PATH, json={**ASKED, **changes})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def row_of(api: Api, endpoint_id: str) -> Row:
    table = WebhookEndpoint.__table__  # type: ignore[attr-defined]
    async with api.database.reading() as db:
        (row,) = await fetch(db, select(table).where(table.c.id == endpoint_id))
    return row


@pytest.fixture(params=["/v1", "/openai/v1"])
async def sdk(api: Api, request: pytest.FixtureRequest) -> AsyncIterator[AsyncOpenAI]:
    transport = httpx2.ASGITransport(api.client._transport.app)  # type: ignore[attr-defined]
    async with AsyncOpenAI(
        api_key=ADMIN_KEY,
        base_url=f"http://penstock{request.param}",
        http_client=httpx2.AsyncClient(transport=transport),
        max_retries=0,
    ) as client:
        yield client


async def test_openais_sdk_manages_endpoints(sdk: AsyncOpenAI, api: Api) -> None:
    events: Any = ["job.completed", "job.failed", "job.completed"]
    made = await sdk.webhooks.create(name="mine", url="https://example.com/a", event_types=events)
    assert made.signing_secret.startswith("whsec_")
    assert made.event_types == ["job.completed", "job.failed"]
    assert made.created_at == made.updated_at
    assert made.signing_secret_hint
    assert made.signing_secret_hint[-4:] in made.signing_secret

    got = await sdk.webhooks.retrieve(made.id)
    assert (got.name, got.url, got.object) == ("mine", "https://example.com/a", "webhook_endpoint")
    assert "signing_secret" not in (got.model_extra or {})
    changed = await sdk.webhooks.update(made.id, name="yours")
    assert (changed.name, changed.url) == ("yours", "https://example.com/a")

    rotated = await sdk.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
    assert rotated.signing_secret != made.signing_secret
    row = await row_of(api, made.id)
    assert BOX.open(row["secret"]) == rotated.signing_secret
    assert BOX.open(row["old_secret"]) == made.signing_secret
    await sdk.webhooks.rotate_secret(made.id)
    assert (await row_of(api, made.id))["old_secret"] is None

    types = await sdk.webhooks.event_types.list()
    assert "job.completed" in types.data
    gone = await sdk.webhooks.delete(made.id)
    assert (gone.deleted, gone.object) == (True, "webhook_endpoint.deleted")
    assert [each async for each in sdk.webhooks.list()] == []


async def test_openais_sdk_reads_page_after_page(sdk: AsyncOpenAI, api: Api) -> None:
    made = [(await create(api, name=f"number {number}"))["id"] for number in range(5)]
    listed = [each.id async for each in sdk.webhooks.list(limit=2)]
    assert listed == made[::-1]


async def answer_for(database: Database, **try_: Any) -> str:
    """Do what a deliverer does with the one delivery that there is; return its body."""
    table = WebhookDelivery.__table__  # type: ignore[attr-defined]
    while True:
        async with database.transaction() as db:
            row = (await db.execute(select(table).where(table.c.state == "pending"))).mappings()
            if found := row.first():
                values = {"number": 1, "started_at": 1, "total_ms": 5, "manual": True, **try_}
                await db.execute(insert(WebhookTry).values(delivery_id=found["id"], **values))
                await db.execute(update(WebhookDelivery).values(state="delivered", tries=1))
                return bytes(found["body"]).decode()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("status", [200, 500])
async def test_a_test_answers_with_the_receivers_status(
    sdk: AsyncOpenAI, api: Api, status: int
) -> None:
    endpoint_id = (await create(api))["id"]
    kind: Any = "job.failed"
    result, body = await asyncio.gather(
        sdk.webhooks.test(endpoint_id, event_type=kind),
        answer_for(api.database, status_code=status),
    )
    assert (result.status_code, result.success) == (status, True)
    assert (result.webhook_endpoint_id, result.event_type) == (endpoint_id, "job.failed")
    assert '"test":true' in body
    assert '"status":"failed"' in body


async def test_a_test_without_an_answer_says_why(api: Api) -> None:
    endpoint_id = (await create(api))["id"]
    answer, _ = await asyncio.gather(
        api.client.post(f"{PATH}/{endpoint_id}/test", json={"event_type": "job.waiting"}),
        answer_for(api.database, error="refused", error_message="Nobody listens there."),
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "webhook_test_failed")
    assert "Nobody listens there." in answer.json()["detail"]
    assert answer.json()["webhook_delivery_id"].startswith("dlv_")


async def test_a_test_that_nobody_sends_is_given_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "PATIENCE_S", 0.05)
    endpoint_id = (await create(api))["id"]
    answer = await api.client.post(
        f"{PATH}/{endpoint_id}/test", json={"event_type": "job.completed"}
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "webhook_test_untried")
    listed = (await api.client.get("/v1/webhook_deliveries")).json()["data"]
    assert [(each["state"], each["next_try_at"]) for each in listed] == [("failed", None)]


async def test_every_type_of_event_has_a_sample(api: Api) -> None:
    endpoint_id = (await create(api))["id"]
    for kind in (await api.client.get("/v1/webhook_event_types")).json()["data"]:
        answer, body = await asyncio.gather(
            api.client.post(f"{PATH}/{endpoint_id}/test", json={"event_type": kind}),
            answer_for(api.database, status_code=204),
        )
        assert answer.json()["status_code"] == 204
        assert f'"type":"{kind}"' in body


async def test_the_secret_is_shown_when_it_is_made_and_never_again(api: Api) -> None:
    answer = await api.client.post(PATH, json=ASKED)
    made = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    secret = made["signing_secret"]
    shown = [
        await api.client.get(f"{PATH}/{made['id']}"),
        await api.client.get(PATH),
        await api.client.post(f"{PATH}/{made['id']}", json={"name": "other"}),
    ]
    assert all(secret not in each.text for each in shown)
    assert secret.encode() not in (await row_of(api, made["id"]))["secret"]
    rotated = await api.client.post(f"{PATH}/{made['id']}/rotate_secret")
    assert rotated.headers["cache-control"] == "no-store"
    assert rotated.json()["signing_secret"] != secret


async def test_what_was_disabled_is_enabled_with_a_clean_record(api: Api) -> None:
    made = await create(api)
    async with api.database.transaction() as db:
        await db.execute(update(WebhookEndpoint).values(failures=11, failing_since=5_000))
        await store.disable(db, made["id"], reason="410")
    shown = (await api.client.get(f"{PATH}/{made['id']}")).json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "410")
    assert (shown["failures"], shown["failing_since"]) == (11, 5)
    assert shown["disabled_at"] >= made["created_at"]
    refused = await api.client.post(f"{PATH}/{made['id']}/test", json={"event_type": "job.failed"})
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_endpoint_disabled")

    enabled = (await api.client.post(f"{PATH}/{made['id']}", json={"enabled": True})).json()
    assert (enabled["enabled"], enabled["disabled_at"], enabled["failures"]) == (True, None, 0)
    disabled = (await api.client.post(f"{PATH}/{made['id']}", json={"enabled": False})).json()
    assert (disabled["enabled"], disabled["disabled_reason"]) == (
        False,
        endpoints.BY_TENANT,
    )


async def test_an_update_that_changes_nothing_is_none(api: Api) -> None:
    made = await create(api)
    async with api.database.transaction() as db:
        await db.execute(update(WebhookEndpoint).values(updated_at=7_000))
    same = await api.client.post(f"{PATH}/{made['id']}", json={**ASKED, "enabled": True})
    assert same.json()["updated_at"] == 7
    other = await api.client.post(f"{PATH}/{made['id']}", json={"event_types": []})
    assert other.json()["updated_at"] > 7
    assert other.json()["event_types"] == []


@pytest.mark.parametrize(
    ("changes", "param", "words"),
    [
        ({"name": ""}, "name", "length"),
        ({"name": "a\x00b"}, "name", "printable"),
        ({"url": "http://127.0.0.1/hook"}, "url", "http"),
        ({"url": "https://10.1.2.3/hook"}, "url", "cannot be used"),
        ({"url": "nonsense"}, "url", "cannot be used"),
        ({"event_types": ["job.done"]}, "event_types[0]", "'job.completed'"),
        ({"event_types": "job.completed"}, "event_types", "array"),
        ({"more": 1}, "more", "not known"),
    ],
)
async def test_a_wrong_request_is_named(
    api: Api, changes: dict[str, Any], param: str, words: str
) -> None:
    made = await create(api)
    for path in (PATH, f"{PATH}/{made['id']}"):
        answer = await api.client.post(path, json={**ASKED, **changes})
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["param"] == param
        assert words in answer.json()["detail"]
    assert (await api.client.get(f"{PATH}/{made['id']}")).json()["url"] == ASKED["url"]


async def test_another_tenants_endpoint_is_none_at_all(api: Api) -> None:
    made = await create(api)
    for method, path, body in (
        ("GET", "", None),
        ("POST", "", {"name": "stolen"}),
        ("DELETE", "", None),
        ("POST", "/rotate_secret", {}),
        ("POST", "/test", {"event_type": "job.failed"}),
        ("POST", "/recover", {"since": "2099-01-01T00:00:00Z", "until": "2099-01-02T00:00:00Z"}),
    ):
        for endpoint_id in (made["id"], made["id"][:-4] + "0000", "whe_x"):
            answer = await api.stranger.request(method, f"{PATH}/{endpoint_id}{path}", json=body)
            assert answer.status_code == 404, (method, path)
            assert answer.json()["code"] == "webhook_endpoint_not_found"
    assert (await api.stranger.get(PATH)).json()["data"] == []
    assert (await api.client.get(f"{PATH}/{made['id']}")).json()["name"] == "results"


async def test_a_viewer_looks_and_does_not_touch(api: Api) -> None:
    made = await create(api)
    assert (await api.viewer.get(PATH)).json()["data"][0]["id"] == made["id"]
    for answer in (
        await api.viewer.post(PATH, json=ASKED),
        await api.viewer.post(f"{PATH}/{made['id']}/rotate_secret"),
        await api.viewer.delete(f"{PATH}/{made['id']}"),
        await api.viewer.get("/v1/webhook_secret"),
    ):
        assert (answer.status_code, answer.json()["permission"]) == (403, "webhooks.manage")


async def test_a_tenant_has_so_many_at_most(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 2)
    answers = await asyncio.gather(*(api.client.post(PATH, json=ASKED) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [200, 200, 429, 429]
    refused = next(each for each in answers if each.status_code == 429)
    assert refused.json()["code"] == "too_many_webhook_endpoints"
    assert refused.json()["limit"] == 2
    assert refused.headers["x-should-retry"] == "false"
    assert (await api.stranger.post(PATH, json=ASKED)).status_code == 200


async def test_a_secret_under_another_server_key_is_mended_by_a_rotation(api: Api) -> None:
    made = await create(api)
    sealed = SecretBox(b"another").seal("whsec_x")
    async with api.database.transaction() as db:
        await db.execute(update(WebhookEndpoint).values(secret=sealed))
    shown = (await api.client.get(f"{PATH}/{made['id']}")).json()
    assert shown["signing_secret_hint"] is None
    kept = {"keep_old_secret_active_for_24_hours": True}
    rotated = (await api.client.post(f"{PATH}/{made['id']}/rotate_secret", json=kept)).json()
    assert rotated["signing_secret_hint"][-4:] in rotated["signing_secret"]
    # What cannot be read would stop every signature.
    assert (await row_of(api, made["id"]))["old_secret"] is None
