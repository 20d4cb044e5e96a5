"""What is written of tries, on both databases: states, the log, an endpoint's record, the fence."""

from collections.abc import Sequence
from typing import Any

import pytest

from shared.clock import now_ms
from shared.database import Database, Row
from shared.webhooks import replay_store
from shared.webhooks.model import WebhookRest
from shared.webhooks.outcome import Outcome, TryError
from tests.integration.webhooks.conftest import TENANT, Rows, claim, record, report

URL = "https://receiver.example/hook"
DAY_MS = 24 * 3_600_000
OK, BAD, GONE = (Outcome(5_000, 12, status_code=status) for status in (204, 500, 410))
NO_ANSWER = Outcome(5_000, 12, error=TryError.DNS, error_message="no such name")


def shown(row: Row) -> list[Any]:
    return [row[name] for name in ("state", "tries", "owner", "lease_expires_at")]


async def test_a_try_that_arrived_ends_the_delivery(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    name = await rows.delivery(URL, endpoint)
    outcome = Outcome(5_000, 12, status_code=204, response="thanks", ip="192.0.2.1")

    recorded = await record(database, report((await claim(database, endpoint))[0], outcome))

    assert (recorded.kept, recorded.disabled) == ([True], [])
    row = await rows.get(name)
    assert shown(row) == ["delivered", 1, None, None]
    assert row["next_try_at"] is None
    assert row["finished_at"] is not None
    (logged,) = await rows.tries(name)
    assert dict(logged) == {
        "delivery_id": name,
        "number": 1,
        "started_at": 5_000,
        "total_ms": 12,
        "status_code": 204,
        "response": "thanks",
        "ip": "192.0.2.1",
        "error": None,
        "error_message": None,
        "manual": False,
    }


async def test_a_try_that_failed_waits_for_the_next(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    name = await rows.delivery(URL, endpoint)
    await rows.add_tries(name, 500)
    await rows.change(name, tries=1)
    before = now_ms()

    await record(database, report((await claim(database, endpoint))[0], NO_ANSWER, wait_s=300))

    row = await rows.get(name)
    assert shown(row) == ["pending", 2, None, None]
    assert row["next_try_at"] == pytest.approx(before + 300_000, abs=10_000)
    assert row["finished_at"] is None
    logged = (await rows.tries(name))[1]
    assert [logged[x] for x in ("number", "status_code", "error", "error_message")] == [
        2,
        None,
        "dns",
        "no such name",
    ]


async def test_after_the_last_try_it_has_failed(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    name = await rows.delivery(URL, endpoint)

    await record(database, report((await claim(database, endpoint))[0], BAD, wait_s=None))

    row = await rows.get(name)
    assert shown(row) == ["failed", 1, None, None]
    assert (row["next_try_at"], row["finished_at"] is None) == (None, False)


async def test_a_group_is_written_each_in_its_own_way(database: Database, rows: Rows) -> None:
    one, two = await rows.endpoint(URL), await rows.endpoint(URL)
    names = [*await rows.deliveries(3, URL, one), *await rows.deliveries(3, URL, two)]
    claims = [*await claim(database, one), *await claim(database, two)]
    fates = zip(claims, [OK, BAD, BAD, OK, BAD, NO_ANSWER], [None, 5, None] * 2, strict=True)

    recorded = await record(database, *(report(*fate) for fate in fates))

    assert list(recorded.kept) == [True] * 6
    states = [(await rows.get(name))["state"] for name in names]
    assert states == ["delivered", "pending", "failed"] * 2
    # Something arrived at both.
    assert [(await rows.get_endpoint(x))["failures"] for x in (one, two)] == [0, 0]


async def test_who_lost_the_lease_changes_nothing(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    name = await rows.delivery(URL, endpoint)
    (mine,) = await claim(database, endpoint, lease_ms=-1)
    (theirs,) = await claim(database, endpoint, owner="another")
    before = await rows.get(name)

    late = await record(database, report(mine, BAD))
    forged = await record(database, report(theirs, BAD))

    assert (late.kept, forged.kept) == ([False], [False])
    assert await rows.get(name) == before
    assert await rows.tries(name) == []
    assert (await record(database, report(theirs, OK), owner="another")).kept == [True]
    # And written twice, as after a commit whose answer was lost, it is there once.
    assert (await record(database, report(theirs, OK), owner="another")).kept == [False]
    assert len(await rows.tries(name)) == 1


async def test_the_same_owner_s_earlier_claim_is_as_dead(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    name = await rows.delivery(URL, endpoint)
    (first,) = await claim(database, endpoint, lease_ms=-1)
    (second,) = await claim(database, endpoint)

    recorded = await record(database, report(first, OK), report(second, BAD))

    assert recorded.kept == [False, True]
    assert (await rows.get(name))["state"] == "pending"


@pytest.mark.parametrize(("earlier", "expected"), [((500,), "failed"), ((500, 200), "delivered")])
async def test_a_failed_try_by_hand_begins_no_schedule(
    database: Database, rows: Rows, earlier: Sequence[int], expected: str
) -> None:
    endpoint = await rows.endpoint(URL)
    name = await rows.delivery(URL, endpoint)
    await rows.add_tries(name, *earlier)
    await rows.change(name, state=expected, tries=len(earlier), next_try_at=None, finished_at=7)
    async with database.transaction() as db:
        await replay_store.resend(db, TENANT, name)

    await record(database, report((await claim(database, endpoint))[0], BAD, wait_s=5))

    row = await rows.get(name)
    assert (row["state"], row["next_try_at"]) == (expected, None)
    assert (await rows.tries(name))[-1]["manual"]
    assert await claim(database, endpoint) == []


async def test_a_resend_that_arrives_ends_the_schedule(database: Database, rows: Rows) -> None:
    endpoint = await rows.endpoint(URL)
    name = await rows.delivery(URL, endpoint)
    await rows.change(name, next_try_at=now_ms() + DAY_MS, tries=4)
    async with database.transaction() as db:
        await replay_store.resend(db, TENANT, name)

    await record(database, report((await claim(database, endpoint))[0], OK))

    row = await rows.get(name)
    assert (row["state"], row["next_try_at"], row["tries"]) == ("delivered", None, 5)


async def test_a_throttled_target_rests_as_long_as_the_longest_says(
    database: Database, rows: Rows
) -> None:
    one, two = await rows.endpoint(URL), await rows.endpoint(URL)
    await rows.deliveries(3, URL, one)
    await rows.delivery(URL, two)
    first, second, third = await claim(database, one)
    before = now_ms()

    await record(database, report(first, BAD, 60, 90), report(second, BAD, 60, 60))
    await record(database, report(third, BAD, 60, 60))

    (row,) = await rows.all(WebhookRest)
    assert row["target"] == one
    assert row["rests_until"] == pytest.approx(before + 90_000, abs=10_000)
    assert len(await claim(database, two)) == 1


async def test_what_cannot_be_stored_by_itself_is_stored_legibly(
    database: Database, rows: Rows
) -> None:
    endpoint = await rows.endpoint(URL)
    name = await rows.delivery(URL, endpoint)
    text = "Zoë, कमल 😀 � \x01 " + "x" * 1000
    outcome = Outcome(1, 2, status_code=500, response=text)

    await record(database, report((await claim(database, endpoint))[0], outcome))

    assert (await rows.tries(name))[0]["response"] == text
