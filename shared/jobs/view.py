"""A job as the API shows it: one pure function from rows to the public object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shared.clock import rfc3339
from shared.database import Row
from shared.jobs.transitions import JobState, Priority

NANO = Decimal(1_000_000_000)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands in the queue, and when it may begin by the measured drain rate."""

    position: int
    eta_s: float | None


def status_of(job: Row) -> str:
    """Return the public status: a queued job with a `not_before` is `waiting`."""
    waiting = job["state"] == JobState.QUEUED and job["not_before"] is not None
    return "waiting" if waiting else str(job["state"])


def usd(nano: int | None) -> str | None:
    """Spell nano-dollars as a decimal string of dollars."""
    if nano is None:
        return None
    return format((Decimal(nano) / NANO).quantize(Decimal("1E-9")).normalize(), "f")


def public_job(
    job: Row,
    *,
    attempts: Sequence[Row] = (),
    result: Mapping[str, Any] | None = None,
    place: Place | None = None,
) -> dict[str, Any]:
    """Build the public object; `result` is `{"status_code", "body"}` or None."""
    job_id = job["id"]
    return {
        "id": job_id,
        "object": "job",
        "endpoint": job["endpoint"],
        "model": job["model"],
        "status": status_of(job),
        "status_reason": job["reason"],
        "priority": Priority.of_rank(job["priority"]),
        "generation": job["generation"],
        "created_at": rfc3339(job["created_at"]),
        "scheduled_at": rfc3339(job["scheduled_at"]),
        "not_before": rfc3339(job["not_before"]),
        "started_at": rfc3339(job["started_at"]),
        "finished_at": rfc3339(job["finished_at"]),
        "complete_by": rfc3339(job["complete_by"]),
        "queue": place and {"position": place.position, "eta_s": place.eta_s},
        "attempts": _public_attempts(job, attempts),
        "result": result,
        "error": job["error"],
        "usage": usage_of(job),
        "cost_usd": usd(job["cost_nanousd"]),
        "cached": job["cached"],
        "custom_id": job["custom_id"],
        "batch_id": job["batch_id"],
        "metadata": job["metadata"],
        "webhook": job["webhook"],
        "links": {
            "self": f"/v1/jobs/{job_id}",
            "result": f"/v1/jobs/{job_id}/result",
            "events": f"/v1/jobs/{job_id}/events",
            "cancel": f"/v1/jobs/{job_id}/cancel",
            "retry": f"/v1/jobs/{job_id}/retry",
        },
    }


def event_data(job: Row) -> dict[str, Any]:
    """Build what an event says of its job: enough to act on, and where to read the rest."""
    whole = public_job(job)
    return {name: whole[name] for name in _IN_EVENTS}


_IN_EVENTS = (
    "id",
    "object",
    "endpoint",
    "model",
    "status",
    "status_reason",
    "generation",
    "created_at",
    "not_before",
    "finished_at",
    "error",
    "usage",
    "cost_usd",
    "custom_id",
    "batch_id",
    "metadata",
    "links",
)


def _public_attempts(job: Row, attempts: Sequence[Row]) -> list[dict[str, Any]]:
    mine = [each for each in attempts if each["generation"] == job["generation"]]
    return [_public_attempt(number, each) for number, each in enumerate(mine, start=1)]


def _public_attempt(number: int, attempt: Row) -> dict[str, Any]:
    code = attempt["error_code"]
    return {
        "number": number,
        "deployment": attempt["deployment"],
        "status": attempt["status"],
        "http_status": attempt["http_status"],
        "error": code and {"code": code, "message": attempt["error_message"]},
        "started_at": rfc3339(attempt["started_at"]),
        "limiter_wait_ms": attempt["limiter_wait_ms"],
        "first_token_ms": attempt["first_token_ms"],
        "total_ms": attempt["total_ms"],
        "usage": usage_of(attempt),
        "cost_usd": usd(attempt["cost_nanousd"]),
        "possibly_billed": attempt["possibly_billed"],
        "dropped": attempt["dropped"] or [],
    }


def usage_of(row: Row) -> dict[str, int] | None:
    """Return the tokens of a job or an attempt, None where nobody knows them."""
    if row["input_tokens"] is None:
        return None
    return {
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
        "cached_tokens": row["cached_tokens"],
    }
