"""A job's end without an answer, as the caller of its endpoint is told: status, code, retry. Pure.

OpenAI's SDKs make their exception classes from the status and repeat 409, 429 and 5xx by themselves
unless `x-should-retry: false` forbids it. A provider's 429 or 401 is the operator's trouble, not the
caller's, so it is never passed on: what had to wait is a 503 with `Retry-After`, the rest a 5xx.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from shared.database import Row
from shared.errors import PenstockError
from shared.jobs.transitions import JobState, Reason

SOON_S = 5.0
BAD_REQUEST = 400
AS_REFUSED = frozenset({413, 415, 422})
"""Refusals whose own status says more than 400."""


class JobFailed(PenstockError):
    """A job that ended without an answer."""

    status, code, title = 502, "job_failed", "No answer"

    def __init__(self, detail: str, *, status: int, **rest: Any) -> None:
        super().__init__(detail, **rest)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Told:
    """`code` None: the provider's own, or else the job's."""

    status: int
    code: str | None = None
    retry_after_s: float | None = None


# By the code of the job's error, for a job that failed.
_FAILED: Mapping[str, _Told] = {
    "bad_request": _Told(BAD_REQUEST),
    "context_too_long": _Told(BAD_REQUEST, "context_length_exceeded"),
    "content_filtered": _Told(BAD_REQUEST, "content_filter"),
    "model_not_found": _Told(404, "model_not_found"),
    "unsupported_by_provider": _Told(BAD_REQUEST, "unsupported_by_provider"),
    "auth_failed": _Told(502, "provider_auth_failed"),
    "malformed_response": _Told(502, "malformed_response"),
    "result_too_large": _Told(502, "result_too_large"),
    "unavailable": _Told(502, "unavailable"),
    "unknown_outcome": _Told(502, "unknown_outcome"),
    "timeout": _Told(504, "timeout"),
}
# By why it failed, where the job's own code says more than we could.
_OWN: Mapping[str, int] = {
    Reason.INVALID_DOCUMENT: 422,
    Reason.SCHEMA_MISMATCH: 422,
    Reason.POISON: 500,
}
# And for one whose time was over before it had an answer.
_EXPIRED: Mapping[str, _Told] = {
    "timeout": _Told(504, "timeout"),
    "quota_exhausted": _Told(503, "quota_exhausted", 60.0),
    "rate_limited": _Told(503, "rate_limited", 20.0),
    "overloaded": _Told(503, "overloaded", 10.0),
}
_BUG = _Told(500, "internal_error")
_LATE = _Told(503, "deadline", SOON_S)
_CANCELLED = _Told(409, "job_cancelled")


def failure_of(job: Row, answer: bytes | None) -> JobFailed | None:
    """Return the error of an ended job, None if it completed; `answer` is the provider's refusal."""
    state = JobState(job["state"])
    if state is JobState.COMPLETED:
        return None
    error = job["error"] or {}
    told = _told(state, job["reason"], str(error.get("code")))
    theirs = _provider_error(answer)
    status, code = told.status, told.code
    if code is None:
        said = error.get("http_status")
        status = said if said in AS_REFUSED else status
        code = _text(theirs.get("code")) or "bad_request"
    return JobFailed(
        str(error.get("message") or "The job ended without an answer."),
        status=status,
        code=code,
        param=_text(theirs.get("param") or error.get("param")) if status < 500 else None,  # noqa: PLR2004
        retry_after_s=told.retry_after_s,
        extra={"job_id": job["id"], "job_status": state.value, "job_status_reason": job["reason"]},
    )


def _told(state: JobState, reason: str, code: str) -> _Told:
    if state is JobState.CANCELLED:
        return _CANCELLED
    if state is JobState.EXPIRED:
        return _EXPIRED.get(code, _LATE)
    if reason in _OWN:
        return _Told(_OWN[reason], code)
    return _FAILED.get(code, _BUG)


def _provider_error(answer: bytes | None) -> Mapping[str, Any]:
    try:
        value = orjson.loads(answer or b"null")
    except orjson.JSONDecodeError:
        return {}
    error = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else {}


def _text(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value else None
