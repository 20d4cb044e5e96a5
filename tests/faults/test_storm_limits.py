"""A provider that says 429, with a time, without one, or for good (scenarios 32 to 34); debts (42)."""

import time
from collections.abc import Iterator, Sequence

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import asking, breakers, lanes, oracle
from tests.faults.client import Accepted
from tests.faults.deployments import BY_NAME
from tests.faults.polling import stays, until
from tests.faults.service import Service
from tests.faults.sql import Row

PAUSE_S = 1
STORM = {"retry-after": str(PAUSE_S)}
EARLY_MS = 50
"""How much earlier than told a probe may seem to come: the fake notes a call before it answers it."""
BROKE = {"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}
CLIENTS = 12
DEBT_S = 3
"""So long it takes until the tokens are there again that an answer took too many."""


@pytest.fixture(autouse=True)
def _calm(service: Service) -> Iterator[None]:
    _forget(service)
    yield
    _forget(service)


def _forget(service: Service) -> None:
    breakers.forget(service)
    for model in ("rationed", "weary", "spent", "overdrawn", "metered"):
        lanes.forget(service, model)


def test_no_client_sees_a_429_and_nobody_herds(service: Service) -> None:
    admitted, refused = 5, 10
    service.upstream.script(
        rule("ok", model="rationed", times=admitted, delay_ms=100),
        rule("status", model="rationed", status=429, headers=STORM, times=refused),
    )
    before = len(service.upstream.calls(model="rationed"))
    service.client.submit_many(CLIENTS, "rationed", failures=0)
    whole = asking.ask_many(service, CLIENTS, "rationed")
    streamed = asking.hear_many(service, CLIENTS, "rationed")

    cases = oracle.settle(service)

    assert [reply.status for reply in whole] == [200] * CLIENTS
    assert [chat.status for chat in streamed] == [200] * CLIENTS
    assert not [chat.error for chat in streamed if chat.error]
    assert {case.job["failures"] for case in cases if case.job} == {0}
    calls = service.upstream.calls(model="rationed")[before:]
    times = [call["at"] for call in calls if call["status"] == 429]
    assert len(times) == refused
    _check_pauses(times, most_at_once=BY_NAME["rationed"].concurrency)


def _check_pauses(times: Sequence[int], *, most_at_once: int) -> None:
    """No more than were under way when it began, and from then on one call a pause."""
    pause_ms = PAUSE_S * 1000 - EARLY_MS
    wave = [at for at in times if at < times[0] + pause_ms]
    assert len(wave) <= most_at_once, f"{len(wave)} calls before the pause was heeded"
    probes = times[len(wave) :]
    assert probes
    for before, probe in zip([wave[-1], *probes], probes, strict=False):
        assert probe - before >= pause_ms, "a probe came before its pause was over"


def test_a_storm_sends_everybody_to_the_fallback_at_once(service: Service) -> None:
    service.upstream.script(rule("status", model="rationed", status=429, headers=STORM))
    before = len(service.upstream.calls(model="rationed"))
    began = time.monotonic()

    whole = asking.ask_many(service, CLIENTS, "sheltered")
    streamed = asking.hear_many(service, CLIENTS, "sheltered")
    took_s = time.monotonic() - began

    cases = oracle.settle(service)
    assert {reply.status for reply in whole} == {chat.status for chat in streamed} == {200}
    assert {case.attempts[-1]["deployment"] for case in cases} == {"backup"}
    calls = len(service.upstream.calls(model="rationed")) - before
    most = BY_NAME["rationed"].concurrency + took_s / PAUSE_S + 1
    assert 1 <= calls <= most, "more than were under way, and a probe a pause"


def test_who_has_no_time_is_told_when_to_come_back(service: Service) -> None:
    storm = {"retry-after": "30"}
    service.upstream.script(rule("status", model="weary", status=429, headers=storm))

    hurry = {"X-Stainless-Read-Timeout": "3"}
    ends = frozenset({"cancelled", "expired", "failed"})
    replies = service.client.at_once(
        lambda _: asking.ask(service, "weary", ends=ends, headers=hurry), range(4)
    )

    oracle.settle(service)
    assert {reply.status for reply in replies} == {503}
    assert all(1 <= int(reply.headers["retry-after"]) <= 300 for reply in replies)


def test_without_a_time_the_calls_become_fewer_and_others_go_on(service: Service) -> None:
    service.upstream.script(rule("status", model="weary", status=429))
    before = len(service.upstream.calls(model="weary"))
    stormed = service.client.submit_many(16, "weary")
    others = service.client.submit_many(20, "open")

    oracle.await_ends(service, others)
    assert not _ended(service, stormed), "the storm is not over"
    until(lambda: lanes.calls_allowed(service, "weary") == 1, "one call at a time is left")
    met = len(service.upstream.calls(model="weary"))
    time.sleep(2)
    asked = len(service.upstream.calls(model="weary")) - met
    # From a twentieth to half a second, by chance: some eight. Without a back-off: hundreds.
    assert asked <= 40, f"{asked} calls in two seconds"
    assert met > before
    assert max(row["waits"] for row in _rows(service, stormed)) >= 2, "it backs off further"
    service.upstream.clear()

    cases = oracle.settle(service)
    assert {case.job["failures"] for case in cases if case.job} == {0}


def test_a_quota_that_is_used_up_is_no_loop_of_calls(service: Service) -> None:
    service.upstream.script(rule("status", model="spent", status=429, body=BROKE))
    before = len(service.upstream.calls(model="spent"))
    jobs = service.client.submit_many(10, "spent", ends={"cancelled"})

    def reasons() -> set[str]:
        return {service.client.get(job.id)["status_reason"] for job in jobs}

    known = {"quota_exhausted", "provider_paused"}
    until(lambda: reasons() <= known, "every job waits and says why")
    assert "quota_exhausted" in reasons()
    calls = len(service.upstream.calls(model="spent"))
    assert 1 <= calls - before <= BY_NAME["spent"].concurrency
    stays(
        lambda: len(service.upstream.calls(model="spent")) == calls, "nobody asks again", for_s=1.5
    )
    for job in jobs:
        service.client.call("POST", f"/v1/jobs/{job.id}/cancel")

    cases = oracle.settle(service)
    assert {case.job["failures"] for case in cases if case.job} == {0}


def test_a_quota_that_is_used_up_leads_to_the_fallback(service: Service) -> None:
    service.upstream.script(rule("status", model="overdrawn", status=429, body=BROKE))
    before = len(service.upstream.calls(model="overdrawn"))

    replies = asking.ask_many(service, CLIENTS, "insured")
    service.client.submit_many(CLIENTS, "insured")

    cases = oracle.settle(service)
    assert {reply.status for reply in replies} == {200}
    assert {case.attempts[-1]["deployment"] for case in cases} == {"backup"}
    calls = len(service.upstream.calls(model="overdrawn")) - before
    assert 1 <= calls <= BY_NAME["overdrawn"].concurrency


def test_a_debt_is_paid_before_the_next_call(service: Service) -> None:
    _one_call(service)
    _, level = lanes.tokens(service, "metered")
    rate = (BY_NAME["metered"].tpm or 0) / 60
    longer = int(level + DEBT_S * rate)
    service.upstream.script(rule("ok", model="metered", output_tokens=longer, times=1))
    _one_call(service)
    clock, level = lanes.tokens(service, "metered")
    assert level < 0, "the answer was longer than what was left"

    _one_call(service)

    called_at = service.upstream.calls(model="metered")[-1]["at"]
    assert called_at >= clock / 1000 - 1000 * level / rate - EARLY_MS, "before the debt was paid"


def _one_call(service: Service) -> None:
    service.client.submit("metered", body={"max_tokens": 50})
    oracle.settle(service)
    until(lambda: lanes.leases(service, "metered") == 0, "the call is settled")


def _ended(service: Service, jobs: Sequence[Accepted]) -> list[str]:
    final = ("completed", "failed", "cancelled", "expired")
    return [str(row["id"]) for row in _rows(service, jobs) if row["state"] in final]


def _rows(service: Service, jobs: Sequence[Accepted]) -> list[Row]:
    marks = ", ".join("?" * len(jobs))
    ids = [job.id for job in jobs]
    return service.sql.rows(f"SELECT id, state, waits FROM job WHERE id IN ({marks})", *ids)
