"""`x-ratelimit-*` as OpenAI spells it."""

import pytest

from api.direct.rate_limits import go_duration, limit_headers
from shared.limiter.levels import Level


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.012, "12ms"),
        (0.9999, "1s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.999, "59.999s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (3661.25, "1h1m1.25s"),
        (3600, "1h0m0s"),
    ],
)
def test_durations_are_gos(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


def test_each_level_is_three_headers() -> None:
    levels = [Level("requests", 600, 99, 0.1), Level("tokens", 60_000, 0, 60.0)]

    assert limit_headers(levels) == {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "99",
        "x-ratelimit-reset-requests": "100ms",
        "x-ratelimit-limit-tokens": "60000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "1m0s",
    }


def test_units_that_openai_does_not_know_are_left_out() -> None:
    assert limit_headers([Level("input_tokens", 600, 99, 0.1)]) == {}
