"""THE ROAD of one attempt: prepare, call, check, and say how the job leaves this worker's hands."""

import asyncio

import structlog

from shared.database import UNAVAILABLE
from shared.documents.extraction import ExtractorUnavailable
from shared.errors import PenstockError
from shared.inference.response import InferenceResponse
from shared.jobs.claims import ClaimEnd, Standing
from shared.jobs.transitions import Reason
from shared.providers.registry import NotConfigured
from workers.attempt import default_answer, finish, reading
from workers.attempt.admit import MustWait
from workers.attempt.call import call
from workers.attempt.hold import Hold, Stop
from workers.attempt.prepare import Unworkable, Work, prepare
from workers.attempt.retry import CallFailed
from workers.attempt.send import ClaimLost
from workers.resources import WorkerResources

log = structlog.get_logger()

PART_DELAY_MS = 1000


async def run_attempt(hold: Hold, resources: WorkerResources) -> ClaimEnd | None:
    """Work on a claimed job until it ends, waits, or is stopped; None when it is no longer ours."""
    work: Work | None = None
    try:
        work = await prepare(hold.job, resources)
        answer = await _ask(hold, work, resources)
        return await finish.completed(hold, answer, resources)
    except asyncio.CancelledError:
        if hold.stop is None:
            raise
        return finish.stopped(hold)
    except Exception as error:  # noqa: BLE001  whatever it is, the job must not stay in limbo
        end = _ended_by(error, hold)
        return await default_answer.instead_of(end, hold, work, resources)


def _ended_by(error: Exception, hold: Hold) -> ClaimEnd | None:
    if isinstance(error, MustWait):
        return finish.waits(hold, error.reason, error.delay_ms, lane=error.lane)
    if isinstance(error, CallFailed):
        return finish.after_failure(hold, error)
    if isinstance(error, ClaimLost):
        hold.stop = Stop.CANCELLED if error.standing is Standing.CANCELLED else Stop.LOST
        return finish.stopped(hold)
    return _ended_by_us(error, hold)


def _ended_by_us(error: Exception, hold: Hold) -> ClaimEnd:
    if isinstance(error, Unworkable):
        return finish.unworkable(hold, error)
    if isinstance(error, PenstockError):
        # The operator has changed since the submit what serves the model.
        gone = Unworkable(Reason.REJECTED, error.code, error.detail)
        return finish.unworkable(hold, gone)
    if isinstance(error, NotConfigured):
        wrong = Unworkable(Reason.REJECTED, "deployment_not_configured", str(error))
        return finish.unworkable(hold, wrong)
    if isinstance(error, (*UNAVAILABLE, ExtractorUnavailable)):
        log.warning("attempt.part_unavailable", error=str(error))
        return finish.waits(hold, Reason.BACKOFF, PART_DELAY_MS, lane=None)
    # A bug of ours: the log has all of it, the client none of its insides.
    log.error("attempt.crashed", exc_info=error)
    return finish.crashed(hold)


async def _ask(hold: Hold, work: Work, resources: WorkerResources) -> InferenceResponse:
    if work.document is None:
        return await call(hold, work, resources)
    return await reading.document(hold, work, work.document, resources)
