"""Deployments: SIGTERM with short and long calls, and a kill during the drain (scenarios 13–15)."""

import time

from tests.fakes.upstream_client import rule
from tests.faults import oracle
from tests.faults.polling import until
from tests.faults.service import Service

JOBS = 6


def test_short_calls_end_within_the_grace(service: Service) -> None:
    service.upstream.script(rule("ok", delay_ms=1500))
    service.client.submit_many(JOBS)
    service.upstream.wait(lambda seen: seen["in_flight"] == JOBS)

    assert service.worker.stop() == 0

    states = oracle.states(service, service.client.accepted)
    assert set(states.values()) == {"completed"}, "the worker left before its calls had ended"
    service.worker.start()
    cases = oracle.settle(service)
    assert [len(case.calls) for case in cases] == [1] * JOBS


def test_long_calls_are_handed_on(service: Service) -> None:
    service.worker.stop()
    service.worker.start(DRAIN_S="3.2")
    service.upstream.script(rule("hang", times=JOBS))
    service.client.submit_many(JOBS)
    service.upstream.wait(lambda seen: seen["in_flight"] == JOBS)
    service.worker_2.start()
    service.disruptions += 1
    began = time.monotonic()

    assert service.worker.stop() == 0

    assert time.monotonic() - began < 30
    cases = oracle.settle(service)
    for case in cases:
        assert [row["status"] for row in case.attempts] == ["interrupted", "ok"]
        gap_ms = case.calls[1]["at"] - case.calls[0]["ended_at"]
        assert gap_ms < 5000, "it began elsewhere within five seconds"
    assert {case.job["crashes"] for case in cases if case.job} == {0}


def test_what_waits_is_left_to_others(service: Service) -> None:
    service.upstream.script(rule("gate", times=4))
    service.client.submit_many(JOBS, "narrow")
    service.upstream.wait(lambda seen: seen["gated"] == 4)
    service.worker.terminate()
    service.worker_2.start()
    service.upstream.release()

    assert service.worker.wait() == 0

    cases = oracle.settle(service)
    assert [len(case.calls) for case in cases] == [1] * JOBS


def test_killed_during_the_drain(service: Service) -> None:
    _begin_to_drain(service)
    service.crash_worker()
    service.upstream.clear()
    service.worker.start()

    cases = oracle.settle(service)

    assert {row["status"] for case in cases for row in case.attempts} == {"unknown", "ok"}


def test_a_second_sigterm_ends_the_drain(service: Service) -> None:
    _begin_to_drain(service)
    service.disruptions += 1
    began = time.monotonic()

    assert service.worker.stop(within_s=20) != 0

    assert time.monotonic() - began < 8, "it went on draining"
    service.upstream.clear()
    service.worker.start()
    oracle.settle(service)


def _begin_to_drain(service: Service) -> None:
    service.upstream.script(rule("gate"))
    service.client.submit_many(JOBS)
    service.upstream.wait(lambda seen: seen["gated"] == JOBS)
    before = service.worker.log.read_text().count("runner.draining")
    service.worker.terminate()
    until(
        lambda: service.worker.log.read_text().count("runner.draining") > before,
        "the worker drains",
    )
