"""What providers say in headers and error bodies about limits and waiting; pure."""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from pydantic import JsonValue

from shared.inference.response import LimitFeedback

UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)")
TRY_AGAIN = re.compile(r"(?:try again|retry) in ((?:[\d.]+(?:h|ms|m|s|us|µs|ns))+)", re.IGNORECASE)

ANTHROPIC = "anthropic-ratelimit-"
# A reset larger than this is a point in time, not a number of seconds.
LONGEST_S = 7 * 24 * 3600.0


def duration_s(text: str) -> float | None:
    """Read `6m0s`, `12ms`, `1h2m3.5s` or a plain number of seconds; None if it is neither."""
    text = text.strip()
    if (plain := _number(text)) is not None:
        return plain
    parts = list(PART.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        return None
    return sum(float(part.group(1)) * UNIT_S[part.group(2)] for part in parts)


def retry_after_s(headers: Mapping[str, str], *, now_ms: int) -> float | None:
    """Read `retry-after-ms` or `retry-after` (seconds or an HTTP date), never below zero."""
    in_ms = _number(headers.get("retry-after-ms", ""))
    if in_ms is not None:
        return in_ms / 1000
    given = headers.get("retry-after", "").strip()
    if not given:
        return None
    seconds = _number(given)
    if seconds is not None:
        return seconds
    until = _http_date_ms(given)
    if until is None:
        return None
    # The provider's own clock, if it tells, so that ours may be wrong.
    now = _http_date_ms(headers.get("date", "")) or now_ms
    return max(0.0, (until - now) / 1000)


def retry_in_body_s(error: Mapping[str, JsonValue]) -> float | None:
    """Read how long to wait from an error object: Google's RetryInfo, or "try again in 20s"."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str):
            return duration_s(delay)
    found = TRY_AGAIN.search(str(error.get("message", "")))
    return duration_s(found.group(1)) if found else None


def limit_feedback(
    headers: Mapping[str, str], *, now_ms: int | None = None
) -> LimitFeedback | None:
    """Read the `x-ratelimit-*` headers, or Anthropic's; None if there are none.

    A value that cannot be read is left out rather than guessed, and so is a reset that is a point
    in time where nobody tells what time it is: neither the provider's `date` nor `now_ms`.
    """
    said = {name[12:]: value for name, value in headers.items() if name.startswith("x-ratelimit-")}
    if not said:
        return _anthropic_feedback(headers, now_ms)
    return LimitFeedback(
        remaining_requests=_count(said, "remaining-requests"),
        reset_requests_s=_reset_s(said, "reset-requests"),
        remaining_tokens=_count(said, "remaining-tokens"),
        reset_tokens_s=_reset_s(said, "reset-tokens"),
        limit_requests=_count(said, "limit-requests"),
        limit_tokens=_count(said, "limit-tokens"),
    )


def _anthropic_feedback(headers: Mapping[str, str], now_ms: int | None) -> LimitFeedback | None:
    said = {name[20:]: value for name, value in headers.items() if name.startswith(ANTHROPIC)}
    if not said:
        return None
    # Of all limits in tokens `tokens` is the nearest; some accounts have the others alone.
    kinds = ("tokens", "input-tokens", "output-tokens")
    kind = next((kind for kind in kinds if f"{kind}-remaining" in said), kinds[0])
    now = _http_date_ms(headers.get("date", "")) or now_ms
    return LimitFeedback(
        remaining_requests=_count(said, "requests-remaining"),
        reset_requests_s=_until_s(said, "requests-reset", now),
        remaining_tokens=_count(said, f"{kind}-remaining"),
        reset_tokens_s=_until_s(said, f"{kind}-reset", now),
        limit_requests=_count(said, "requests-limit"),
        limit_tokens=_count(said, f"{kind}-limit"),
    )


def reset_s(feedback: LimitFeedback | None) -> float | None:
    """Return when everything that has run out is back: how long a bare 429 means."""
    if feedback is None:
        return None
    waits = [
        (feedback.remaining_requests, feedback.reset_requests_s),
        (feedback.remaining_tokens, feedback.reset_tokens_s),
    ]
    return max((wait for left, wait in waits if left == 0 and wait is not None), default=None)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _count(said: Mapping[str, str], name: str) -> int | None:
    value = _number(said.get(name, ""))
    return None if value is None else int(value)


def _reset_s(said: Mapping[str, str], name: str) -> float | None:
    value = duration_s(said.get(name, ""))
    return value if value is not None and value <= LONGEST_S else None


def _until_s(said: Mapping[str, str], name: str, now_ms: int | None) -> float | None:
    try:
        until = datetime.fromisoformat(said.get(name, ""))
    except ValueError:
        return None
    if now_ms is None or until.tzinfo is None:
        return None
    seconds = until.timestamp() - now_ms / 1000
    return max(0.0, seconds) if seconds <= LONGEST_S else None


def _http_date_ms(text: str) -> int | None:
    try:
        return round(parsedate_to_datetime(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
