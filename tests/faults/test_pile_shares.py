"""Shares of a lane: weights, a newcomer's wait, and what is given to workers that do not take it (I9)."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import orjson
import pytest

from shared.enqueue import QueueName
from tests.fakes.upstream_client import rule
from tests.faults import oracle, pile_oracle
from tests.faults.client import Client
from tests.faults.piles import ENDED, hand_over, line
from tests.faults.polling import stays, until
from tests.faults.service import Service
from tests.faults.sql import Row

HEAVY = 3
BEGUN, WINDOW = 40, 240
"""Calls that are left out, until each has its share, and those that are counted."""
SHARE = HEAVY / (HEAVY + 1)
FEW = 60
GIVEN_AHEAD = 4


def test_tenants_have_their_shares_and_a_newcomer_its_turn(service: Service) -> None:
    stranger, since = Client(service.client.port, service.stranger_key), _narrow(service)
    with _weight(service, "stranger", HEAVY):
        service.upstream.script(rule("gate", model="narrow", times=4), rule("ok", delay_ms=60))
        for client, name in ((service.client, "light"), (stranger, "heavy")):
            hand_over(client, _lines(name, 600))
        until(lambda: _stored(service) == 1200, "all lines are stored", within_s=30)
        service.upstream.wait(lambda seen: seen["gated"] == 4)
        service.upstream.release()
        enough = since + BEGUN + WINDOW
        until(lambda: _narrow(service) >= enough, "both are at work", within_s=60, every_s=0.2)

        mine = _calls(service, since)[BEGUN:][:WINDOW]
        calls = Counter(call["marker"].partition("-")[0] for call in mine)

    assert calls["heavy"] / WINDOW == pytest.approx(SHARE, rel=0.1), calls
    _cancel_all(service, service.client, stranger)


def test_a_newcomer_waits_for_a_turn_of_the_slots(service: Service) -> None:
    service.upstream.script(rule("ok", model="narrow", delay_ms=150))
    since = _narrow(service)
    hand_over(service.client, _lines("many", 500))
    until(lambda: _narrow(service) >= since + 20, "the pile is at work", within_s=30)
    before = []
    for _ in range(5):
        text = f"single-{uuid4().hex}"
        body = {"model": "narrow", "messages": [{"role": "user", "content": text}]}
        asked = {"endpoint": "/v1/chat/completions", "body": body}
        reply = service.client.call("POST", "/v1/jobs", asked, key=service.stranger_key)
        assert reply.status == 202, reply
        seen = _narrow(service) - since
        until(lambda: service.upstream.calls(marker=text), "its call came", within_s=20)  # noqa: B023
        order = [call["marker"] for call in _calls(service, since)]
        before.append(order.index(text) - seen)

    # Each slot comes free once, and a worker has claimed what is next before it does.
    assert sorted(before)[2] <= 4 + GIVEN_AHEAD, before
    _cancel_all(service, service.client)


def test_what_nobody_takes_is_given_once(service: Service) -> None:
    service.scheduler.stop()
    service.scheduler.start(WAKEUP_S="60")
    _freeze_worker(service)
    pile = hand_over(service.client, _lines("many", FEW, "wide"))
    until(lambda: _most_often(service), "some lines are given", within_s=20)

    stays(lambda: _most_often(service) == 1, "each line is in one message", for_s=1.5)

    service.worker.signal(signal.SIGCONT)
    pile.wait()
    pile_oracle.check(service, pile)


def test_what_is_lost_on_its_way_is_given_again(service: Service) -> None:
    _freeze_worker(service)
    pile = hand_over(service.client, _lines("many", FEW, "wide"))
    until(lambda: _most_often(service), "some lines are given", within_s=20)
    with service.redis_client() as client:
        client.flushall()
    service.worker.signal(signal.SIGCONT)

    pile.wait(within_s=30)

    pile_oracle.check(service, pile)


def _freeze_worker(service: Service) -> None:
    """Freeze the worker once it is known to be there: nobody else is given anything."""
    service.client.submit()
    oracle.settle(service)
    service.freeze(service.worker)


def _stored(service: Service) -> int:
    (row,) = service.sql.rows(
        "SELECT count(*) AS n FROM job WHERE state = 'queued' OR state = 'running'"
    )
    return int(row["n"])


def _narrow(service: Service) -> int:
    return len(service.upstream.calls(model="narrow"))


def _calls(service: Service, since: int) -> list[Row]:
    """Return the calls of the narrow lane behind those of earlier tests, in their order."""
    return service.upstream.calls(model="narrow")[since:]


def _cancel_all(service: Service, *clients: Client) -> None:
    for client in clients:
        for batch in client.call("GET", "/v1/batches").body["data"]:
            if batch["status"] not in ENDED:
                client.call("POST", f"/v1/batches/{batch['id']}/cancel")
    until(lambda: _stored(service) == 0, "nothing is left of it", within_s=30)


def _most_often(service: Service) -> int:
    """Return in how many messages of the broker the same line is."""
    with service.redis_client() as client:
        messages = client.hgetall(f"dramatiq:{QueueName.BULK}.msgs")
    ids = Counter(each for raw in messages.values() for each in orjson.loads(raw)["kwargs"]["ids"])
    return max(ids.values(), default=0)


def _lines(name: str, number: int, model: str = "narrow") -> Iterator[dict[str, object]]:
    for each in range(number):
        yield line(f"{name}-{each}", f"{name}-{uuid4().hex}", model=model)


@contextmanager
def _weight(service: Service, tenant: str, weight: int) -> Iterator[None]:
    """Change a tenant's weight; a new leader reads it at once."""
    service.scheduler.stop()
    service.sql.run(f"UPDATE tenant SET weight = {weight} WHERE name = '{tenant}'")
    service.scheduler.start()
    try:
        yield
    finally:
        service.sql.run(f"UPDATE tenant SET weight = 1 WHERE name = '{tenant}'")
