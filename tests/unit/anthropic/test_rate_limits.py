"""`anthropic-ratelimit-*`: a reset is a moment."""

from api.direct.rate_limits import anthropic_headers
from shared.limiter.levels import Level

NOW = 1_800_000_000_000


def test_each_level_is_three_headers() -> None:
    levels = [Level("requests", 600, 99, 0.1), Level("output_tokens", 60_000, 0, 60.0)]

    assert anthropic_headers(levels, NOW) == {
        "anthropic-ratelimit-requests-limit": "600",
        "anthropic-ratelimit-requests-remaining": "99",
        "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:00.100Z",
        "anthropic-ratelimit-output-tokens-limit": "60000",
        "anthropic-ratelimit-output-tokens-remaining": "0",
        "anthropic-ratelimit-output-tokens-reset": "2027-01-15T08:01:00.000Z",
    }
