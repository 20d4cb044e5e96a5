"""A Redis that is there and does not serve as it should: set back, read-only, full, slow (scenarios 21–23, 25)."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import oracle, pile_oracle
from tests.faults.limits import most_at_once
from tests.faults.piles import hand_over, line, texts
from tests.faults.polling import stays, until
from tests.faults.redis_proxy import SlowProxy
from tests.faults.service import Service
from tests.servers import free_port

SLOW_S = 0.2
PILE = 200


def test_a_failover_forgets_the_last_writes(service: Service, tmp_path: Path) -> None:
    service.client.submit_many(2, "narrow")
    oracle.settle(service)
    service.client.begin_anew()
    _keep(service, tmp_path)
    service.upstream.script(rule("gate"))
    service.client.submit_many(12, "narrow")
    service.upstream.wait(lambda seen: seen["gated"] == 4)

    _set_back(service, tmp_path)

    stays(lambda: service.upstream.stats()["gated"] == 4, "no call above the limit", for_s=2)
    service.upstream.clear()
    service.upstream.release()
    cases = oracle.settle(service)
    assert [len(case.calls) for case in cases] == [1] * 12
    assert most_at_once([call for case in cases for call in case.calls]) <= 4


def test_a_failover_in_the_middle_of_a_batch(service: Service, tmp_path: Path) -> None:
    service.upstream.script(rule("ok", model="narrow", delay_ms=40))
    lines = texts(service.client, PILE)
    pile = hand_over(service.client, [line(*each, model="narrow") for each in lines])
    pile.follow()
    until(lambda: pile.shown()["counts"]["completed"] >= PILE // 10, "the pile is at work")
    _keep(service, tmp_path)
    until(lambda: pile.shown()["counts"]["completed"] >= PILE // 2, "and goes on")

    _set_back(service, tmp_path)

    shown = pile.wait()
    pile.stop()
    assert shown["counts"]["completed"] == PILE
    # Wake-ups came again, for what had ended long ago, and limits were those of a while ago.
    pile_oracle.check(service, pile)


def test_a_replica_that_only_reads(service: Service) -> None:
    service.client.submit_many(4)
    oracle.settle(service)
    with service.redis_client() as client:
        client.replicaof("127.0.0.1", free_port())
        service.client.submit_many(6)
        stays(lambda: _ended(service) == 4, "nothing runs without a limiter", for_s=1)
        client.replicaof("NO", "ONE")

    cases = oracle.settle(service, within_s=60)

    assert [len(case.calls) for case in cases] == [1] * 10
    assert all(each.running for each in (service.api, service.worker, service.scheduler))


def test_memory_is_full_and_nothing_may_be_evicted(service: Service) -> None:
    service.client.submit_many(2)
    oracle.settle(service)
    before = [process.members() for process in service.processes if process.running]
    with service.redis_client() as client:
        client.config_set("maxmemory", 1)
        try:
            service.client.submit_many(6)
            stays(lambda: _ended(service) == 2, "nothing runs without a limiter", for_s=1)
            until(lambda: not _ready(service), "it says that it is not ready")
        finally:
            client.config_set("maxmemory", 0)

    cases = oracle.settle(service, within_s=60)

    assert [len(case.calls) for case in cases] == [1] * 8
    after = [process.members() for process in service.processes if process.running]
    assert before == after, "nobody crashed over it"
    until(lambda: _ready(service), "it is ready again")


@pytest.fixture
def slow(service: Service) -> Iterator[SlowProxy]:
    with SlowProxy(service.redis.port, delay_s=SLOW_S) as proxy:
        yield proxy


@pytest.mark.parametrize("service", ["sqlite"], indirect=True)
def test_every_call_to_redis_is_slow(service: Service, slow: SlowProxy) -> None:
    for process in (service.worker, service.scheduler):
        process.stop()
        process.start(REDIS_URL=slow.url)
    service.client.submit_many(6, "narrow")

    cases = oracle.settle(service, within_s=60)

    assert [len(case.calls) for case in cases] == [1] * 6
    assert {case.job["claim_number"] for case in cases if case.job} <= {1, 2}
    assert {case.job["crashes"] for case in cases if case.job} == {0}


def _keep(service: Service, folder: Path) -> None:
    for path in service.redis.folder.glob("appendonly*"):  # a folder since Redis 7
        target = folder / path.name
        shutil.copytree(path, target) if path.is_dir() else shutil.copy(path, target)


def _set_back(service: Service, folder: Path) -> None:
    service.redis.kill()
    for path in service.redis.folder.glob("appendonly*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in folder.glob("appendonly*"):
        target = service.redis.folder / path.name
        shutil.copytree(path, target) if path.is_dir() else shutil.copy(path, target)
    service.redis.start()


def _ended(service: Service) -> int:
    return list(oracle.states(service, service.client.accepted).values()).count("completed")


def _ready(service: Service) -> bool:
    return service.client.call("GET", "/readyz").status == 200
