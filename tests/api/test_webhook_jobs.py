"""A job with a webhook of its own: checked at the submit, shown, part of what a key stands for."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from shared.auth.model import DEFAULT_TENANT, Tenant
from shared.database import fetch
from shared.jobs.model import Job
from shared.webhooks import store
from shared.webhooks.model import WebhookDelivery
from tests.api.conftest import Api

URL = "https://example.com/hook?job=17"
FINAL = ["job.completed", "job.failed", "job.cancelled", "job.expired"]


async def test_a_job_shows_who_is_told_and_of_what(api: Api) -> None:
    asked = {"url": URL, "events": ["job.queued", "job.completed", "job.queued"]}
    own = await api.submit(webhook=asked)
    usual = await api.submit(webhook={"url": URL})
    none = await api.submit()
    shown = {"url": URL, "events": ["job.queued", "job.completed"]}
    assert own.json()["webhook"] == shown
    assert (await api.client.get(f"/v1/jobs/{own.json()['id']}")).json()["webhook"] == shown
    assert usual.json()["webhook"] == {"url": URL, "events": FINAL}
    assert none.json()["webhook"] is None
    listed = (await api.client.get("/v1/jobs")).json()["data"]
    assert [each["webhook"] and each["webhook"]["url"] for each in listed] == [None, URL, URL]


async def test_what_is_asked_for_is_delivered_to_the_jobs_own_url(api: Api) -> None:
    job_id = await api.submitted(webhook={"url": URL, "events": ["job.queued"]})
    await api.submitted(webhook={"url": URL})
    table = WebhookDelivery.__table__  # type: ignore[attr-defined]
    async with api.database.reading() as db:
        (row,) = await fetch(db, select(table))
    assert (row["job_id"], row["event_type"], row["url"]) == (job_id, "job.queued", URL)
    assert json.loads(row["body"])["data"]["id"] == job_id


async def test_the_secret_that_signs_is_there_before_the_job(api: Api) -> None:
    async def secret() -> Any:
        async with api.database.reading() as db:
            query = select(col(Tenant.id)).where(col(Tenant.name) == DEFAULT_TENANT)
            return await store.secret_of(db, (await db.execute(query)).scalar_one())

    await api.submitted()
    assert await secret() is None
    await api.submitted(webhook={"url": URL})
    first = await secret()
    await api.submitted(webhook={"url": URL})
    assert first is not None
    assert await secret() == first


async def test_of_a_deleted_job_only_what_is_still_due_remains(api: Api) -> None:
    asked = {"url": URL, "events": ["job.queued", "job.cancelled"]}
    job_id = await api.submitted(webhook=asked)
    await api.client.post(f"/v1/jobs/{job_id}/cancel")
    first = (await api.client.get("/v1/webhook_deliveries")).json()["data"][-1]
    async with api.database.transaction() as db:
        over = update(WebhookDelivery).where(col(WebhookDelivery.id) == first["id"])
        await db.execute(over.values(state="delivered", finished_at=1, next_try_at=None))
    assert (await api.client.delete(f"/v1/jobs/{job_id}")).status_code == 200
    (left,) = (await api.client.get("/v1/webhook_deliveries")).json()["data"]
    assert (left["event_type"], left["state"]) == ("job.cancelled", "pending")
    async with api.database.reading() as db:
        (row,) = await fetch(db, select(col(Job.id), col(Job.webhook)))
    assert (row["id"], row["webhook"]) == (job_id, None)


@pytest.mark.parametrize(
    ("webhook", "param", "words"),
    [
        ({"url": "http://example.com/"}, "webhook.url", "https://"),
        ({"url": "https://localhost/"}, "webhook.url", "cannot be used"),
        ({"url": "https://[::1]/"}, "webhook.url", "cannot be used"),
        ({"url": "https://169.254.169.254/meta"}, "webhook.url", "cannot be used"),
        ({"url": "https://user:word@example.com/"}, "webhook.url", "cannot be used"),
        ({"url": "https://example.com:8443/"}, "webhook.url", "cannot be used"),
        ({"url": ""}, "webhook.url", "length"),
        ({"url": "https://example.com/" + "a" * 2048}, "webhook.url", "2048"),
        ({}, "webhook.url", "missing"),
        ({"url": URL, "events": []}, "webhook.events", "length"),
        ({"url": URL, "events": ["job.done"]}, "webhook.events[0]", "'job.expired'"),
        ({"url": URL, "secret": "x"}, "webhook.secret", "not known"),
        (URL, "webhook", "object"),
    ],
)
async def test_a_wrong_webhook_is_named_and_nothing_is_stored(
    api: Api, webhook: Any, param: str, words: str
) -> None:
    answer = await api.submit(webhook=webhook)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert words in answer.json()["detail"]
    assert (await api.client.get("/v1/jobs")).json()["data"] == []


async def test_another_webhook_is_another_request(api: Api) -> None:
    async def submit(webhook: Any) -> httpx.Response:
        body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hello"}]}
        asked = {"endpoint": "/v1/chat/completions", "body": body, "webhook": webhook}
        return await api.client.post("/v1/jobs", json=asked, headers={"Idempotency-Key": "one"})

    assert (await submit({"url": URL})).status_code == 202
    assert (await submit({"url": URL, "events": FINAL})).headers["idempotent-replayed"] == "true"
    for other in (None, {"url": f"{URL}8"}, {"url": URL, "events": FINAL[:1]}):
        assert (await submit(other)).json()["code"] == "idempotency_mismatch"
    table = WebhookDelivery.__table__  # type: ignore[attr-defined]
    async with api.database.reading() as db:
        assert (await db.execute(select(func.count()).select_from(table))).scalar_one() == 0


async def test_a_form_has_it_as_json(api: Api) -> None:
    form = {"model": "sandbox/extract", "schema": '{"type": "object"}'}
    document = {"file": ("a.txt", b"Total: 12.50")}
    webhook = json.dumps({"url": URL})
    answer = await api.client.post(
        "/v1/documents", data={**form, "webhook": webhook}, files=document
    )
    assert answer.status_code == 202
    assert answer.json()["webhook"] == {"url": URL, "events": FINAL}
    wrong = await api.client.post("/v1/documents", data={**form, "webhook": "{"}, files=document)
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "webhook")
