"""What is told to a caller whose time is over: which job it was, what it is doing, and why it waits."""

import asyncio
from collections.abc import Mapping

import structlog
from pydantic import JsonValue

from api.direct.call import Call
from api.direct.vigil import NoAnswerYet
from api.job_replies import is_final, load
from shared.clock import now_ms, rfc3339
from shared.database import Row
from shared.errors import PenstockError
from shared.jobs.transitions import Reason
from shared.jobs.view import status_of

PATIENCE_S = 1.0
"""So long the database may take: the caller has waited long enough."""
UNTAKEN = "no worker has taken it yet"
UNDER_WAY = "its provider has been asked and has not answered"
WHY: Mapping[str, str] = {
    Reason.RATE_LIMITED: "the limit of its requests or tokens is reached",
    Reason.CONCURRENCY: "as many calls as may be made at once are under way",
    Reason.BACKOFF: "a call failed and is to be repeated",
    Reason.PROVIDER_PAUSED: "its provider asked to be left alone for a while",
    Reason.OVERLOADED: "its provider is overloaded",
    Reason.PROVIDER_DOWN: "its provider fails and is left alone for a while",
    Reason.QUOTA_EXHAUSTED: "its provider's quota is used up",
    Reason.LIMITER_UNAVAILABLE: "the limits cannot be asked for",
    Reason.INTERRUPTED: "the worker that had it was stopped",
    Reason.RESCUED: "the worker that had it was lost",
}
log = structlog.get_logger()


async def explained(call: Call, late: NoAnswerYet) -> NoAnswerYet:
    """Return the error with the job's id, its status and why it waits, as far as it can be known."""
    extra: dict[str, JsonValue] = {"job_id": call.job_id}
    job = await _job(call)
    if job is None:
        return NoAnswerYet(
            late.detail, code=late.code, retry_after_s=late.retry_after_s, extra=extra
        )
    reason = job["reason"]
    extra |= {"job_status": status_of(job), "job_status_reason": reason}
    why = f"The job {call.job_id} is {status_of(job)}: {_why(job)}."
    wait_s = (job["not_before"] or 0) / 1000 - now_ms() / 1000
    return NoAnswerYet(
        f"{late.detail} {why}",
        code=late.code,
        retry_after_s=max(late.retry_after_s or 0.0, wait_s),
        extra=extra,
    )


async def _job(call: Call) -> Row | None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            full = await load(call.request, call.tenant_id, call.job_id)
    except (PenstockError, TimeoutError):
        return None
    except Exception as error:  # noqa: BLE001  the caller hears of its time first of all
        log.warning("call.not_explained", error=str(error)[:500])
        return None
    return None if is_final(full) else full.job


def _why(job: Row) -> str:
    status = status_of(job)
    if status == "running":
        return UNDER_WAY
    told = WHY.get(str(job["reason"]), UNTAKEN)
    until = f", until {rfc3339(job['not_before'])}" if status == "waiting" else ""
    return f"{told} ({job['reason']}{until})" if job["reason"] else told
