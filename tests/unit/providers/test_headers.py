"""What providers say about limits: durations, Retry-After, x-ratelimit, and words in bodies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.inference.response import LimitFeedback
from shared.providers.headers import (
    duration_s,
    limit_feedback,
    reset_s,
    retry_after_s,
    retry_in_body_s,
)

# Wed, 21 Oct 2026 07:28:00 GMT
THEN_MS = 1_792_567_680_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("12ms", 0.012),
        ("1s", 1.0),
        ("1h2m3.5s", 3723.5),
        ("2m59.56s", 179.56),
        ("250µs", 0.00025),
        ("59", 59.0),
        ("0.5", 0.5),
        (" 7s ", 7.0),
        ("", None),
        ("soon", None),
        ("5m and a bit", None),
        ("-3", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_durations_are_read(text: str, seconds: float | None) -> None:
    assert duration_s(text) == (None if seconds is None else pytest.approx(seconds))


@given(st.text())
def test_any_text_is_a_duration_or_none(text: str) -> None:
    found = duration_s(text)

    assert found is None or found >= 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "20"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "20"}, 20.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT"}, 0.0),
        # The provider's clock is ahead of ours by an hour: only its own difference counts.
        (
            {
                "retry-after": "Wed, 21 Oct 2026 08:28:05 GMT",
                "date": "Wed, 21 Oct 2026 08:28:00 GMT",
            },
            5.0,
        ),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, now_ms=THEN_MS) == seconds


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (
            {
                "code": 429,
                "message": "quota",
                "details": [
                    {"@type": "type.googleapis.com/google.rpc.QuotaFailure"},
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "13.5s"},
                ],
            },
            13.5,
        ),
        ({"message": "Rate limit reached. Please try again in 6m0s. Visit …"}, 360.0),
        ({"message": "Please try again in 120ms."}, 0.12),
        ({"message": "Please retry in 31.2s"}, 31.2),
        ({"message": "try again in a while"}, None),
        ({"details": "text"}, None),
        ({}, None),
    ],
)
def test_a_wait_in_the_body_is_read(error: dict[str, object], seconds: float | None) -> None:
    assert retry_in_body_s(error) == (None if seconds is None else pytest.approx(seconds))  # type: ignore[arg-type]


def test_limits_are_read_from_openai_style_headers() -> None:
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-reset-tokens": "6m0s",
        "content-type": "application/json",
    }

    found = limit_feedback(headers)

    assert found == LimitFeedback(
        remaining_requests=59,
        reset_requests_s=1.0,
        remaining_tokens=149984,
        reset_tokens_s=360.0,
        limit_requests=60,
        limit_tokens=150000,
    )


def test_what_cannot_be_read_is_left_out() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "many",
        "x-ratelimit-reset-requests": "1792567680",
        "x-ratelimit-remaining-tokens": "12.0",
    }

    assert limit_feedback(headers) == LimitFeedback(remaining_tokens=12)


def test_without_limit_headers_there_is_no_feedback() -> None:
    assert limit_feedback({"content-type": "application/json"}) is None


@pytest.mark.parametrize(
    ("feedback", "seconds"),
    [
        (None, None),
        (LimitFeedback(remaining_requests=0, reset_requests_s=4.0), 4.0),
        (LimitFeedback(0, 4.0, 0, 9.0), 9.0),
        (LimitFeedback(0, 4.0, 5, 9.0), 4.0),
        (LimitFeedback(3, 4.0, 5, 9.0), None),
    ],
)
def test_a_bare_429_lasts_until_what_ran_out_is_back(
    feedback: LimitFeedback | None, seconds: float | None
) -> None:
    assert reset_s(feedback) == seconds


def test_limits_are_read_from_anthropics_headers() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-10-21T07:28:05Z",
        "anthropic-ratelimit-tokens-limit": "40000",
        "anthropic-ratelimit-tokens-remaining": "39000",
        "anthropic-ratelimit-tokens-reset": "2026-10-21T07:29:00+00:00",
        "anthropic-ratelimit-input-tokens-remaining": "1",
    }

    found = limit_feedback(headers, now_ms=THEN_MS)

    assert found == LimitFeedback(
        remaining_requests=0,
        reset_requests_s=5.0,
        remaining_tokens=39000,
        reset_tokens_s=60.0,
        limit_requests=50,
        limit_tokens=40000,
    )
    assert reset_s(found) == 5.0


@pytest.mark.parametrize(
    ("reset", "date", "seconds"),
    [
        ("2026-10-21T07:28:05Z", None, 5.0),
        ("2026-10-21T07:27:00Z", None, 0.0),
        # The provider's clock is ahead of ours: only its own difference counts.
        ("2026-10-21T08:28:05Z", "Wed, 21 Oct 2026 08:28:00 GMT", 5.0),
        ("2026-10-21T07:28:05", None, None),
        ("2126-10-21T07:28:05Z", None, None),
        ("soon", None, None),
    ],
)
def test_a_reset_may_be_a_point_in_time(
    reset: str, date: str | None, seconds: float | None
) -> None:
    headers = {"anthropic-ratelimit-input-tokens-remaining": "3"}
    headers["anthropic-ratelimit-input-tokens-reset"] = reset
    if date is not None:
        headers["date"] = date

    found = limit_feedback(headers, now_ms=THEN_MS)

    assert found == LimitFeedback(remaining_tokens=3, reset_tokens_s=seconds)


def test_a_point_in_time_means_nothing_where_nobody_tells_the_time() -> None:
    headers = {"anthropic-ratelimit-requests-reset": "2026-10-21T07:28:05Z"}

    assert limit_feedback(headers) == LimitFeedback()
