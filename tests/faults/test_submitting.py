"""Accepted is stored: keys used fifty times at once, and a database that is away (scenarios 28, 48)."""

from collections import Counter

from tests.fakes.upstream_client import rule
from tests.faults import oracle
from tests.faults.client import Client, Reply
from tests.faults.polling import until
from tests.faults.service import Service
from tests.faults.stores import Store

TIMES = 50


def test_one_key_fifty_times_at_once(service: Service) -> None:
    service.api_2.start()
    service.await_api()
    text, key = service.client.unique_text(), {"Idempotency-Key": '"fifty"'}
    apis = (service.client, service.client_2)

    def post(number: int) -> Reply:
        return apis[number % 2].post("open", text, headers=key)

    replies = Client.at_once(post, range(TIMES))

    accepted = [each for each in replies if each.status in (200, 202)]
    refused = [each for each in replies if each not in accepted]
    assert len({each.body["id"] for each in accepted}) == 1
    assert {each.status for each in refused} <= {409}, refused
    fresh = [each for each in accepted if "idempotent-replayed" not in each.headers]
    assert len(fresh) == 1
    other = service.client_2.post("open", text + "!", headers=key)
    assert other.status == 422, other
    service.client.remember(fresh[0], "open", text)
    (case,) = oracle.settle(service)
    assert len(case.calls) == 1


def test_database_away_at_submit(service: Service, store: Store) -> None:
    service.client.submit()
    oracle.settle(service)
    until(lambda: not _rows(service)["outbox"], "every wake-up was sent")
    before = _rows(service)
    store.take_away()
    try:
        reply = service.client.post("open", service.client.unique_text())
    finally:
        store.bring_back()

    assert reply.status == 503, reply
    assert int(reply.headers["retry-after"]) >= 1
    service.reconnect()
    assert _rows(service) == before, "something was half written"
    until(lambda: _accepts(service), "jobs are accepted again")
    oracle.settle(service)


def test_what_was_accepted_before_survives_the_outage(service: Service, store: Store) -> None:
    service.upstream.script(rule("gate", times=3))
    service.client.submit_many(3)
    service.upstream.wait(lambda seen: seen["gated"] == 3)
    # Longer than the lease: the jobs may be taken from the worker in the meantime.
    service.disruptions += 1
    store.take_away()
    service.upstream.release()
    store.bring_back()
    service.reconnect()

    oracle.settle(service)


def _accepts(service: Service) -> bool:
    text = service.client.unique_text()
    reply = service.client.post("open", text)
    if reply.status == 202:
        service.client.remember(reply, "open", text)
    return reply.status == 202


def _rows(service: Service) -> Counter[str]:
    tables = ("job", "job_request", "idempotency_key", "outbox", "event", "webhook_delivery")
    counts: Counter[str] = Counter()
    for table in tables:
        (row,) = service.sql.rows(f"SELECT COUNT(*) AS n FROM {table}")
        counts[table] = row["n"]
    return counts
