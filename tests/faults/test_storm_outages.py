"""A provider that is down, hangs, refuses connections or stops in the middle (scenarios 35, 36, 38)."""

import time
from collections.abc import Iterator, Sequence

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import asking, breakers, lanes, oracle
from tests.faults.client import Accepted
from tests.faults.polling import stays, until
from tests.faults.service import Service

CLIENTS = 12
READ_S = 0.25
"""So often a worker reads what all of them know."""
JOBS = 40
FEWEST = 5
"""Calls that a breaker of these tests wants to have seen."""
ENOUGH_TO_CLOG = 50
"""Of 64 places that a worker has, 57 are not interactive."""


@pytest.fixture(autouse=True)
def _closed(service: Service) -> Iterator[None]:
    breakers.forget(service)
    yield
    breakers.forget(service)


def test_so_many_failures_open_it_and_it_recovers(service: Service) -> None:
    service.upstream.script(rule("status", model="primary", status=500))
    failed = []
    for _ in range(FEWEST + 5):
        reply = asking.ask(service, "counted")
        assert reply.status == 200
        failed.append(_tried(service, reply.headers["penstock-job-id"])[0] == "primary")
    # The sixth may be on its way while the fifth is told.
    assert FEWEST <= sum(failed) <= FEWEST + 1
    assert failed == sorted(failed, reverse=True), "none came back while it was shut"
    assert "primary" in breakers.open_ones(service)
    service.upstream.clear()

    until(lambda: _answers(service, "counted") == ["primary"], "the primary answers again")
    assert "primary" not in breakers.open_ones(service)
    oracle.settle(service)


def test_nobody_who_waits_notices_that_the_primary_is_down(service: Service) -> None:
    service.upstream.script(rule("status", model="primary", status=503))

    whole = asking.ask_many(service, CLIENTS, "rounded")
    streamed = asking.hear_many(service, CLIENTS, "rounded")

    cases = oracle.settle(service)
    assert {reply.status for reply in whole} == {chat.status for chat in streamed} == {200}
    assert not [chat.error for chat in streamed if chat.error]
    assert {case.attempts[-1]["deployment"] for case in cases} == {"backup"}
    assert {row["claim_number"] for case in cases for row in case.attempts} == {1}


def test_the_primary_hangs_and_every_job_is_answered(service: Service) -> None:
    service.upstream.script(rule("hang", model="mute"))
    before = len(service.upstream.calls(model="mute"))
    service.client.submit_many(JOBS, "spoken-for", failures=None)
    cases = oracle.settle(service)
    service.client.submit_many(JOBS, "spoken-for", failures=None)

    cases = oracle.settle(service)

    assert {case.attempts[-1]["deployment"] for case in cases} == {"backup"}
    left = [row for case in cases for row in case.attempts if row["deployment"] == "mute"]
    assert {(row["status"], bool(row["possibly_billed"])) for row in left} == {("unknown", True)}
    hung = service.upstream.calls(model="mute")[before:]
    assert all(call["client_gone"] for call in hung), "we closed each of them"
    assert len(hung) < JOBS, "it was left alone once it had failed often enough"
    until(lambda: lanes.leases(service, "mute") == 0, "its slots are free")


def test_what_hangs_leaves_places_for_others(service: Service) -> None:
    service.worker.stop()
    service.worker.start(MAX_IN_FLIGHT="64")
    service.upstream.script(rule("hang", model="swamped"))
    jobs = []
    # Some come directly, the rest is given out by the dispatcher.
    for number in (20, 20, 20, 100):
        jobs += service.client.submit_many(number, "swamped", ends={"cancelled"}, failures=None)
    service.upstream.wait(lambda seen: seen["in_flight"] >= ENOUGH_TO_CLOG)

    others = service.client.submit_many(20, "open", failures=0)

    oracle.await_ends(service, others, within_s=20)
    assert service.upstream.stats()["in_flight"] >= ENOUGH_TO_CLOG, "it hangs all the while"
    service.client.at_once(
        lambda job: service.client.call("POST", f"/v1/jobs/{job.id}/cancel"), jobs
    )
    oracle.settle(service)


