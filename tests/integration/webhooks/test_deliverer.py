"""The deliverer between both databases and a real receiver: turns, retries, isolation, endings."""

import asyncio
from time import monotonic

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from shared.clock import now_ms
from shared.database import Database
from shared.webhooks import replay_store, store
from shared.webhooks.model import WebhookDelivery, WebhookRest
from shared.webhooks.secrets import new_secret
from tests.fakes.receiver import Answer, Receiver
from tests.integration.webhooks.conftest import (
    BODY,
    BOX,
    TENANT,
    Rows,
    claim,
    deliver,
    open_deliverer,
    states,
)


async def make_due(rows: Rows, name: str) -> None:
    await rows.change(name, next_try_at=now_ms() - 1)


async def test_an_event_arrives_signed(database: Database, rows: Rows, receiver: Receiver) -> None:
    secret = new_secret()
    endpoint = await rows.endpoint(receiver.url(), secret=BOX.seal(secret))
    name = await rows.delivery(receiver.url(), endpoint)

    await deliver(database, [endpoint])

    (got,) = receiver.received
    assert got.body == BODY
    Webhook(secret).verify(got.body, dict(got.headers))
    assert got.headers["webhook-id"] == (await rows.get(name))["event_id"]
    assert got.headers["user-agent"] == "Penstock"
    assert got.headers["content-type"] == "application/json"
    assert await states(rows) == ["delivered"]


