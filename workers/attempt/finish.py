"""How a job leaves a worker's hands: the value that one transaction of the journal writes."""

from typing import Any

import structlog

from shared.dialects.responses.resource import is_incomplete
from shared.inference.response import InferenceResponse
from shared.jobs.claims import AttemptEnd, ClaimEnd, Result
from shared.jobs.draft import OnUnknown
from shared.jobs.transitions import CANCELLED, JobState, Reason
from shared.providers.errors import ProviderError
from workers.attempt.hold import Hold, Stop
from workers.attempt.prepare import Unworkable
from workers.attempt.retry import CallFailed, GiveUp, Retry
from workers.resources import WorkerResources

log = structlog.get_logger()

SNIPPET = 2000


async def completed(hold: Hold, answer: InferenceResponse, resources: WorkerResources) -> ClaimEnd:
    """End with the provider's answer; a large one goes to the blob store first."""
    cut = hold.job.background and is_incomplete(answer.body)
    result = Result(answer.status_code, answer.body, incomplete=cut)
    if len(answer.body) > resources.settings.inline_bytes:
        job = hold.job
        # The claim is part of the name: a late writer must not touch the winner's blob.
        key = f"results/{job.id}/{job.generation}-{job.claim_number}.json"
        try:
            await resources.blobs.put(key, answer.body)
            result = Result(answer.status_code, None, key, cut)
        except OSError as error:
            # The answer is paid: it stays in the row rather than be asked for again.
            log.warning("attempt.blob_not_written", error=str(error))
    return _end(hold, JobState.COMPLETED, result=result)


def waits(hold: Hold, reason: Reason, delay_ms: int, *, lane: str | None) -> ClaimEnd:
    """Go back to the queue until there is room: no attempt is used up."""
    return _end(hold, JobState.QUEUED, reason, delay_ms=delay_ms, lane=lane, error=hold.job.error)


def unworkable(hold: Hold, error: Unworkable) -> ClaimEnd:
    """End with the job's own error."""
    return _end(hold, JobState.FAILED, error.reason, error=_error(error.code, error.message))


def after_failure(hold: Hold, failure: CallFailed) -> ClaimEnd:
    """Go on as `decide` said."""
    error, decision = failure.error, failure.decision
    shown = _provider_error(error)
    if isinstance(decision, GiveUp):
        state = JobState.EXPIRED if decision.reason is Reason.DEADLINE else JobState.FAILED
        result = Result(error.status or 0, failure.answer) if failure.answer else None
        hold.failures = max(1, hold.failures)
        return _end(hold, state, decision.reason, error=shown, result=result)
    return _end(
        hold,
        JobState.QUEUED,
        decision.reason,
        delay_ms=round(decision.delay_s * 1000),
        waited=not isinstance(decision, Retry),
        lane=hold.lane,
        error=shown,
    )


def stopped(hold: Hold) -> ClaimEnd | None:
    """End a call that we closed: cancelled by its owner, or interrupted by our shutdown."""
    if hold.stop is Stop.CANCELLED:
        error = _error("cancelled", CANCELLED)
        return _end(hold, JobState.CANCELLED, Reason.CANCELLED, error=error)
    if hold.stop is Stop.LOST:
        return _end(hold, JobState.QUEUED) if hold.unwritten else None
    billed = any(attempt.possibly_billed for attempt in hold.calls)
    if billed and hold.job.on_unknown == OnUnknown.FAIL:
        message = "The worker was shut down during the call; on_unknown=fail forbids another one."
        return _end(
            hold, JobState.FAILED, Reason.UNKNOWN_OUTCOME, error=_error("unknown_outcome", message)
        )
    return _end(hold, JobState.QUEUED, Reason.INTERRUPTED, delay_ms=0, error=hold.job.error)


def crashed(hold: Hold) -> ClaimEnd:
    """End a job over which our own code stumbled."""
    message = "An internal error ended this job. Its operators find it in the logs by the job's id."
    return _end(
        hold, JobState.FAILED, Reason.INTERNAL_ERROR, error=_error("internal_error", message)
    )


def _end(hold: Hold, state: JobState, reason: Reason | None = None, **rest: Any) -> ClaimEnd:
    attempts: list[AttemptEnd] = hold.unwritten
    told = {"lane": hold.lane, "failures": max(0, hold.failures - hold.counted), **rest}
    return ClaimEnd(job=hold.job, state=state, reason=reason, attempts=tuple(attempts), **told)


def _error(code: str, message: str) -> dict[str, Any]:
    # PostgreSQL stores no NUL, and a provider's words may hold one.
    return {"code": code, "message": message.replace("\x00", "\ufffd")}


def _provider_error(error: ProviderError) -> dict[str, Any]:
    shown: dict[str, Any] = _error(error.code, error.message)
    shown["provider"] = error.provider
    if error.param is not None:
        shown["param"] = error.param.replace("\x00", "\ufffd")
    if error.status is not None:
        shown["http_status"] = error.status
    if error.body:
        shown["snippet"] = error.body[:SNIPPET].decode("utf-8", "replace").replace("\x00", "")
    return shown
