"""`/metrics`: what was counted anywhere, and the pulse of the database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from shared import outbox
from shared.clock import now_ms, rfc3339
from shared.enqueue import ActorName, QueueName, Wakeup
from shared.jobs import claim_store, pulse
from tests.api.whole_app import WholeApp, whole_app

CONFIG = """
[[deployments]]
name = "one-a-minute"
provider = "sandbox"
model = "echo"
rpm = 1
"""
CANARY = "canary-4711"


@pytest.fixture
async def app(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[WholeApp]:
    (tmp_path / "penstock.toml").write_text(CONFIG)
    async with whole_app(tmp_path, database_url=database_url, redis_url=redis_url) as app:
        yield app


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "FRESH_S", 0.0)
    monkeypatch.setattr(pulse, "COST_SHARE", 0)


class Scrape:
    """What Prometheus would read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def __call__(self, name: str, **labels: str) -> float | None:
        found = [each.value for each in self.samples if each.name == name and each.labels == labels]
        assert len(found) < 2
        return found[0] if found else None


async def scrape(app: WholeApp) -> Scrape:
    reply = await app.client_of(None).get("/metrics")
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/plain")
    return Scrape(reply.text)


async def test_the_queue_by_priority_model_and_status(app: WholeApp) -> None:
    await app.submit("one", priority="bulk")
    await app.submit("two", priority="bulk", model="one-a-minute")
    await app.submit("three", priority="bulk", model="sandbox/some-other-name")
    await app.submit("later", scheduled_at=rfc3339(now_ms() + 3_600_000))
    seen = await scrape(app)
    ready = {"priority": "bulk", "status": "queued"}
    assert seen("penstock_queue_jobs", model="sandbox/*", **ready) == 2
    assert seen("penstock_queue_jobs", model="one-a-minute", **ready) == 1
    age_s = seen("penstock_queue_oldest_seconds", model="one-a-minute", **ready)
    assert age_s is not None
    assert 0 <= age_s < 60
    assert seen("penstock_scheduled_jobs") == 1
    assert seen("penstock_running_jobs") == 0
    assert seen("penstock_database_up") == 1


async def test_a_job_from_submit_to_its_end(app: WholeApp) -> None:
    done, refused, cancelled = [
        await app.submit("hello"),
        await app.submit("no", model="sandbox/reject-400"),
        await app.submit("never mind"),
    ]
    await app.client.post(f"/v1/jobs/{cancelled}/cancel")
    await app.work(done, refused, cancelled)
    seen = await scrape(app)
    assert seen("penstock_claims_total", outcome="won") == 2
    assert seen("penstock_claims_total", outcome="missed") == 1
    assert seen("penstock_claim_jobs_count") == 1
    assert seen("penstock_attempts_total", deployment="sandbox/*", status="ok") == 1
    assert seen("penstock_attempts_total", deployment="sandbox/*", status="error") == 1
    assert seen("penstock_call_seconds_count", deployment="sandbox/*") == 2
    assert seen("penstock_jobs_ended_total", state="completed", reason="") == 1
    assert seen("penstock_jobs_ended_total", state="failed", reason="rejected") == 1
    assert seen("penstock_jobs_ended_total", state="cancelled", reason="cancelled") == 1
    assert seen("penstock_queue_wait_seconds_count", priority="standard") == 2
    assert (seen("penstock_journal_entries_sum") or 0) >= 4
    route = {"method": "POST", "route": "/v1/jobs"}
    assert seen("penstock_http_requests_total", **route, status="202") == 3
    assert seen("penstock_http_request_seconds_count", **route) == 3
    assert (
        seen("penstock_queue_jobs", priority="standard", model="sandbox/*", status="queued") is None
    )


