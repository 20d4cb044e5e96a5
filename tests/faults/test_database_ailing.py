"""A database that is away, contended or full while work is under way (scenarios 27, 29, 30)."""

import resource
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import oracle, pile_oracle
from tests.faults.client import Client
from tests.faults.piles import hand_over, line, texts
from tests.faults.polling import until
from tests.faults.processes import Process
from tests.faults.service import Service
from tests.faults.stores import Store

AWAY_S, FULL_S = 3.0, 1.0
NO_LIMIT = resource.RLIM_INFINITY
STORM_JOBS = 60
PILE = 1500
SERVER_ERROR = 500


def test_answers_come_while_the_database_is_away(service: Service, store: Store) -> None:
    # An outage that is shorter than a lease: in production 30 s of 60.
    service.worker.stop()
    service.worker.start(LEASE_S="20", RENEW_S="2")
    service.upstream.script(rule("gate"))
    service.client.submit_many(8)
    service.upstream.wait(lambda seen: seen["gated"] == 8)

    store.take_away()
    service.upstream.release()
    service.upstream.wait(lambda seen: seen["answered"] >= 8 and seen["in_flight"] == 0)
    time.sleep(AWAY_S)
    store.bring_back()
    service.reconnect()

    service.upstream.clear()
    cases = oracle.settle(service)
    assert [len(case.calls) for case in cases] == [1] * 8, (
        "what was answered is kept, not asked again"
    )


def test_many_writers_and_a_stranger_who_locks(service: Service) -> None:
    for spare in (service.api_2, service.worker_2, service.standby):
        spare.start()
    service.await_api()
    both = (service.client_2, service.client)
    with _storm(service):
        asked = service.client.at_once(lambda n: _timed(both[n % 2]), range(STORM_JOBS))

        cases = oracle.settle(service, within_s=90)

    assert len(cases) == STORM_JOBS
    assert [len(case.calls) for case in cases] == [1] * STORM_JOBS
    # The lock is taken away for 50 ms at a time: nobody is told of it, and few have to wait long.
    assert sorted(asked)[int(STORM_JOBS * 0.9)] < 3


@pytest.mark.parametrize("service", ["sqlite"], indirect=True)
def test_four_workers_and_a_batch_on_one_file(service: Service) -> None:
    for _ in range(3):
        service.add_worker()
    service.upstream.script(rule("ok", delay_ms=30))
    pile = hand_over(service.client, [line(*each) for each in texts(service.client, PILE)])
    until(lambda: pile.shown()["counts"]["completed"] >= 1, "the pile is at work")

    asked = service.client.at_once(lambda _: _timed(service.client), range(STORM_JOBS))

    shown = pile.wait()
    assert shown["counts"]["completed"] == PILE
    pile_oracle.check(service, pile)
    oracle.settle(service, within_s=60)
    # Each of them was answered with 202, and 99 of 100 in a second where nothing else is running.
    assert sorted(asked)[int(STORM_JOBS * 0.99) - 1] < 3, sorted(asked)[-5:]


def test_the_disk_is_full_for_a_while(service: Service) -> None:
    service.upstream.script(rule("gate"))
    service.client.submit_many(4)
    service.upstream.wait(lambda seen: seen["gated"] == 4)

    with _full(service):
        service.upstream.release()
        service.upstream.wait(lambda seen: seen["in_flight"] == 0)
        time.sleep(FULL_S)
        refused = service.client.post("open", "no room for this one")
        assert refused.status in (202, 503), refused
        if refused.status == SERVER_ERROR + 3:
            assert refused.headers["retry-after"]
    service.upstream.clear()
    service.client.submit_many(2)

    cases = oracle.settle(service)

    assert len(cases) == 6
    if service.sql.kind == "sqlite":
        (check,) = service.sql.rows("PRAGMA integrity_check")
        assert list(check.values()) == ["ok"]


def _timed(client: Client) -> float:
    began = time.monotonic()
    client.submit()
    return time.monotonic() - began


@contextmanager
def _storm(service: Service) -> Iterator[None]:
    """Lock SQLite's file again and again; a PostgreSQL has no such lock and only the crowd."""
    over = threading.Event()

    def lock_and_let_go() -> None:
        path = service.database_url.split(":///")[1]
        with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as connection:
            while not over.wait(0.05):
                connection.execute("BEGIN IMMEDIATE")
                over.wait(0.05)
                connection.execute("ROLLBACK")

    thread = threading.Thread(target=lock_and_let_go, daemon=True)
    if service.sql.kind == "sqlite":
        thread.start()
    try:
        yield
    finally:
        over.set()
        if thread.is_alive():
            thread.join()


@contextmanager
def _full(service: Service) -> Iterator[None]:
    """No process of the service can make any file longer: what a full disk feels like."""
    most = _longest(service.folder) if service.sql.kind == "sqlite" else 0
    pids = [pid for each in _writers(service) for pid in each.members()]
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, NO_LIMIT))
    try:
        yield
    finally:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (NO_LIMIT, NO_LIMIT))
        until(lambda: all(each.running for each in _writers(service)), "all live")


def _writers(service: Service) -> list[Process]:
    return [each for each in service.processes if each.running]


def _longest(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.glob("penstock.db-wal"))
