"""From the request to the receiver and back: a real deliverer, a real receiver, signatures checked."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from shared.webhooks import delivery_store
from shared.webhooks.model import WebhookDelivery, WebhookEndpoint, WebhookSecret
from tests.api.whole_app import WholeApp, whole_app
from tests.fakes.receiver import Answer, Received, Receiver
from workers.delivery.deliverer import Deliverer, open_deliverer
from workers.resources import open_worker_resources

ENDPOINTS, DELIVERIES = "/v1/webhook_endpoints", "/v1/webhook_deliveries"
PAST_A_DAY_MS = -1


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def app(tmp_path: Path, sqlite_url: str, redis_url: str) -> AsyncIterator[WholeApp]:
    """The application beside a deliverer that looks for what is due all the time."""
    opened = whole_app(
        tmp_path,
        database_url=sqlite_url,
        redis_url=redis_url,
        webhook_allow_private=True,
        # One at a time: they come in the order in which they are taken.
        webhook_at_once=1,
    )
    async with (
        opened as app,
        open_worker_resources(app.settings) as resources,
        open_deliverer(resources) as deliverer,
    ):
        looking = asyncio.create_task(look(app, deliverer))
        yield app
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        await deliverer.drain(5)


async def look(app: WholeApp, deliverer: Deliverer) -> None:
    while True:
        async with app.resources.database.reading() as db:
            targets = await delivery_store.due_targets(db, limit=100)
        await deliverer.take(targets)
        await asyncio.sleep(0.02)


async def ask(app: WholeApp, method: str, path: str, **body: Any) -> dict[str, Any]:
    answer = await app.client.request(method, path, json=body or None)
    assert answer.is_success, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def register(app: WholeApp, receiver: Receiver, *types: str) -> dict[str, Any]:
    return await ask(app, "POST", ENDPOINTS, name="r", url=receiver.url(), event_types=list(types))


async def found(app: WholeApp, *, when: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Wait until all deliveries are so; return them, oldest first."""
    rows: list[dict[str, Any]] = []
    for _ in range(500):
        rows = (await ask(app, "GET", f"{DELIVERIES}?order=asc"))["data"]
        if rows and all(map(when, rows)):
            return rows
        await asyncio.sleep(0.02)
    raise AssertionError(rows)


async def settled(app: WholeApp) -> list[dict[str, Any]]:
    return await found(app, when=lambda row: row["state"] != "pending")


async def tried(app: WholeApp) -> list[dict[str, Any]]:
    return await found(app, when=lambda row: row["try_count"] > 0)


def signed_by(request: Received, secret: str) -> bool:
    try:
        Webhook(secret).verify(request.body, dict(request.headers))
    except WebhookVerificationError:
        return False
    return True


async def rotate(app: WholeApp, path: str, *, keep: bool) -> str:
    body = {"keep_old_secret_active_for_24_hours": keep}
    return str((await ask(app, "POST", path, **body))["signing_secret"])


async def expire_old_secrets(app: WholeApp) -> None:
    async with app.resources.database.transaction() as db:
        for table in (WebhookEndpoint, WebhookSecret):
            await db.execute(update(table).values(old_secret_until=PAST_A_DAY_MS))


async def test_a_test_is_signed_sent_once_and_told_of(app: WholeApp, receiver: Receiver) -> None:
    made = await register(app, receiver, "job.failed")
    receiver.script(Answer(503, b"busy"))
    told = await ask(app, "POST", f"{ENDPOINTS}/{made['id']}/test", event_type="job.completed")
    assert (told["status_code"], told["success"]) == (503, True)
    (request,) = receiver.received
    assert signed_by(request, made["signing_secret"])
    event = json.loads(request.body)
    assert (event["type"], event["test"]) == ("job.completed", True)
    assert event["id"] == request.headers["webhook-id"]
    (delivery,) = await settled(app)
    assert (delivery["state"], delivery["try_count"]) == ("failed", 1)
    assert delivery["id"] == told["webhook_delivery_id"]
    (try_,) = (await ask(app, "GET", f"{DELIVERIES}/{delivery['id']}"))["tries"]
    assert (try_["status_code"], try_["response"], try_["manual"]) == (503, "busy", True)


async def test_a_test_of_a_receiver_that_is_away_says_so(app: WholeApp, receiver: Receiver) -> None:
    made = await register(app, receiver)
    receiver.pause()
    body = {"event_type": "job.completed"}
    answer = await app.client.post(f"{ENDPOINTS}/{made['id']}/test", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "webhook_test_failed")
    assert answer.json()["reason"] == "connection"
    receiver.resume()


