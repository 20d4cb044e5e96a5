"""How the deliverer ends: drains, deliveries that cannot be sent, receivers that are gone."""

from time import monotonic

from shared.clock import now_ms
from shared.database import Database
from shared.webhooks import replay_store, store
from shared.webhooks.egress import Guard
from shared.webhooks.model import WebhookDelivery
from shared.webhooks.secrets import SecretBox, new_secret
from tests.fakes.receiver import Answer, Receiver
from tests.integration.webhooks.conftest import TENANT, Rows, deliver, open_deliverer, states


async def test_a_drain_lets_tries_end_and_the_rest_go(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    receiver.default = Answer(delay_s=0.5)
    endpoint = await rows.endpoint(receiver.url())
    await rows.deliveries(30, receiver.url(), endpoint)
    async with open_deliverer(database) as deliverer:
        await deliverer.take([endpoint])
        await receiver.wait_for(5)
        had_room = deliverer.has_room
        await deliverer.drain(10)
        assert (had_room, deliverer.has_room) == (True, False)
        await deliverer.take([endpoint])

    assert len(receiver.received) == 5
    found = await states(rows)
    assert (found.count("delivered"), found.count("pending")) == (5, 25)
    assert {row["owner"] for row in await rows.all(WebhookDelivery)} == {None}


async def test_a_drain_waits_no_longer_than_it_may(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    receiver.default = Answer(delay_s=8)
    endpoint = await rows.endpoint(receiver.url())
    await rows.deliveries(5, receiver.url(), endpoint)
    async with open_deliverer(database) as deliverer:
        await deliverer.take([endpoint])
        await receiver.wait_for(5)
        begun = monotonic()
        await deliverer.drain(0.2)
        assert monotonic() - begun < 3

    # Free for another worker at once, and no try is counted that had no end.
    rows_now = await rows.all(WebhookDelivery)
    assert {(row["state"], row["owner"], row["tries"]) for row in rows_now} == {
        ("pending", None, 0)
    }
    receiver.default = Answer()
    await deliver(database, [endpoint])
    assert set(await states(rows)) == {"delivered"}


async def test_a_blocked_address_is_a_try_that_failed(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    url = receiver.url().replace("http:", "https:")
    endpoint = await rows.endpoint(url)
    name = await rows.delivery(url, endpoint)

    await deliver(database, [endpoint], guard=Guard(allow_private=False))

    assert receiver.connects == 0
    (made,) = await rows.tries(name)
    assert (made["error"], made["status_code"], made["ip"]) == ("blocked_address", None, None)
    assert (await rows.get(name))["state"] == "pending"


async def test_a_secret_sealed_under_another_key_is_a_try_that_failed(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    sealed = SecretBox(b"another key").seal(new_secret())
    endpoint = await rows.endpoint(receiver.url(), secret=sealed)
    name = await rows.delivery(receiver.url(), endpoint)

    await deliver(database, [endpoint])

    assert receiver.connects == 0
    assert (await rows.tries(name))[0]["error"] == "secret_unreadable"
    assert (await rows.get(name))["state"] == "pending"


async def test_one_that_cannot_be_signed_holds_up_no_other(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    endpoint = await rows.endpoint(receiver.url())
    bad = await rows.delivery(receiver.url(), endpoint, body=b"\xff\xfe")
    good = await rows.delivery(receiver.url(), endpoint)

    await deliver(database, [endpoint])

    assert await states(rows, bad, good) == ["pending", "delivered"]
    assert (await rows.tries(bad))[0]["error"] == "internal"


async def test_410_ends_it_and_after_enabling_each_is_recovered_once(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    receiver.default = Answer(410)
    endpoint = await rows.endpoint(receiver.url())
    names = await rows.deliveries(4, receiver.url(), endpoint)

    await deliver(database, [endpoint], webhook_at_once=1)
    assert sorted(await states(rows)) == ["failed", "skipped", "skipped", "skipped"]
    assert len(receiver.received) == 1

    receiver.clear()
    async with database.transaction() as db:
        await store.enable(db, TENANT, endpoint)
        until = now_ms() + 60_000
        await replay_store.recover(db, TENANT, endpoint, since=0, until=until, limit=100)
    await deliver(database, [endpoint], webhook_at_once=1)

    events = {row["id"]: row["event_id"] for row in await rows.all(WebhookDelivery)}
    assert [got.headers["webhook-id"] for got in receiver.received] == [events[x] for x in names]
    assert await states(rows) == ["delivered"] * 4
