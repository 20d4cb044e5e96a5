"""What to do after a failed call."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.claims import ClaimedJob
from shared.jobs.transitions import Reason
from shared.providers.errors import (
    AuthFailed,
    BadRequest,
    ContextTooLong,
    Malformed,
    ModelNotFound,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ResultTooLarge,
    Timeout,
    Unavailable,
)
from workers.attempt.retry import Backoff, Budget, Decision, GiveUp, Retry, Wait, decide

BACKOFF = Backoff(base_s=1, cap_s=60)
JOB = ClaimedJob(
    id="job_1",
    tenant_id="ten_1",
    endpoint="/v1/chat/completions",
    model="m",
    priority=1,
    generation=1,
    claim_number=1,
    failures=0,
    waits=0,
    crashes=0,
    max_attempts=5,
    on_unknown="retry",
    created_at=0,
    complete_by=86_400_000,
    time_left_ms=86_400_000,
    error=None,
    body=b"{}",
    blob=None,
)


def after(error: ProviderError, chance: float = 1.0, **job: object) -> Decision:
    changed = dataclasses.replace(JOB, **job)  # type: ignore[arg-type]
    return decide(error, changed, BACKOFF, time_left_s=changed.time_left_ms / 1000, chance=chance)


def failure(kind: type[ProviderError], **rest: object) -> ProviderError:
    return kind("it failed", provider="p", **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (failure(RateLimited, status=429, retry_after_s=10), Wait(10, Reason.RATE_LIMITED, 10)),
        (failure(RateLimited, status=429), Wait(1, Reason.RATE_LIMITED, 1)),
        (failure(Overloaded, status=503), Wait(1, Reason.OVERLOADED)),
        (failure(QuotaExhausted, status=429), Wait(300, Reason.QUOTA_EXHAUSTED, 300)),
        (failure(Unavailable, sent=False), Wait(1, Reason.BACKOFF)),
        (failure(Unavailable, status=500), Retry(1)),
        (failure(Unavailable, status=502, retry_after_s=7), Retry(7)),
        (failure(Timeout), Retry(1)),
        (failure(Malformed, status=200), Retry(1)),
        (failure(BadRequest, status=400), GiveUp(Reason.REJECTED)),
        (failure(ContextTooLong, status=400), GiveUp(Reason.REJECTED)),
        (failure(ModelNotFound, status=404), GiveUp(Reason.REJECTED)),
        (failure(AuthFailed, status=401), GiveUp(Reason.REJECTED, 30)),
        (failure(ResultTooLarge, status=200), GiveUp(Reason.RESULT_TOO_LARGE)),
    ],
)
def test_first_failure(error: ProviderError, decision: Decision) -> None:
    assert decision == after(error)


def test_the_budget_ends_the_job() -> None:
    error = failure(Unavailable, status=500)

    assert isinstance(after(error, failures=3), Retry)
    assert GiveUp(Reason.ATTEMPTS_EXHAUSTED) == after(error, failures=4)
    assert GiveUp(Reason.ATTEMPTS_EXHAUSTED) == after(error, max_attempts=1)


def test_one_unlucky_job_does_not_shut_its_lane_for_long() -> None:
    often = after(failure(Overloaded, status=503), waits=4)
    told = after(failure(Overloaded, status=503, retry_after_s=20), waits=4)

    assert often == Wait(16, Reason.OVERLOADED), "only the provider itself shuts the lane"
    assert told == Wait(20, Reason.PROVIDER_PAUSED, 20)


def test_one_budget_over_retries_and_fallbacks() -> None:
    error = failure(Unavailable, status=500)

    def spent(calls: int) -> Decision:
        budget = Budget(3, calls)
        return decide(error, JOB, BACKOFF, time_left_s=999, budget=budget, chance=1.0)

    assert Retry(2) == spent(1)
    assert GiveUp(Reason.ATTEMPTS_EXHAUSTED) == spent(2)


def test_a_malformed_answer_is_asked_for_twice_at_most() -> None:
    error = failure(Malformed, status=200)

    assert isinstance(after(error), Retry)
    assert GiveUp(Reason.ATTEMPTS_EXHAUSTED) == after(error, failures=1)


@pytest.mark.parametrize("error", [failure(Timeout), failure(Unavailable, status=502)])
def test_an_unknown_outcome_ends_a_job_that_asks_for_it(error: ProviderError) -> None:
    assert GiveUp(Reason.UNKNOWN_OUTCOME) == after(error, on_unknown="fail")


@pytest.mark.parametrize(
    "error", [failure(Unavailable, status=500), failure(Unavailable, sent=False)]
)
def test_a_known_outcome_does_not(error: ProviderError) -> None:
    assert not isinstance(after(error, on_unknown="fail"), GiveUp)


def test_no_retry_behind_the_deadline() -> None:
    assert GiveUp(Reason.DEADLINE) == after(
        failure(RateLimited, status=429, retry_after_s=10), time_left_ms=10_000
    )
    assert GiveUp(Reason.DEADLINE) == after(failure(Timeout), time_left_ms=900)


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0.01, 10), st.floats(0.01, 600))
def test_full_jitter_stays_within_its_bounds(
    count: int, chance: float, base_s: float, cap_s: float
) -> None:
    delay = Backoff(base_s, cap_s).delay_s(count, chance)

    assert 0 <= delay <= min(cap_s, base_s * 2.0 ** min(count, 32))


@given(st.integers(0, 60), st.integers(0, 60))
def test_waiting_never_gives_up_by_itself(waits: int, failures: int) -> None:
    decision = after(failure(RateLimited, status=429), waits=waits, failures=failures)

    assert isinstance(decision, Wait)
    assert 0.5 <= decision.delay_s <= 60
