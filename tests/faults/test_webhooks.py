"""Receivers that are down, slow, gone or hostile, and deliverers that die (scenarios 56, 57, 59–62)."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.fakes.receiver import Answer, Received, Receiver
from tests.fakes.upstream_client import rule
from tests.faults import oracle, telling
from tests.faults.client import HEARS
from tests.faults.polling import until
from tests.faults.processes import memory_mb
from tests.faults.service import Service
from tests.faults.sql import Row

MANY_TRIES = str([0.3] * 20)
AT_ONCE = 5
SLOW_S = 0.5


@pytest.fixture
def other(service: Service) -> Iterator[Receiver]:
    """A receiver beside the one of every job, to be registered."""
    with Receiver() as receiver:
        service.others.append(receiver)
        yield receiver
        service.others.remove(receiver)


def test_where_nothing_fails_each_event_comes_once(service: Service) -> None:
    service.worker_2.start()
    service.receiver.default = Answer(delay_s=0.03)
    service.upstream.script(rule("ok", delay_ms=50))
    for _ in range(8):
        service.client.submit_many(16, "narrow")

    oracle.settle(service)

    posts = Counter(post.headers["webhook-id"] for post in service.receiver.received)
    assert max(posts.values()) == 1, [name for name, times in posts.items() if times > 1]


def test_a_receiver_is_down_for_long(service: Service, other: Receiver) -> None:
    _restart_worker(service, WEBHOOK_SCHEDULE_S=MANY_TRIES)
    endpoint = service.client.register(other.url(), "job.completed")
    other.pause()
    (job,) = service.client.submit_many(1)
    until(lambda: "connection" in _errors(service, endpoint.id), "it is refused")
    other.default = Answer(503)
    other.resume()
    until(lambda: 503 in _statuses(service, endpoint.id), "it is not available")
    assert _deliveries(service, job.id, None) == {"delivered"}, "the other receiver had to wait"
    other.default = Answer(delay_s=60)
    until(lambda: "timeout" in _errors(service, endpoint.id), "it hangs")
    other.default = Answer()
    service.let_time_pass()

    (case,) = oracle.settle(service)

    tries = _tries(service, endpoint.id)
    assert tries[-1]["status_code"] == 200
    kinds = [row["error"] or row["status_code"] for row in tries]
    assert list(dict.fromkeys(kinds)) == ["connection", 503, "timeout", 200]
    assert not list(telling.signed(other.received, endpoint.secret))
    assert len({(post.headers["webhook-id"], post.body) for post in other.received}) == 1
    assert case.posts


def test_what_never_arrives_can_be_seen_and_sent_again(service: Service, other: Receiver) -> None:
    _restart_worker(service, WEBHOOK_SCHEDULE_S="[0.1, 0.1]")
    endpoint = service.client.register(other.url(), "job.completed")
    other.default = Answer(500, body=b"\x00no")
    service.client.submit()

    oracle.settle(service)

    path = f"/v1/webhook_deliveries?state=failed&webhook_endpoint_id={endpoint.id}"
    (shown,) = service.client.call("GET", path).body["data"]
    assert shown["try_count"] == 3
    other.default = Answer()
    resent = service.client.call("POST", f"/v1/webhook_deliveries/{shown['id']}/resend")
    assert resent.status == 202
    oracle.settle(service)
    assert len({(post.headers["webhook-id"], post.body) for post in other.received}) == 1
    assert len(other.received) == 4


def test_a_slow_receiver_slows_nobody_else(service: Service, other: Receiver) -> None:
    service.client.register(other.url())
    other.default = Answer(delay_s=SLOW_S)
    service.client.submit_many(20)
    until(lambda: other.at_once == AT_ONCE, "it has as much as it may have at once")
    began = time.monotonic()
    job = service.client.submit()
    oracle.await_ends(service, [job])
    until(lambda: _deliveries(service, job.id, None) == {"delivered"}, "others are told")

    assert time.monotonic() - began < 3, "who waits for it holds up the others"
    assert _open(service), "it was not slow at all"
    assert other.most_at_once <= AT_ONCE
    other.default = Answer()
    oracle.settle(service)


def test_a_worker_dies_between_post_and_record(service: Service) -> None:
    service.worker.kill()
    service.worker.start(FAILPOINT="after_webhook_post")
    service.client.submit_many(3)
    service.run_until_killed(service.worker)
    service.worker.start()

    cases = oracle.settle(service)

    times = Counter(post.headers["webhook-id"] for case in cases for post in case.posts)
    assert max(times.values()) > 1, "what was posted is posted again, under the same id"


@pytest.mark.parametrize("loses", ["nothing", "redis"])
def test_a_worker_dies_between_event_and_delivery(service: Service, loses: str) -> None:
    service.worker.kill()
    service.worker.start(FAILPOINT="after_result_commit")
    (job,) = service.client.submit_many(1)
    service.run_until_killed(service.worker)
    told = [post for post in service.receiver.received if b"job.completed" in post.body]
    assert not told
    if loses == "redis":
        with service.redis_client() as client:
            client.flushall()
    service.worker.start()

    (case,) = oracle.settle(service)

    assert _deliveries(service, job.id, None) == {"delivered"}
    assert case.posts


def test_a_frozen_deliverer_writes_nothing_when_it_thaws(service: Service) -> None:
    service.receiver.script(Answer(delay_s=1))
    service.client.submit(webhook={"url": service.receiver.url("/slow")})
    until(lambda: service.receiver.at_once == 1, "it is being told")
    service.freeze(service.worker)
    service.disruptions += 1
    service.worker_2.start()
    until(lambda: not _open(service), "another worker tells it", within_s=15)
    service.worker.signal(signal.SIGCONT)
    time.sleep(0.5)

    (case,) = oracle.settle(service)

    assert [(row["number"], row["status_code"]) for row in case.tries] == [(1, 200)]
    assert len(case.posts) == 2


def test_two_secrets_for_a_day(service: Service, other: Receiver) -> None:
    endpoint = service.client.register(other.url(), "job.completed")
    path = f"/v1/webhook_endpoints/{endpoint.id}/rotate_secret"
    asked = {"keep_old_secret_active_for_24_hours": True}
    new = service.client.call("POST", path, asked).body["signing_secret"]
    service.client.submit()
    oracle.settle(service)
    service.sql.run(f"UPDATE webhook_endpoint SET old_secret_until = {_now_ms() - 1}")
    service.client.submit()
    oracle.settle(service)

    during, after = other.received

    assert not list(telling.signed([during, after], new))
    assert not list(telling.signed([during], endpoint.secret)), "the old one holds for a day"
    assert list(telling.signed([after], endpoint.secret)), "and not for longer"
    _check_replays_are_refused(after, new)


def test_gone_is_disabled_and_recovered_in_order(service: Service, other: Receiver) -> None:
    _restart_worker(service, WEBHOOK_AT_ONCE="1")
    began = datetime.now(UTC).isoformat()
    endpoint = service.client.register(other.url(), *HEARS)
    other.default = Answer(410)
    first, *_ = service.client.submit_many(3)
    oracle.settle(service)
    until(lambda: not _shown(service, endpoint.id)["enabled"], "it is disabled")
    later = service.client.submit()
    oracle.settle(service)
    assert _deliveries(service, later.id, endpoint.id) == {"skipped"}
    assert "delivered" not in _deliveries(service, first.id, endpoint.id)
    refused = len(other.received)
    other.default = Answer()

    path = f"/v1/webhook_endpoints/{endpoint.id}"
    assert service.client.call("POST", path, {"enabled": True}).body["enabled"]
    assert service.client.call("POST", f"{path}/recover", {"since": began}).body["recovered"] == 8
    until(lambda: len(other.received) >= refused + 8, "all of it arrives")
    oracle.settle(service)

    ids = [post.headers["webhook-id"] for post in other.received[refused:]]
    assert len(ids) == len(set(ids)) == 8, "each once"
    rows = _rows(service, endpoint.id)
    ordered = sorted(rows, key=lambda row: (row["created_at"], row["id"]))
    moments = [{row["event_id"]: row["created_at"] for row in ordered}[each] for each in ids]
    assert moments == sorted(moments), "the oldest first"


@pytest.mark.parametrize("manner", ["endless_body", "endless_headers"])
def test_a_receiver_that_never_stops_talking(
    service: Service, other: Receiver, manner: str
) -> None:
    endpoint = service.client.register(other.url(), "job.completed")
    other.default = Answer(manner="endless_body" if manner == "endless_body" else "endless_headers")
    before = max(memory_mb(pid) for pid in service.worker.members())
    service.client.submit()
    (row,) = until(lambda: _tries(service, endpoint.id), "it was tried")

    grown = max(memory_mb(pid) for pid in service.worker.members()) - before
    assert grown < 30, f"what it says is kept: {grown} MB"
    assert row["total_ms"] < 3000
    if manner == "endless_body":
        assert row["status_code"] == 200
        assert len(row["response"]) <= 2048
    else:
        assert row["error"] in ("timeout", "bad_response")
    other.default = Answer()
    service.let_time_pass()
    oracle.settle(service)


def test_a_drain_lets_go_of_what_waits(service: Service, other: Receiver) -> None:
    service.upstream.script(rule("ok", delay_ms=50))
    service.client.register(other.url())
    other.default = Answer(delay_s=SLOW_S)
    service.client.submit_many(10)
    until(lambda: other.at_once == AT_ONCE, "it is busy")

    assert service.worker.stop() == 0

    held = "SELECT id FROM webhook_delivery WHERE owner IS NOT NULL"
    assert not service.sql.rows(held), "nobody else can send what it holds"
    other.default = Answer()
    service.worker.start()
    oracle.settle(service)
    times = Counter(post.headers["webhook-id"] for post in other.received)
    assert max(times.values()) == 1, "what was under way was sent and recorded"


def _check_replays_are_refused(post: Received, secret: str) -> None:
    stamp = int(post.headers["webhook-timestamp"])
    for moved in (-301, 1):
        headers = {**post.headers, "webhook-timestamp": str(stamp + moved)}
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(post.body, headers)


def _restart_worker(service: Service, **settings: str) -> None:
    service.worker.stop()
    service.worker.start(**settings)


def _rows(service: Service, endpoint_id: str) -> list[Row]:
    statement = "SELECT * FROM webhook_delivery WHERE endpoint_id = ?"
    return service.sql.rows(statement, endpoint_id)


def _tries(service: Service, endpoint_id: str) -> list[Row]:
    statement = (
        "SELECT t.* FROM webhook_try t JOIN webhook_delivery d ON d.id = t.delivery_id"
        " WHERE d.endpoint_id = ? ORDER BY t.delivery_id, t.number"
    )
    return service.sql.rows(statement, endpoint_id)


def _errors(service: Service, endpoint_id: str) -> set[str]:
    return {row["error"] for row in _tries(service, endpoint_id)}


def _statuses(service: Service, endpoint_id: str) -> set[int]:
    return {row["status_code"] for row in _tries(service, endpoint_id)}


def _deliveries(service: Service, job_id: str, endpoint_id: str | None) -> set[str]:
    rows = service.sql.rows("SELECT * FROM webhook_delivery WHERE job_id = ?", job_id)
    return {row["state"] for row in rows if row["endpoint_id"] == endpoint_id}


def _open(service: Service) -> list[Row]:
    return service.sql.rows("SELECT id FROM webhook_delivery WHERE state = 'pending'")


def _shown(service: Service, endpoint_id: str) -> Row:
    shown: Row = service.client.call("GET", f"/v1/webhook_endpoints/{endpoint_id}").body
    return shown


def _now_ms() -> int:
    return int(time.time() * 1000)
