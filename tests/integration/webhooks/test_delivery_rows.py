"""A deliverer's hold on deliveries, on both databases: due, claimed, released, run out."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from shared.clock import now_ms
from shared.database import Database
from shared.webhooks import delivery_store, replay_store, store
from shared.webhooks.delivery_store import Ask, Claim, Won
from shared.webhooks.model import WebhookDelivery, WebhookRest
from shared.webhooks.secrets import new_secret
from tests.integration.webhooks.conftest import BODY, BOX, TENANT, Rows

URL = "https://receiver.example/hook"
HOUR_MS = 3_600_000


async def claim(
    database: Database, target: str, *, limit: int = 100, owner: str = "me", lease_ms: int = 60_000
) -> list[Claim]:
    return list((await ask(database, Ask(target, limit), owner=owner, lease_ms=lease_ms))[0].claims)


async def ask(
    database: Database, *asks: Ask, owner: str = "me", lease_ms: int = 60_000
) -> list[Won]:
    async with database.transaction() as db:
        return await delivery_store.claim(db, asks, owner=owner, lease_ms=lease_ms, box=BOX)


async def due(database: Database, *, limit: int = 100, behind: str = "") -> list[str]:
    async with database.reading() as db:
        return await delivery_store.due_targets(db, limit=limit, behind=behind)


def ids(claims: Sequence[Claim]) -> list[str]:
    return [each.id for each in claims]


async def rest(database: Database, rows: Rows, target: str, for_ms: int) -> None:
    async with database.transaction() as db:
        db_row = {"target": target, "rests_until": now_ms() + for_ms}
        await db.execute(WebhookRest.__table__.insert(), [db_row])  # type: ignore[attr-defined]


async def test_what_is_due_is_claimed_once(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    first = await rows.delivery(URL, endpoint)

    (won,) = await claim(database, endpoint)

    assert (won.id, won.body, won.url, won.tries) == (first, BODY, URL, 0)
    assert (won.tenant_id, won.endpoint_id, won.target) == (TENANT, endpoint, endpoint)
    assert (won.claim_number, won.by_hand, won.failing) == (1, False, False)
    assert await claim(database, endpoint, owner="another") == []
    assert await due(database) == []


async def test_the_oldest_go_first_and_no_more_than_asked_for(
    database: Database, rows: Rows
) -> None:
    endpoint = await rows.endpoint(URL)
    names = await rows.deliveries(5, URL, endpoint)
    for age, name in enumerate(reversed(names)):
        await rows.change(name, next_try_at=1000 + age)

    assert ids(await claim(database, endpoint, limit=2)) == [names[4], names[3]]
    assert ids(await claim(database, endpoint, limit=9)) == [names[2], names[1], names[0]]


async def test_each_ask_of_a_group_gets_its_own(database: Database, rows: Rows) -> None:
    one, two, three = [await rows.endpoint(URL) for _ in range(3)]
    of_one = await rows.deliveries(2, URL, one)
    of_two = await rows.deliveries(2, URL, two)

    won = await ask(database, Ask(two, 1), Ask(three, 5), Ask(one, 5))

    assert [ids(each.claims) for each in won] == [of_two[:1], [], of_one]


async def test_what_is_not_due_or_ended_is_left(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    later, done, missed = await rows.deliveries(3, URL, endpoint)
    await rows.change(later, next_try_at=now_ms() + HOUR_MS)
    await rows.change(done, state="delivered", next_try_at=None, finished_at=1)
    await rows.change(missed, state="skipped", next_try_at=None, finished_at=1)

    assert await claim(database, endpoint) == []
    assert await due(database) == []


async def test_a_lease_that_ran_out_is_another_s_to_take(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    name = await rows.delivery(URL, endpoint)
    await claim(database, endpoint, lease_ms=-1)
    assert await due(database) == [endpoint]

    (again,) = await claim(database, endpoint, owner="another")

    assert (again.id, again.claim_number, again.tries) == (name, 2, 0)
    assert await due(database) == []


async def test_what_was_let_go_is_due_at_once(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    await rows.deliveries(3, URL, endpoint)
    claims = await claim(database, endpoint)
    before = {row["id"]: row["next_try_at"] for row in await rows.all(WebhookDelivery)}

    async with database.transaction() as db:
        await delivery_store.release(db, claims[:2], owner="another")
        await delivery_store.release(db, claims[1:], owner="me")

    assert ids(await claim(database, endpoint, owner="another")) == ids(claims[1:])
    after = {row["id"]: row["next_try_at"] for row in await rows.all(WebhookDelivery)}
    assert after == before


async def test_a_target_at_rest_is_left_but_for_what_people_ask_for(
    database: Database, rows: Rows
) -> None:
    endpoint = await rows.endpoint(URL)
    await rows.delivery(URL, endpoint)
    by_hand = await rows.delivery(URL, endpoint, finished_at=1)
    await rest(database, rows, endpoint, 60_000)
    assert await due(database) == [endpoint]

    won = await claim(database, endpoint)

    assert [(each.id, each.by_hand) for each in won] == [(by_hand, True)]
    assert await due(database) == []


async def test_a_rest_that_is_over_is_forgotten(database: Database, rows: Rows) -> None:
    endpoint, other = await rows.endpoint(URL), await rows.endpoint(URL)
    await rows.delivery(URL, endpoint)
    await rest(database, rows, endpoint, -5)
    await rest(database, rows, other, HOUR_MS)

    assert len(await claim(database, endpoint)) == 1
    async with database.transaction() as db:
        await delivery_store.forget_rests(db)
    assert [row["target"] for row in await rows.all(WebhookRest)] == [other]


async def test_what_people_ask_for_goes_before_a_backlog(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    backlog = await rows.deliveries(20, URL, endpoint)
    for name in backlog:
        await rows.change(name, next_try_at=1)
    old = await rows.delivery(URL, endpoint, finished_at=1, next_try_at=None)
    async with database.transaction() as db:
        await replay_store.resend(db, TENANT, old)

    won = await claim(database, endpoint, limit=2)

    assert ids(won)[0] == old
    assert len(won) == 3


@pytest.mark.parametrize("column", ["disabled_at", "deleted_at"])
async def test_an_endpoint_that_listens_no_more_is_sent_nothing(
    database: Database, rows: Rows, column: str
) -> None:
    endpoint = await rows.endpoint(URL, **{column: 5})
    name = await rows.delivery(URL, endpoint)

    (won,) = await ask(database, Ask(endpoint, 5))

    assert (won.claims, won.skipped) == ([], 1)
    row = await rows.get(name)
    assert (row["state"], row["next_try_at"], row["owner"]) == ("skipped", None, None)
    assert row["finished_at"] is not None


async def test_both_secrets_sign_for_a_day_after_a_rotation(database: Database, rows: Rows) -> None:
    first, second = BOX.seal(new_secret()), BOX.seal(new_secret())
    endpoint = await rows.endpoint(URL, secret=first)
    await rows.deliveries(3, URL, endpoint)

    (before,) = await claim(database, endpoint, limit=1)
    async with database.transaction() as db:
        await store.rotate(db, TENANT, endpoint, second, keep_old=True)
    (during,) = await claim(database, endpoint, limit=1)
    await rows.change_endpoint(endpoint, old_secret_until=now_ms() - 1)
    (after,) = await claim(database, endpoint, limit=1)

    assert [x.secrets for x in (before, during, after)] == [(first,), (second, first), (second,)]


async def test_a_job_s_own_url_is_signed_for_its_tenant(database: Database, rows: Rows) -> None:
    await rows.delivery(URL, None)
    await rows.delivery(URL, None, tenant_id="ten_2", target="ten_2:receiver.example")
    async with database.transaction() as db:
        theirs = (await store.ensure_secret(db, "ten_2", BOX))["secret"]

    mine, others = await ask(
        database, Ask(f"{TENANT}:receiver.example", 5), Ask("ten_2:receiver.example", 5)
    )

    # Its tenant had none: it was made.
    (sealed,) = mine.claims[0].secrets
    assert BOX.open(sealed).startswith("whsec_")
    assert others.claims[0].secrets == (theirs,)
    async with database.reading() as db:
        row: Any = await store.secret_of(db, TENANT)
    assert row["secret"] == sealed


async def test_every_target_with_something_due_is_named(database: Database, rows: Rows) -> None:
    names = sorted([await rows.endpoint(URL) for _ in range(4)])
    for name in names:
        await rows.deliveries(3, URL, name)
    own = await rows.delivery(URL, None)
    held, later, sleeping, ready = names
    await claim(database, held)
    for row in await rows.all(WebhookDelivery):
        if row["target"] == later:
            await rows.change(row["id"], next_try_at=now_ms() + HOUR_MS)
    await rest(database, rows, sleeping, HOUR_MS)

    assert await due(database) == [(await rows.get(own))["target"], ready]
    assert len(await due(database, limit=1)) == 1


async def test_two_deliverers_never_hold_the_same(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    names = await rows.deliveries(60, URL, endpoint)

    async def take(owner: str) -> list[str]:
        mine: list[str] = []
        for _ in range(8):
            mine += ids(await claim(database, endpoint, limit=5, owner=owner))
        return mine

    taken = [x for some in await asyncio.gather(*(take(f"w{n}") for n in range(4))) for x in some]

    assert len(taken) == len(set(taken))
    # On PostgreSQL what another has locked is passed over, and may be left for later.
    taken += ids(await claim(database, endpoint))
    assert sorted(taken) == names


async def test_who_is_due_is_named_page_by_page(database: Database, rows: Rows) -> None:
    endpoints = sorted([await rows.endpoint(URL) for _ in range(5)])
    for endpoint in endpoints:
        await rows.delivery(URL, endpoint)

    first = await due(database, limit=2)
    second = await due(database, limit=2, behind=first[-1])
    third = await due(database, limit=2, behind=second[-1])

    assert [*first, *second, *third] == endpoints
