"""Round the failure: a provider that is down, limited or broken, and another one that is not."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import breakers, oracle
from tests.faults.evidence import Case
from tests.faults.polling import until
from tests.faults.service import Service

JOBS = 40


@pytest.fixture(autouse=True)
def _closed(service: Service) -> Iterator[None]:
    breakers.forget(service)
    yield
    breakers.forget(service)


def _models(case: Case) -> list[str]:
    return [call["model"] for call in case.calls]


def _deployments(case: Case) -> list[str]:
    return [row["deployment"] for row in case.attempts]


def test_the_primary_is_down_and_every_job_is_answered(service: Service) -> None:
    service.upstream.script(rule("status", model="primary", status=500))
    began = time.monotonic()
    service.client.submit("rounded", failures=1)
    oracle.settle(service)
    assert time.monotonic() - began < 5, "the first answer comes at once, not after a back-off"

    service.client.submit_many(JOBS, "rounded", failures=None)
    cases = oracle.settle(service)

    assert {_models(case)[-1] for case in cases} == {"backup"}
    refused = [call for case in cases for call in case.calls if call["model"] == "primary"]
    assert len(refused) < JOBS, "it was left alone once it had failed often enough"
    assert "primary" in breakers.open_ones(service)
    first = cases[0]
    assert [(row["deployment"], row["status"]) for row in first.attempts] == [
        ("primary", "error"),
        ("backup", "ok"),
    ]


def test_it_opens_probes_once_a_cool_down_and_recovers(service: Service) -> None:
    service.upstream.script(rule("status", model="doomed", status=503))
    service.client.submit_many(JOBS, "alone")
    until(lambda: "doomed" in breakers.open_ones(service), "the breaker opens")
    opened_at = _now_ms(service)
    time.sleep(4)
    probes = [call["at"] for call in service.upstream.calls(model="doomed")]
    probes = [at for at in probes if at > opened_at + 500]
    service.upstream.clear()

    cases = oracle.settle(service)

    # A second at first, then two, then four: not more than that, each with one call.
    assert 1 <= len(probes) <= 3, probes
    assert {case.job["failures"] for case in cases if case.job} == {0}
    assert "doomed" not in breakers.open_ones(service)
    shown = service.client.text("/metrics")
    assert 'penstock_breaker_changes_total{deployment="doomed",state="open"}' in shown


def test_waiting_for_what_is_down_has_its_reason(service: Service) -> None:
    service.upstream.script(rule("status", model="doomed", status=503))
    jobs = service.client.submit_many(JOBS, "alone")
    until(lambda: "doomed" in breakers.open_ones(service), "the breaker opens")

    def reasons() -> set[str]:
        return {service.client.get(job.id)["status_reason"] for job in jobs}

    until(lambda: reasons() <= {"provider_down", "overloaded", None}, "all wait or are queued")
    service.upstream.clear()
    oracle.settle(service)


def test_a_limited_key_is_sidelined(service: Service) -> None:
    storm = {"retry-after": "2"}
    service.upstream.script(
        rule("status", key="sk-faults-other", model="pooled", status=429, headers=storm, times=8)
    )
    service.client.submit_many(30, "pooled")

    cases = oracle.settle(service)

    limited = sorted(call["at"] for case in cases for call in case.calls if call["status"] == 429)
    assert limited
    wave = [at for at in limited if at < limited[0] + 1900]
    assert len(wave) <= 4, "no more than were under way when the pause began"
    assert {case.job["failures"] for case in cases if case.job} == {0}
    assert all(row["http_status"] in (200, 429) for case in cases for row in case.attempts)


def test_a_refused_key_is_sidelined_and_no_job_fails(service: Service) -> None:
    service.upstream.script(rule("status", key="sk-faults-other", model="pooled", status=401))
    service.client.submit_many(12, "pooled")

    cases = oracle.settle(service)

    assert {case.job["state"] for case in cases if case.job} == {"completed"}
    refused = [row for case in cases for row in case.attempts if row["http_status"] == 401]
    assert 1 <= len(refused) <= 4, "the key is paused for the others"


def test_one_budget_over_retries_and_fallbacks(service: Service) -> None:
    service.upstream.script(
        rule("status", model="primary", status=500), rule("status", model="backup", status=500)
    )
    service.client.submit("rounded", max_attempts=3, failures=3, ends={"failed"})

    (case,) = oracle.settle(service)

    assert _models(case) == ["primary", "backup", "primary"]


def test_a_filtered_content_goes_elsewhere_where_the_route_says_so(service: Service) -> None:
    refusal = {"error": {"message": "no", "code": "content_filter"}}
    filtered = rule("status", model="primary", status=400, body=refusal)
    service.upstream.script(filtered)
    service.client.submit("refined", failures=1)
    service.client.submit("rounded", failures=1, ends={"failed"})

    refined, rounded = oracle.settle(service)

    assert _models(refined) == ["primary", "backup"]
    assert _models(rounded) == ["primary"]


@pytest.mark.parametrize("service", ["sqlite"], indirect=True)
def test_a_route_has_an_answer_of_its_own(service: Service) -> None:
    service.upstream.script(rule("status", model="doomed", status=500))
    reply = service.client.call(
        "POST",
        "/v1/chat/completions",
        {"model": "consoled", "messages": [{"role": "user", "content": "hello"}]},
    )

    assert reply.status == 200, reply
    assert reply.body["choices"][0]["message"]["content"] == "Please call later."
    assert reply.headers["penstock-default-answer"] == "true"
    job = service.client.get(reply.headers["penstock-job-id"])
    assert (job["status"], job["status_reason"]) == ("completed", "default_answer")
    assert {each["status"] for each in job["attempts"]} == {"error"}


def test_who_waited_in_vain_gets_the_answer_of_the_route(service: Service) -> None:
    service.upstream.script(rule("status", model="doomed", status=503))
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    reply = service.client.post("consoled", service.client.unique_text(), complete_by=soon)
    assert reply.status == 202, reply

    job = service.client.get(reply.body["id"], wait_s=20)

    assert (job["status"], job["status_reason"]) == ("completed", "default_answer")
    said = job["result"]["body"]["choices"][0]["message"]["content"]
    assert said == "Please call later."
    assert job["usage"] is None or not job["usage"]["output_tokens"]


def _now_ms(service: Service) -> int:
    with service.redis_client() as client:
        seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000
