"""What came of one try, and the pure judgement of it."""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

THROTTLING = frozenset(
    {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
)


class TryError(StrEnum):
    """Why a try had no answer."""

    TIMEOUT = "timeout"
    BLOCKED_ADDRESS = "blocked_address"
    DNS = "dns"
    TLS = "tls"
    CONNECTION = "connection"
    BAD_RESPONSE = "bad_response"
    SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105  a code, no secret
    INTERNAL = "internal"


class Judgement(StrEnum):
    """What a try means for its delivery and its target."""

    DELIVERED = "delivered"
    FAILED = "failed"
    THROTTLED = "throttled"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One try: either a status came, or an error says why not. `response` is at most 2 KB."""

    started_at: int
    total_ms: int
    status_code: int | None = None
    response: str | None = None
    retry_after_s: float | None = None
    ip: str | None = None
    error: TryError | None = None
    error_message: str | None = None


def judge(outcome: Outcome) -> Judgement:
    """Judge a try: only a 2xx delivers, a redirect is a failure, 410 asks never to come again."""
    status = outcome.status_code
    if status is None:
        late = outcome.error is TryError.TIMEOUT
        return Judgement.THROTTLED if late else Judgement.FAILED
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Judgement.DELIVERED
    if status == HTTPStatus.GONE:
        return Judgement.GONE
    return Judgement.THROTTLED if status in THROTTLING else Judgement.FAILED