def test_connections_are_refused_and_every_job_is_answered(service: Service) -> None:
    replies = asking.ask_many(service, CLIENTS, "present")
    service.client.submit_many(JOBS, "present", failures=None)

    cases = oracle.settle(service)

    assert {reply.status for reply in replies} == {200}
    assert {case.attempts[-1]["deployment"] for case in cases} == {"backup"}
    refused = [row for case in cases for row in case.attempts if row["deployment"] == "absent"]
    assert FEWEST <= len(refused) < JOBS + CLIENTS
    assert not any(row["possibly_billed"] for row in refused), "nothing was sent"
    assert "absent" in breakers.open_ones(service)


def test_a_new_worker_knows_what_is_down(service: Service) -> None:
    _open_resting(service)
    service.worker.stop()
    jobs = service.client.submit_many(30, "patient", failures=None, priority="interactive")
    before = len(service.upstream.calls(model="resting"))
    assert "resting" in breakers.open_ones(service)

    service.worker.start()

    until(lambda: _some_wait(service, jobs), "the new worker has looked")
    assert len(service.upstream.calls(model="resting")) - before <= 1, "more than a probe"
    service.upstream.clear()
    breakers.forget(service)
    oracle.settle(service)


def test_two_workers_send_one_probe(service: Service) -> None:
    service.worker_2.start()
    _open_resting(service)
    # Whoever has not opened it learns of it when it reads the next time.
    time.sleep(2 * READ_S)
    service.upstream.clear()
    service.upstream.script(rule("gate", model="resting"))
    service.client.submit_many(30, "patient", failures=None)
    service.upstream.wait(lambda seen: seen["gated"] == 1, within_s=15)

    stays(lambda: service.upstream.stats()["gated"] == 1, "one probe is out", for_s=1.5)
    service.upstream.clear()
    service.upstream.release()

    oracle.settle(service)
    assert "resting" not in breakers.open_ones(service)


def _open_resting(service: Service) -> None:
    service.upstream.script(rule("status", model="resting", status=503))
    service.client.submit_many(10, "patient", failures=0)
    until(lambda: "resting" in breakers.open_ones(service), "the breaker opens")


def _some_wait(service: Service, jobs: Sequence[Accepted]) -> bool:
    return any(service.client.get(job.id)["status_reason"] == "provider_down" for job in jobs)


@pytest.mark.parametrize("how", ["reset", "truncate_sse"])
def test_a_body_that_is_cut_is_no_success(service: Service, how: str) -> None:
    text = service.client.unique_text()
    service.upstream.script(rule(how, marker=text, times=1))
    service.client.submit(text=text, failures=1, body={"stream": False})

    (case,) = oracle.settle(service)

    first, second = case.attempts
    assert (first["status"], second["status"]) == ("unknown", "ok")
    assert first["possibly_billed"]
    assert first["cost_nanousd"] is None, "nothing is known of it"


def test_a_stream_that_stops_in_the_middle_is_begun_anew(service: Service) -> None:
    text = service.client.unique_text()
    half = rule("ok", marker=text, times=1, chunk_delay_ms=20, stalls_at=6, content="a word " * 20)
    service.upstream.script(half)
    service.client.submit("halting", text=text, failures=1, body={"stream": True})

    (case,) = oracle.settle(service)

    first, second = case.attempts
    assert (first["status"], second["status"]) == ("unknown", "ok")
    assert (first["error_code"], bool(first["possibly_billed"])) == ("timeout", True)
    assert first["cost_nanousd"], "what was said is booked"
    assert case.calls[0]["client_gone"], "we closed it"
    until(lambda: lanes.leases(service, "halting") == 0, "its slot is free")


def test_who_hears_a_stream_stop_is_told_that_it_broke(service: Service) -> None:
    said = "a word " * 20
    service.upstream.script(
        rule("ok", model="halting", times=1, chunk_delay_ms=20, stalls_at=6, content=said)
    )
    ends = frozenset({"cancelled", "failed", "completed"})

    chat = asking.hear(service, "halting", ends=ends)

    assert chat.text, "it had begun to speak"
    assert said.startswith(chat.text), "another answer was told after it"
    assert chat.error["code"] == "stream_broken"
    assert not chat.done
    oracle.settle(service)


def _answers(service: Service, model: str) -> list[str]:
    return _tried(service, asking.ask(service, model).headers["penstock-job-id"])


def _tried(service: Service, job_id: str) -> list[str]:
    return [attempt["deployment"] for attempt in service.client.get(job_id)["attempts"]]
