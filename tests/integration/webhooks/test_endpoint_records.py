"""An endpoint's record, on both databases: what disables it, what clears it, what is recovered."""

import pytest

from shared.clock import now_ms
from shared.database import Database
from shared.webhooks import delivery_store, replay_store, store
from shared.webhooks.outcome import Outcome, TryError
from shared.webhooks.tries_store import WhyDisabled
from tests.integration.webhooks.conftest import TENANT, Rows, claim, record, report

URL = "https://receiver.example/hook"
DAY_MS = 24 * 3_600_000
OK, BAD, GONE = (Outcome(5_000, 12, status_code=status) for status in (204, 500, 410))
NO_ANSWER = Outcome(5_000, 12, error=TryError.DNS, error_message="no such name")


async def test_410_disables_the_endpoint_and_skips_what_waits(
    database: Database, rows: Rows
) -> None:
    endpoint, other = await rows.endpoint(URL), await rows.endpoint(URL)
    names = await rows.deliveries(4, URL, endpoint)
    elsewhere = await rows.delivery(URL, other)
    claims = await claim(database, endpoint)
    async with database.transaction() as db:
        await delivery_store.release(db, claims[3:], owner="me")

    recorded = await record(database, report(claims[0], GONE, wait_s=None))

    assert recorded.disabled == [(endpoint, WhyDisabled.GONE)]
    row = await rows.get_endpoint(endpoint)
    assert (row["disabled_at"] is None, row["disabled_reason"]) == (False, WhyDisabled.GONE)
    states = [(await rows.get(name))["state"] for name in names]
    assert states == ["failed", "pending", "pending", "skipped"]
    # Those that were on their way find it disabled: one arrives all the same.
    await record(database, report(claims[1], BAD), report(claims[2], OK))
    states = [(await rows.get(name))["state"] for name in names]
    assert states == ["failed", "skipped", "delivered", "skipped"]
    assert (await rows.get(elsewhere))["state"] == "pending"


async def test_after_410_everything_can_be_recovered_once_and_in_order(
    database: Database, rows: Rows
) -> None:
    endpoint = await rows.endpoint(URL)
    names = await rows.deliveries(3, URL, endpoint)
    for age, name in enumerate(names):
        await rows.change(name, created_at=1_000 + age)
    claims = await claim(database, endpoint)
    await record(database, *(report(each, GONE, wait_s=None) for each in claims))
    assert await claim(database, endpoint) == []

    async with database.transaction() as db:
        await store.enable(db, TENANT, endpoint)
        count = await replay_store.recover(db, TENANT, endpoint, since=0, until=2_000, limit=100)
    again = await claim(database, endpoint)
    await record(database, *(report(each, OK) for each in again))

    assert count == 3
    assert [each.id for each in again] == names
    assert [(await rows.get(name))["state"] for name in names] == ["delivered"] * 3
    assert await claim(database, endpoint) == []


async def test_a_job_s_own_url_that_is_gone_ends_its_delivery_only(
    database: Database, rows: Rows
) -> None:
    first, second = await rows.deliveries(2, URL, None)
    claims = await claim(database, f"{TENANT}:receiver.example")

    recorded = await record(database, report(claims[0], GONE, wait_s=None))

    assert recorded.disabled == []
    assert (await rows.get(first))["state"] == "failed"
    assert (await rows.get(second))["state"] == "pending"


@pytest.mark.parametrize(
    ("failures", "failing_days", "disabled"),
    [(9, 5.1, True), (8, 5.1, False), (500, 4.9, False), (0, 0, False)],
)
async def test_days_of_nothing_but_failures_disable(
    database: Database, rows: Rows, failures: int, failing_days: float, disabled: bool
) -> None:
    since = now_ms() - round(failing_days * DAY_MS) if failures else None
    endpoint = await rows.endpoint(URL, failures=failures, failing_since=since)
    names = await rows.deliveries(2, URL, endpoint)
    claims = await claim(database, endpoint)
    await rows.change(names[1], owner=None, lease_expires_at=None)

    recorded = await record(database, report(claims[0], NO_ANSWER))

    assert list(recorded.disabled) == ([(endpoint, WhyDisabled.FAILING)] if disabled else [])
    row = await rows.get_endpoint(endpoint)
    assert (row["disabled_at"] is not None) == disabled
    assert row["failures"] == failures + 1
    assert row["failing_since"] == since or since is None
    assert row["failing_since"] is not None
    expected = ["skipped"] * 2 if disabled else ["pending"] * 2
    assert [(await rows.get(name))["state"] for name in names] == expected


async def test_a_success_clears_the_record(database: Database, rows: Rows) -> None:
    long_ago = now_ms() - 9 * DAY_MS
    endpoint = await rows.endpoint(URL, failures=50, failing_since=long_ago)
    await rows.deliveries(2, URL, endpoint)
    first, second = await claim(database, endpoint)

    recorded = await record(database, report(first, OK), report(second, BAD))

    assert recorded.disabled == []
    row = await rows.get_endpoint(endpoint)
    assert (row["failures"], row["failing_since"], row["disabled_at"]) == (0, None, None)
