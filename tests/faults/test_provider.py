"""A provider that is busy, silent, slow, broken or stern (scenarios 32, 36, 37, 39, 40)."""

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import oracle
from tests.faults.evidence import Case
from tests.faults.polling import stays, until
from tests.faults.service import Service

BROKEN = ("malformed_json", "empty_choices", "error_in_200")


def test_a_storm_of_429(service: Service) -> None:
    calm = {"retry-after": "1"}
    service.upstream.script(rule("status", model="stormy", status=429, headers=calm, times=10))
    service.client.submit_many(20, "stormy")

    cases = oracle.settle(service)

    calls = sorted((call for case in cases for call in case.calls), key=lambda call: call["at"])
    refused = [call["at"] for call in calls if call["status"] == 429]
    paused_at = refused[0]
    wave = [at for at in refused if at < paused_at + 1000]
    probes = [at for at in refused if at >= paused_at + 1000]
    assert len(wave) <= 8, "more than were under way when the pause began"
    assert probes
    for before, probe in zip([max(wave), *probes], probes, strict=False):
        assert probe - before >= 950, "a probe came before its pause was over"
    assert {case.job["failures"] for case in cases if case.job} == {0}


@pytest.mark.parametrize("action", ["hang", "drip"])
def test_a_call_that_never_ends(service: Service, action: str) -> None:
    text = service.client.unique_text()
    service.upstream.script(rule(action, marker=text, times=1, interval_ms=100))
    service.client.submit("hasty", text=text, failures=1, max_attempts=2)
    service.client.submit("hasty")

    slow, _ = oracle.settle(service)

    assert [row["status"] for row in slow.attempts] == ["unknown", "ok"]
    first, second = slow.calls
    assert first["client_gone"], "we closed it"
    assert 400 < first["ended_at"] - first["at"] < 3000
    assert second["event"] == "answered"


def test_a_call_that_never_ends_and_must_not_be_repeated(service: Service) -> None:
    text = service.client.unique_text()
    service.upstream.script(rule("hang", marker=text))
    service.client.submit("hasty", text=text, on_unknown="fail", ends={"failed"}, failures=1)

    (case,) = oracle.settle(service)

    assert len(case.calls) == 1
    assert case.job
    assert case.job["reason"] == "unknown_outcome"


@pytest.mark.parametrize("action", BROKEN)
def test_a_success_that_is_no_answer(service: Service, action: str) -> None:
    once, always = service.client.unique_text(), service.client.unique_text()
    service.upstream.script(rule(action, marker=once, times=1), rule(action, marker=always))
    service.client.submit("strict", text=once, failures=1)
    service.client.submit("strict", text=always, failures=None, ends={"failed"})

    mended, broken = oracle.settle(service)

    assert [row["status"] for row in mended.attempts][1:] == ["ok"]
    assert broken.job
    assert broken.job["reason"] == "attempts_exhausted"
    error = service.client.get(broken.wanted.id)["error"]
    assert error["snippet"], error
    if action != "error_in_200":
        assert len(broken.calls) == 2, "retried once, then failed"


@pytest.mark.parametrize(
    ("status", "model"), [(400, "strict"), (404, "strict"), (401, "locked"), (403, "barred")]
)
def test_a_refusal_is_final(service: Service, status: int, model: str) -> None:
    text = service.client.unique_text()
    service.upstream.script(rule("status", marker=text, status=status))
    service.client.submit(model, text=text, ends={"failed"}, failures=1)

    (case,) = oracle.settle(service)

    _check_refusal(service, case, status)
    if status in (401, 403):
        _check_pause(service, model)


def _check_refusal(service: Service, case: Case, status: int) -> None:
    assert len(case.calls) == 1
    assert case.job
    assert case.job["reason"] == "rejected"
    result = service.client.call("GET", f"/v1/jobs/{case.wanted.id}/result")
    if status in (401, 403):
        # What is said of the operator's key is the operator's.
        assert (result.status, result.body["reason"]) == (409, "rejected")
        assert case.attempts[0]["http_status"] == status
        return
    assert result.status == status
    assert result.body["error"]["message"] == f"status {status}"


def _check_pause(service: Service, model: str) -> None:
    waiting = service.client.submit(model, ends={"cancelled"})
    until(
        lambda: service.client.get(waiting.id)["status_reason"] == "provider_paused",
        "the lane is paused for others",
    )
    stays(lambda: not service.upstream.calls(marker=waiting.text), "no call", for_s=0.5)
    service.client.call("POST", f"/v1/jobs/{waiting.id}/cancel")
    oracle.settle(service)