async def test_jobs_that_the_limiter_does_not_admit(app: WholeApp) -> None:
    # Its buckets start empty.
    ids = [await app.submit("hello", model="one-a-minute") for _ in range(3)]
    await app.work(*ids)
    seen = await scrape(app)
    denied = {"deployment": "one-a-minute", "bucket": "requests"}
    assert seen("penstock_limiter_denials_total", **denied) == 3
    assert seen("penstock_jobs_requeued_total", reason="rate_limited") == 3
    lanes = [each for each in seen.samples if each.name == "penstock_lane_waiting_jobs"]
    assert [(each.labels["reason"], each.value) for each in lanes] == [("rate_limited", 3)]
    assert lanes[0].labels["lane"].startswith("one-a-minute:")
    waiting = {"priority": "standard", "model": "one-a-minute", "status": "waiting"}
    assert seen("penstock_queue_jobs", **waiting) == 3


async def test_who_is_at_work(app: WholeApp) -> None:
    assert (await scrape(app))("penstock_leader_present") == 0
    await app.lead()
    await app.live("one", in_flight=7)
    await app.live("two", in_flight=5, draining=True)
    await app.live("three", silent_ms=60_000)
    seen = await scrape(app)
    assert seen("penstock_leader_present") == 1
    for state in ("consuming", "draining", "silent"):
        assert seen("penstock_workers", state=state) == 1
    assert seen("penstock_in_flight_jobs") == 12


async def test_what_is_late_shows(app: WholeApp) -> None:
    kept, lost = await app.submit("one"), await app.submit("two")
    async with app.resources.database.transaction() as db:
        await claim_store.claim(db, [kept], owner="w", lease_ms=60_000)
        await claim_store.claim(db, [lost], owner="w", lease_ms=-1)
        await outbox.remove(db, range(1, 100))
        promised = Wakeup(ActorName.RUN_JOBS, QueueName.BULK, {"ids": ["job_x"]})
        await outbox.add(db, [promised, promised])
        await db.execute(text("UPDATE outbox SET created_at = created_at - 60000"))
    seen = await scrape(app)
    assert seen("penstock_running_jobs") == 2
    assert seen("penstock_overdue_leases") == 1
    assert seen("penstock_outbox_messages") == 2
    age_s = seen("penstock_outbox_oldest_seconds")
    assert age_s is not None
    assert 60 <= age_s < 120


async def test_strangers_make_no_series(app: WholeApp) -> None:
    client = app.client
    before = len((await scrape(app)).samples)
    for number in range(5):
        await client.get(f"/{CANARY}/{number}")
        await client.request(f"BREW{number}", "/v1/jobs")
        await client.get(f"/v1/jobs/{CANARY}-{number}")
        await app.submit("hi", model=f"sandbox/{CANARY}-{number}", custom_id=f"{CANARY}-{number}")
    seen = await scrape(app)
    assert CANARY not in seen.text
    assert app.tenant_id not in seen.text
    # Four kinds of request (each a count, a sum and seventeen buckets), and two of the queue.
    assert len(seen.samples) - before < 5 * 25
    assert seen("penstock_http_requests_total", method="GET", route="none", status="404") == 5
    assert seen("penstock_http_requests_total", method="other", route="/v1/jobs", status="405") == 5


async def test_counters_are_there_while_the_database_is_away(tmp_path: Path) -> None:
    url = "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"
    async with whole_app(
        tmp_path, database_url=url, redis_url="redis://127.0.0.1:1/0", migrated=False
    ) as app:
        await app.client_of(None).get("/healthz")
        seen = await scrape(app)
    assert seen("penstock_database_up") == 0
    labels = {"method": "GET", "route": "/healthz", "status": "200"}
    assert seen("penstock_http_requests_total", **labels) == 1


async def test_speaks_openmetrics_to_who_asks_for_it(app: WholeApp) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    reply = await app.client_of(None).get("/metrics", headers=accept)
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert reply.text.endswith("# EOF\n")


async def test_a_slow_count_is_not_repeated_at_every_scrape(
    app: WholeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "COST_SHARE", 10_000)
    await scrape(app)
    await app.submit("not counted yet")
    seen = await scrape(app)
    assert not [each for each in seen.samples if each.name == "penstock_queue_jobs"]
