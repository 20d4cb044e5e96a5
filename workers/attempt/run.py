"""THE ROAD of one attempt: prepare, call, check, and say how the job leaves this worker's hands."""

import asyncio

import structlog

from shared.inference.response import InferenceResponse
from shared.database import UNAVAILABLE
from shared.documents.extraction import ExtractorUnavailable
from shared.jobs.claims import ClaimEnd, Standing
from shared.jobs.transitions import Reason
from shared.providers.errors import ProviderError
from workers.attempt import check, finish
from workers.attempt.call import ClaimLost, MustWait, call
from workers.attempt.hold import Hold, Stop
from workers.attempt.prepare import Unworkable, Work, prepare
from workers.attempt.retry import decide
from workers.resources import WorkerResources

log = structlog.get_logger()

STORE_DELAY_MS = 1000


async def run_attempt(hold: Hold, resources: WorkerResources) -> ClaimEnd | None:
    """Work on a claimed job until it ends, waits, or is stopped; None when it is no longer ours."""
    job = hold.job
    try:
        work = await prepare(job, resources)
        answer = await _ask(hold, work, resources)
        return await finish.completed(hold, answer, resources)
    except MustWait as wait:
        return finish.waits(hold, wait.reason, wait.delay_ms, lane=wait.lane)
    except Unworkable as error:
        return finish.unworkable(hold, error)
    except ProviderError as error:
        decision = decide(error, job, resources.backoff)
        await _pause_lane(hold, getattr(decision, "pause_s", None), resources)
        return finish.after_failure(hold, error, decision)
    except ClaimLost as lost:
        hold.stop = Stop.CANCELLED if lost.standing is Standing.CANCELLED else Stop.LOST
        return finish.stopped(hold)
    except asyncio.CancelledError:
        if hold.stop is None:
            raise
        return finish.stopped(hold)
    except (*UNAVAILABLE, ExtractorUnavailable) as error:
        log.warning("attempt.store_unavailable", job=job.id, error=str(error))
        return finish.waits(hold, Reason.BACKOFF, STORE_DELAY_MS, lane=None)
    except Exception:
        # A bug of ours must not leave the job in limbo nor tell its insides to the client.
        log.exception("attempt.crashed", job=job.id, tenant=job.tenant_id)
        return finish.crashed(hold)


async def _ask(hold: Hold, work: Work, resources: WorkerResources) -> InferenceResponse:
    answer = await call(hold, work, resources)
    if work.document is None:
        return answer
    checked = check.document_answer(answer, work.document)
    if not checked.problems:
        return checked.response(work.document, hold, repaired=False)
    repair = check.repair(work, checked)
    answer = await call(hold, repair, resources)
    checked = check.document_answer(answer, work.document)
    if checked.problems:
        raise check.mismatch(checked)
    return checked.response(work.document, hold, repaired=True)


async def _pause_lane(hold: Hold, seconds: float | None, resources: WorkerResources) -> None:
    if seconds is None or hold.lane is None:
        return
    lane = resources.lane(hold.job.model, hold.lane)
    if lane is not None:
        await resources.limiter.pause(lane, seconds=seconds)
