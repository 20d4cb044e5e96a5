"""PostgreSQL is restarted while jobs go round failures, and while streams are being answered."""

import time
from collections.abc import Iterator

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import breakers, oracle
from tests.faults.client import Accepted, Reply
from tests.faults.polling import until
from tests.faults.service import Service
from tests.faults.sse import ChatReader
from tests.servers import PostgresServer

ON_POSTGRES = pytest.mark.parametrize("service", ["postgres"], indirect=True)
HOWS = pytest.mark.parametrize("how", ["immediate", "fast"])
"""How it is stopped: as by a crash, or in good order with all connections closed."""
AWAY_S = 1.5
LONGER_THAN_A_LEASE_S = 3.0
FEW = 4
"""So many failures open no breaker."""
CHATS = 6
pytestmark = ON_POSTGRES


@pytest.fixture(autouse=True)
def _closed(service: Service) -> Iterator[None]:
    breakers.forget(service)
    yield
    breakers.forget(service)


@HOWS
def test_a_restart_in_the_middle_of_fallbacks(
    service: Service, postgres_server: PostgresServer, how: str
) -> None:
    _lease_longer_than_it_is_away(service)
    failing = rule("status", model="primary", status=500)
    service.upstream.script(
        {**failing, "match": {"marker": "late"}, "times": FEW, "delay_ms": 1000 * AWAY_S},
        failing,
        rule("gate", model="backup", times=FEW),
    )
    # Of half of them the second call is under way, of the others the first one fails meanwhile.
    service.client.submit_many(FEW, "counted", failures=1)
    service.upstream.wait(lambda seen: seen["gated"] == FEW)
    for _ in range(FEW):
        late = f"late-{service.client.unique_text()}"
        service.client.submit("counted", text=late, failures=1)
    service.upstream.wait(lambda seen: seen["in_flight"] == 2 * FEW)

    _restart(service, postgres_server, how)
    service.upstream.release()

    cases = oracle.settle(service)
    for case in cases:
        assert [call["model"] for call in case.calls] == ["primary", "backup"]
        assert [row["status"] for row in case.attempts] == ["error", "ok"]
        assert {row["claim_number"] for row in case.attempts} == {1}


@HOWS
def test_a_restart_while_streams_are_answered(
    service: Service, postgres_server: PostgresServer, how: str
) -> None:
    _lease_longer_than_it_is_away(service)
    service.upstream.script(rule("ok", chunk_delay_ms=80))
    # Jobs in the background, too: the first two have followers, whom the oracle asks.
    for _ in range(2):
        service.client.submit(text=_long(service), body={"stream": True})
    chats = [service.client.chat(_long(service)) for _ in range(CHATS)]
    until(lambda: all(chat.text for chat in chats), "all have begun to speak")

    _restart(service, postgres_server, how)

    for chat in chats:
        assert chat.over.wait(30)
        assert (chat.broken, chat.error, chat.done) == (False, None, True)
        assert chat.text == f"echo: {chat.asked}"
        _remember(service, chat)
    cases = oracle.settle(service)
    assert {len(case.calls) for case in cases} == {1}


def test_streams_outlast_their_leases_without_a_database(
    service: Service, postgres_server: PostgresServer
) -> None:
    service.upstream.script(rule("ok", chunk_delay_ms=80))
    chats = [service.client.chat(_long(service)) for _ in range(CHATS)]
    until(lambda: all(chat.text for chat in chats), "all have begun to speak")

    _restart(service, postgres_server, "immediate", away_s=LONGER_THAN_A_LEASE_S)

    for chat in chats:
        assert chat.over.wait(30)
        assert not chat.broken, "who cannot be told the rest is told so"
        assert chat.done != bool(chat.error), (chat.text, chat.error)
        whole = f"echo: {chat.asked}"
        assert chat.text == whole if chat.done else whole.startswith(chat.text)
        _remember(service, chat).ends = frozenset({"completed", "failed", "cancelled"})
    oracle.settle(service)


@HOWS
def test_restarts_under_load(service: Service, postgres_server: PostgresServer, how: str) -> None:
    service.upstream.script(
        rule("status", model="primary", status=500, every=2, delay_ms=50),
        rule("ok", delay_ms=100),
    )
    service.client.submit_many(60, "rounded", failures=None)
    for _ in range(2):
        _restart(service, postgres_server, how, away_s=0.2)
        time.sleep(0.3)

    oracle.settle(service)


def _lease_longer_than_it_is_away(service: Service) -> None:
    service.worker.stop()
    service.worker.start(LEASE_S="20", RENEW_S="2")


def _long(service: Service) -> str:
    return service.client.unique_text() + " and on" * 25


def _restart(service: Service, server: PostgresServer, how: str, *, away_s: float = AWAY_S) -> None:
    if how == "immediate":
        server.kill()
    else:
        server.stop()
    time.sleep(away_s)
    server.start()
    service.reconnect()


def _remember(service: Service, chat: ChatReader) -> Accepted:
    reply = Reply(200, {}, {"id": chat.job_id})
    job = service.client.remember(reply, "open", chat.asked)
    job.hears = frozenset()
    return job
