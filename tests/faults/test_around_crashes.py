"""A worker dies while it goes round a failure: between two calls of one claim, and with two under way."""

from collections.abc import Iterator

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import breakers, lanes, oracle
from tests.faults.evidence import Case
from tests.faults.polling import stays, until
from tests.faults.service import Service

SLOW_MS = 8000
STREAM = {"stream": True}
BOTH = ("primary", "backup")
Seen = list[tuple[str, str]]


@pytest.fixture(autouse=True)
def _closed(service: Service) -> Iterator[None]:
    breakers.forget(service)
    yield
    breakers.forget(service)


@pytest.mark.parametrize("point", ["after_acquire", "after_attempt_row"])
def test_worker_dies_between_two_calls_of_a_claim(service: Service, point: str) -> None:
    _die_at_the_second_call(service, point)
    service.upstream.script(rule("status", model="primary", status=500))
    service.client.submit("rounded", failures=None)
    service.run_until_killed(service.worker)
    service.worker.start()

    (case,) = oracle.settle(service)

    # What the first came to is written with the row of the second, if that was written.
    written = point == "after_attempt_row"
    lost = [("primary", "error"), ("backup", "unknown")] if written else [("primary", "unknown")]
    assert _seen(case) == [*lost, ("primary", "error"), ("backup", "ok")]
    assert case.attempts[len(lost) - 1]["possibly_billed"]
    # The one that was about to be sent was not.
    assert [call["model"] for call in case.calls] == ["primary", "primary", "backup"]
    _slots_are_free(service)


def test_worker_dies_between_a_call_and_its_hedge(service: Service) -> None:
    _die_at_the_second_call(service, "after_attempt_row")
    service.upstream.script(rule("ok", model="primary", delay_ms=SLOW_MS, times=1))
    service.client.submit("hedged", failures=None, body=STREAM)
    service.run_until_killed(service.worker)
    service.worker.start()

    (case,) = oracle.settle(service)

    assert _seen(case) == [("primary", "unknown"), ("backup", "unknown"), ("primary", "ok")]
    assert [call["model"] for call in case.calls] == ["primary", "primary"]
    _slots_are_free(service)


def test_worker_dies_with_a_call_and_its_hedge_under_way(service: Service) -> None:
    service.upstream.script(rule("gate"))
    service.client.submit_many(4, "hedged", failures=None, body=STREAM)
    service.upstream.wait(lambda seen: seen["gated"] == 8)
    service.crash_worker()
    service.upstream.clear()
    service.worker.start()

    cases = oracle.settle(service)

    for case in cases:
        assert _seen(case) == [("primary", "unknown"), ("backup", "unknown"), ("primary", "ok")]
        assert [row["claim_number"] for row in case.attempts] == [1, 1, 2]
        assert [bool(row["possibly_billed"]) for row in case.attempts] == [True, True, False]
        assert len(case.calls) == 3
    oracle.shown_as_stored(service, cases)
    _slots_are_free(service)


def test_what_a_dead_worker_had_called_counts_against_the_budget(service: Service) -> None:
    service.upstream.script(
        rule("status", model="primary", status=500), rule("gate", model="backup")
    )
    service.client.submit("rounded", ends={"failed"}, failures=None, max_attempts=2)
    service.upstream.wait(lambda seen: seen["gated"] == 1)
    service.crash_worker()
    service.upstream.clear()
    service.upstream.script(*(rule("status", model=name, status=500) for name in BOTH))
    service.worker.start()

    # The oracle says how many calls there may be: two, and one more for the worker that died.
    (case,) = oracle.settle(service)

    assert case.job
    assert case.job["reason"] == "attempts_exhausted"
    assert _seen(case) == [("primary", "error"), ("backup", "unknown"), ("primary", "error")]


@pytest.mark.parametrize("how", ["killed", "sent away"])
def test_a_lost_hedge_counts_against_the_budget(service: Service, how: str) -> None:
    service.worker.stop()
    service.worker.start(DRAIN_S="0.2")
    service.upstream.script(rule("gate"))
    job = service.client.submit("hedged", failures=None, max_attempts=2, body=STREAM)
    job.ends = frozenset({"failed"})
    service.upstream.wait(lambda seen: seen["gated"] == 2)
    if how == "killed":
        service.crash_worker()
    else:
        service.disruptions += 1
        service.worker.stop()
    service.upstream.clear()
    service.upstream.script(*(rule("status", model=name, status=500) for name in BOTH))
    service.worker.start()

    # The oracle says how many calls there may be: two, and one more for the worker that went.
    (case,) = oracle.settle(service)

    lost = "unknown" if how == "killed" else "interrupted"
    assert _seen(case) == [("primary", lost), ("backup", lost), ("primary", "error")]


@pytest.mark.parametrize("on_unknown", ["retry", "fail"])
def test_worker_dies_with_a_fallback_under_way(service: Service, on_unknown: str) -> None:
    ends = {"completed"} if on_unknown == "retry" else {"failed"}
    service.upstream.script(
        rule("status", model="primary", status=500), rule("gate", model="backup")
    )
    service.client.submit_many(3, "rounded", ends=ends, failures=None, on_unknown=on_unknown)
    service.upstream.wait(lambda seen: seen["gated"] == 3)
    service.crash_worker()
    service.upstream.clear()
    service.worker.start()

    cases = oracle.settle(service)

    lost = [("primary", "error"), ("backup", "unknown")]
    again = [("primary", "ok")] if on_unknown == "retry" else []
    assert [_seen(case) for case in cases] == [[*lost, *again]] * 3
    if on_unknown == "fail":
        assert {case.job["reason"] for case in cases if case.job} == {"unknown_outcome"}
    _slots_are_free(service)


def test_who_forbids_a_second_call_has_no_hedge_to_lose(service: Service) -> None:
    service.upstream.script(rule("gate"))
    service.client.submit("hedged", ends={"failed"}, on_unknown="fail", body=STREAM)
    service.upstream.wait(lambda seen: seen["gated"] == 1)
    service.crash_worker()
    service.upstream.clear()
    service.worker.start()

    (case,) = oracle.settle(service)

    assert _seen(case) == [("primary", "unknown")]
    assert len(case.calls) == 1


def test_worker_dies_with_a_probe_out(service: Service) -> None:
    service.upstream.script(rule("status", model="ailing", status=503))
    service.client.submit_many(12, "ailing-alone", failures=None)
    before = breakers.await_open(service, "ailing") + 1
    service.upstream.clear()
    service.upstream.script(rule("gate", model="ailing"))
    service.upstream.wait(lambda seen: seen["gated"] == 1)
    service.crash_worker()
    service.upstream.clear()
    service.worker.start()

    def left_alone() -> bool:
        return breakers.calls(service, "ailing") == before

    stays(left_alone, "the lease of the dead worker's probe holds others back", for_s=2)
    cases = oracle.settle(service)

    lost = [row for case in cases for row in case.attempts if row["status"] == "unknown"]
    assert [bool(row["possibly_billed"]) for row in lost] == [True]
    assert "ailing" not in breakers.open_ones(service)


def _die_at_the_second_call(service: Service, point: str) -> None:
    service.worker.kill()
    service.worker.start(FAULTS_PATCH="dies_at_its_second_call", FAULTS_POINT=point)


def _seen(case: Case) -> Seen:
    return [(row["deployment"], row["status"]) for row in case.attempts]


def _slots_are_free(service: Service) -> None:
    def taken() -> int:
        return sum(lanes.slots_taken(service, model) for model in BOTH)

    until(lambda: taken() == 0, "no call holds a slot of either")
