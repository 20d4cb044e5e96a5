"""The only clock: milliseconds since the epoch, and their public form."""

import time
from datetime import UTC, datetime

from shared.errors import BadRequest


def now_ms() -> int:
    """Return this machine's time in milliseconds since the epoch.

    Leases and timers never use it: they compare against the database's clock.
    """
    return time.time_ns() // 1_000_000


def rfc3339(ms: int | None) -> str | None:
    """Format milliseconds as `2026-01-01T00:00:00.000Z`, or pass None through."""
    if ms is None:
        return None
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def from_datetime(moment: datetime, *, param: str) -> int:
    """Turn a client's timestamp into milliseconds; one without a zone is refused.

    Raises:
        BadRequest: the timestamp has no UTC offset.
    """
    if moment.tzinfo is None:
        detail = f"`{param}` has no time zone: write it as 2026-01-01T00:00:00Z."
        raise BadRequest(detail, param=param)
    return round(moment.timestamp() * 1000)
