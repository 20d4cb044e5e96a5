"""A provider that counts otherwise than we do: debts, its own words, requests and answers too large (42–45)."""

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import lanes, oracle
from tests.faults.deployments import BY_NAME
from tests.faults.polling import until
from tests.faults.service import Service

pytestmark = pytest.mark.parametrize("service", ["sqlite"], indirect=True)
"""What happens here happens before the database is asked, whichever it is."""
FAR_MORE = 5000


def test_an_answer_ten_times_as_long_as_estimated_is_a_debt(service: Service) -> None:
    lanes.forget(service, "metered")
    service.client.submit("metered", body={"max_tokens": 50})
    oracle.settle(service)
    until(lambda: lanes.leases(service, "metered") == 0, "the first call is settled")
    before = lanes.tokens(service, "metered")
    service.client.begin_anew()
    service.upstream.script(rule("ok", model="metered", output_tokens=FAR_MORE))
    service.client.submit_many(4, "metered", body={"max_tokens": 50})

    cases = oracle.settle(service)

    until(lambda: lanes.leases(service, "metered") == 0, "every call is settled")
    usages = [call["usage"] for case in cases for call in case.calls]
    used = sum(usage["prompt_tokens"] + usage["completion_tokens"] for usage in usages)
    assert used >= 4 * FAR_MORE
    assert lanes.spent(service, "metered", since=before) == pytest.approx(used, abs=1)


def test_what_the_provider_says_is_left_is_believed(service: Service) -> None:
    lanes.forget(service, "paced")
    said = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-limit-requests": "300"}
    service.upstream.script(rule("ok", model="paced", headers=said, times=1))
    service.client.submit("paced")
    oracle.settle(service)
    service.client.submit_many(6, "paced")

    cases = oracle.settle(service)

    times = sorted(call["at"] for case in cases for call in case.calls)
    rpm = BY_NAME["paced"].rpm
    assert rpm
    # None at once: each of them had to wait for its own part of the minute.
    assert times[-1] - times[0] >= 6 * 60_000 / rpm - 250


def test_a_request_that_can_never_fit_is_refused_at_the_door(service: Service) -> None:
    tpm = BY_NAME["metered"].tpm
    assert tpm
    before = service.sql.rows("SELECT count(*) AS n FROM job")

    reply = service.client.post("metered", "too long", body={"max_tokens": tpm + 1})

    assert reply.status == 422
    assert reply.body["error"]["code"] == "request_too_large_for_limit"
    assert service.sql.rows("SELECT count(*) AS n FROM job") == before


def test_an_answer_that_is_too_large_is_not_asked_for_again(service: Service) -> None:
    text = service.client.unique_text()
    service.upstream.script(rule("huge", marker=text, mb=25))
    service.client.submit(text=text, body={"stream": False}, ends={"failed"}, failures=1)

    (case,) = oracle.settle(service)

    assert len(case.calls) == 1
    assert case.job
    assert case.job["reason"] == "result_too_large"