async def test_after_a_rotation_the_old_secret_verifies_for_a_day(
    app: WholeApp, receiver: Receiver
) -> None:
    made = await register(app, receiver, "job.queued")
    own = {"url": receiver.url("/own"), "events": ["job.queued"]}
    tenants = (await ask(app, "GET", "/v1/webhook_secret"))["signing_secret"]
    pairs = {
        "/hook": (made["signing_secret"], f"{ENDPOINTS}/{made['id']}/rotate_secret"),
        "/own": (tenants, "/v1/webhook_secret/rotate"),
    }
    new = {path: await rotate(app, way, keep=True) for path, (_, way) in pairs.items()}

    await app.submit("one", webhook=own)
    await receiver.wait_for(2)
    for request in receiver.received:
        assert signed_by(request, pairs[request.path][0])
        assert signed_by(request, new[request.path])
        assert request.headers["webhook-signature"].count("v1,") == 2

    await expire_old_secrets(app)
    await app.submit("two", webhook=own)
    requests = (await receiver.wait_for(4))[2:]
    assert {request.path for request in requests} == {"/hook", "/own"}
    for request in requests:
        assert not signed_by(request, pairs[request.path][0])
        assert signed_by(request, new[request.path])

    newest = {path: await rotate(app, way, keep=False) for path, (_, way) in pairs.items()}
    await app.submit("three", webhook=own)
    for request in (await receiver.wait_for(6))[4:]:
        assert not signed_by(request, new[request.path])
        assert signed_by(request, newest[request.path])


async def test_what_came_while_it_was_gone_is_recovered_once_the_oldest_first(
    app: WholeApp, receiver: Receiver
) -> None:
    made = await register(app, receiver, "job.queued")
    begin = datetime.now(UTC) - timedelta(minutes=1)
    receiver.script(Answer(410))
    jobs = [await app.submit("gone")]
    await settled(app)
    shown = await ask(app, "GET", f"{ENDPOINTS}/{made['id']}")
    assert (shown["enabled"], "410" in shown["disabled_reason"]) == (False, True)
    jobs += [await app.submit(f"number {number}") for number in range(3)]
    states = [each["state"] for each in await settled(app)]
    assert states == ["failed", "skipped", "skipped", "skipped"]
    assert len(receiver.received) == 1

    path = f"{ENDPOINTS}/{made['id']}/recover"
    refused = await app.client.post(path, json={"since": begin.isoformat()})
    assert refused.json()["code"] == "webhook_endpoint_disabled"
    await ask(app, "POST", f"{ENDPOINTS}/{made['id']}", enabled=True)
    told = await ask(app, "POST", path, since=begin.isoformat())
    assert told["recovered"] == 4
    assert {each["state"] for each in await settled(app)} == {"delivered"}
    again = receiver.received[1:]
    assert [json.loads(each.body)["data"]["id"] for each in again] == jobs
    assert len({each.headers["webhook-id"] for each in again}) == 4
    assert (await ask(app, "POST", path, since=begin.isoformat()))["recovered"] == 0


async def test_a_resend_repeats_the_same_bytes_and_begins_no_series(
    app: WholeApp, receiver: Receiver
) -> None:
    made = await register(app, receiver, "job.queued")
    await app.submit("hello")
    (delivery,) = await settled(app)
    await ask(app, "POST", f"{DELIVERIES}/{delivery['id']}/resend")
    first, second = await receiver.wait_for(2)
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert signed_by(second, made["signing_secret"])
    await settled(app)

    receiver.script(Answer(500))
    await ask(app, "POST", f"{DELIVERIES}/{delivery['id']}/resend")
    await receiver.wait_for(3)
    (delivery,) = await settled(app)
    assert (delivery["state"], delivery["try_count"]) == ("delivered", 3)
    whole = await ask(app, "GET", f"{DELIVERIES}/{delivery['id']}")
    assert [each["manual"] for each in whole["tries"]] == [False, True, True]
    assert whole["body"].encode() == first.body


async def test_a_resend_that_succeeds_ends_the_tries_to_come(
    app: WholeApp, receiver: Receiver
) -> None:
    await register(app, receiver, "job.queued")
    receiver.script(Answer(500))
    await app.submit("hello")
    await receiver.wait_for(1)
    (waiting,) = await tried(app)
    assert waiting["state"] == "pending"
    async with app.resources.database.transaction() as db:
        await db.execute(update(WebhookDelivery).values(next_try_at=2**50))
    await ask(app, "POST", f"{DELIVERIES}/{waiting['id']}/resend")
    (delivery,) = await settled(app)
    assert (delivery["state"], delivery["next_try_at"]) == ("delivered", None)
    assert len(receiver.received) == 2


async def test_a_receiver_that_moved_gets_what_waits(app: WholeApp, receiver: Receiver) -> None:
    made = await register(app, receiver, "job.queued")
    receiver.default = Answer(500)
    await app.submit("hello")
    await receiver.wait_for(1)
    (waiting,) = await tried(app)
    receiver.default = Answer(204)
    await ask(app, "POST", f"{ENDPOINTS}/{made['id']}", url=receiver.url("/moved"))
    await ask(app, "POST", f"{DELIVERIES}/{waiting['id']}/resend")
    await settled(app)
    assert [each.path for each in receiver.received] == ["/hook", "/moved"]