async def test_after_a_rotation_the_old_secret_verifies_until_its_day_is_over(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    old, present = new_secret(), new_secret()
    endpoint = await rows.endpoint(receiver.url(), secret=BOX.seal(old))
    async with database.transaction() as db:
        await store.rotate(db, TENANT, endpoint, BOX.seal(present), keep_old=True)
    await rows.delivery(receiver.url(), endpoint)
    await deliver(database, [endpoint])
    await rows.change_endpoint(endpoint, old_secret_until=now_ms() - 1)
    await rows.delivery(receiver.url(), endpoint)
    await deliver(database, [endpoint])

    during, after = receiver.received
    for got in (during, after):
        Webhook(present).verify(got.body, dict(got.headers))
    Webhook(old).verify(during.body, dict(during.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(after.body, dict(after.headers))


async def test_a_receiver_that_was_down_gets_the_event_when_it_is_up_again(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    with Receiver() as steady:
        endpoint = await rows.endpoint(receiver.url())
        other = await rows.endpoint(steady.url())
        name = await rows.delivery(receiver.url(), endpoint)
        await rows.delivery(steady.url(), other)
        receiver.pause()
        await deliver(database, [endpoint, other])
        assert len(steady.received) == 1
        receiver.resume()
        receiver.script(Answer(503), Answer(delay_s=9), Answer(200))
        for _ in range(3):
            await make_due(rows, name)
            async with database.transaction() as db:
                await db.execute(WebhookRest.__table__.delete())  # type: ignore[attr-defined]
            await deliver(database, [endpoint], webhook_timeout_s=0.3)

    tries = await rows.tries(name)
    assert [(x["number"], x["status_code"], x["error"]) for x in tries] == [
        (1, None, "connection"),
        (2, 503, None),
        (3, None, "timeout"),
        (4, 200, None),
    ]
    assert (await rows.get(name))["state"] == "delivered"
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 1
    for got, made in zip(receiver.received, tries[1:], strict=True):
        assert abs(int(got.headers["webhook-timestamp"]) - made["started_at"] // 1000) <= 1


async def test_the_tries_follow_the_schedule_and_end(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    receiver.default = Answer(500)
    endpoint = await rows.endpoint(receiver.url())
    name = await rows.delivery(receiver.url(), endpoint)
    waits_s = []
    for _ in range(3):
        await deliver(database, [endpoint], webhook_schedule_s=(5, 300))
        row = await rows.get(name)
        if row["next_try_at"] is not None:
            waits_s.append((row["next_try_at"] - now_ms()) / 1000)
            await make_due(rows, name)

    assert len(receiver.received) == 3
    assert 3 < waits_s[0] < 5.6
    assert 260 < waits_s[1] < 331
    assert (await rows.get(name))["state"] == "failed"
    await deliver(database, [endpoint])
    assert len(receiver.received) == 3


async def test_what_is_recovered_has_a_schedule_of_its_own(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    receiver.default = Answer(500)
    endpoint = await rows.endpoint(receiver.url())
    name = await rows.delivery(receiver.url(), endpoint)
    await rows.add_tries(name, 500, 500)
    await rows.change(name, state="failed", tries=2, next_try_at=None, finished_at=1)
    async with database.transaction() as db:
        until = now_ms() + 60_000
        await replay_store.recover(db, TENANT, endpoint, since=0, until=until, limit=9)

    for _ in range(2):
        await deliver(database, [endpoint], webhook_schedule_s=(5,))
        await make_due(rows, name)

    assert [row["number"] for row in await rows.tries(name)] == [1, 2, 3, 4]
    row = await rows.get(name)
    assert (row["state"], row["tries"]) == ("failed", 4)


async def test_a_slow_receiver_delays_no_other(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    receiver.default = Answer(delay_s=1.5)
    with Receiver() as quick:
        slow_one = await rows.endpoint(receiver.url())
        quick_one = await rows.endpoint(quick.url())
        await rows.deliveries(12, receiver.url(), slow_one)
        await rows.deliveries(100, quick.url(), quick_one)
        begun = monotonic()
        async with open_deliverer(database) as deliverer:
            await deliverer.take([slow_one, quick_one])
            await quick.wait_for(100, within_s=10)
            quick_s = quick.received[-1].at - begun
            done_by_then = len(receiver.received)
            await receiver.wait_for(12, within_s=30)
            await deliverer.idle()

        assert done_by_then <= 5 * (1 + quick_s // 1.5)
        assert receiver.most_at_once == 5
        assert quick.most_at_once <= 5
    assert await states(rows) == ["delivered"] * 112


@pytest.mark.parametrize("answer", [Answer(429), Answer(502), Answer(504), Answer(delay_s=9)])
async def test_a_receiver_that_asks_for_less_is_left_alone(
    database: Database, rows: Rows, receiver: Receiver, answer: Answer
) -> None:
    receiver.default = answer
    endpoint = await rows.endpoint(receiver.url())
    names = await rows.deliveries(20, receiver.url(), endpoint)

    await deliver(database, [endpoint], webhook_at_once=2, webhook_timeout_s=0.3)
    before = await rows.all(WebhookDelivery)
    await deliver(database, [endpoint], webhook_at_once=2, webhook_timeout_s=0.3)

    assert len(receiver.received) == 2
    assert await rows.all(WebhookDelivery) == before
    assert await states(rows, *names) == ["pending"] * 20
    assert {row["owner"] for row in before} == {None}
    (rest,) = await rows.all(WebhookRest)
    assert rest["rests_until"] - now_ms() > 50_000
    tried = [row for row in before if row["tries"]]
    assert all(row["next_try_at"] - now_ms() > 50_000 for row in tried)
    assert len(tried) == 2


async def test_what_comes_during_a_turn_is_sent_beside_it_up_to_five_at_once(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    receiver.default = Answer(delay_s=1.5)
    endpoint = await rows.endpoint(receiver.url())
    await rows.delivery(receiver.url(), endpoint)
    async with open_deliverer(database) as deliverer:
        await deliverer.take([endpoint])
        await receiver.wait_for(1)
        await rows.deliveries(3, receiver.url(), endpoint)
        await deliverer.take([endpoint])
        await deliverer.take([endpoint])
        await receiver.wait_for(4, within_s=1)
        await rows.deliveries(4, receiver.url(), endpoint)
        await deliverer.take([endpoint])
        await receiver.wait_for(8, within_s=10)
        await deliverer.idle()

    assert receiver.most_at_once == 5
    assert await states(rows) == ["delivered"] * 8


async def test_a_backlog_is_sent_to_its_end_each_once(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    endpoint = await rows.endpoint(receiver.url())
    await rows.deliveries(700, receiver.url(), endpoint)

    await deliver(database, [endpoint])

    ids = [got.headers["webhook-id"] for got in receiver.received]
    assert len(ids) == len(set(ids)) == 700
    assert set(await states(rows)) == {"delivered"}


async def test_many_targets_have_their_turns(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    receiver.default = Answer(delay_s=0.05)
    names = [await rows.endpoint(receiver.url()) for _ in range(150)]
    for name in names:
        await rows.delivery(receiver.url(), name)
    async with open_deliverer(database) as deliverer:
        await deliverer.take(names)
        # No more than have their turn: the others are names in a line.
        tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("webhooks ")]
        await deliverer.idle()

    assert len(tasks) == 64
    assert set(await states(rows)) == {"delivered"}


async def test_killed_between_the_post_and_its_record_it_is_sent_again(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    endpoint = await rows.endpoint(receiver.url())
    name = await rows.delivery(receiver.url(), endpoint)
    async with open_deliverer(database, owner="dying") as dying:
        (held,) = await claim(database, endpoint, owner="dying", lease_ms=500)
        await dying._desk.attempt(held)

    await deliver(database, [endpoint])
    assert len(receiver.received) == 1
    await rows.change(name, lease_expires_at=now_ms() - 1)
    await deliver(database, [endpoint])

    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert await states(rows) == ["delivered"]
    assert len(await rows.tries(name)) == 1
