"""One call: limiter, attempt row, provider, settle. In this order, and nothing between."""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from time import monotonic

from shared.failpoints import failpoint
from shared.inference.request import InferenceRequest, Operation
from shared.inference.response import InferenceResponse
from shared.jobs.claims import AttemptEnd, AttemptStart, Standing
from shared.jobs.transitions import AttemptStatus
from shared.providers.errors import ProviderError, Timeout
from shared.routing.model import Target
from workers.attempt import settle
from workers.attempt.admit import Admission, admit
from workers.attempt.hold import Hold
from workers.attempt.prepare import Work
from workers.attempt.stream import read_stream
from workers.resources import WorkerResources

DEADLINE = "The job's deadline came during the call."


class ClaimLost(Exception):
    """Before the send the lease was lost or the job cancelled: nothing was sent."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing)
        self.standing = standing


async def call(hold: Hold, work: Work, resources: WorkerResources) -> InferenceResponse:
    """Make one call and append its end to `hold.calls`, however it ends.

    Raises:
        MustWait: the limiter has no room.
        ClaimLost: the job is no longer ours to send.
        CallFailed: the provider failed; the lane's limiter knows already.
    """
    hold.answered = False
    admission = await admit(hold, work, resources)
    hold.reservation = admission.reservation
    failpoint("after_acquire")
    await _note_start(hold, admission, resources)
    failpoint("after_attempt_row")
    try:
        return await _send(hold, work, admission, resources)
    finally:
        ended = hold.calls[admission.number - 1 :]
        resources.metrics.called(admission.target.deployment, ended)


async def _note_start(hold: Hold, admission: Admission, resources: WorkerResources) -> None:
    start = AttemptStart(
        job=hold.job,
        call=admission.number,
        deployment=admission.target.deployment.name,
        lane=admission.target.lane_key,
        limiter_wait_ms=admission.waited_ms,
    )
    try:
        standing = await resources.journal.start(start)
    except BaseException:
        # The row may have been written all the same: say that nothing was sent.
        hold.calls.append(AttemptEnd(admission.number, AttemptStatus.INTERRUPTED))
        await _give_back(hold, admission, resources)
        raise
    if standing is not Standing.HELD:
        await _give_back(hold, admission, resources)
        raise ClaimLost(standing)


async def _give_back(hold: Hold, admission: Admission, resources: WorkerResources) -> None:
    hold.reservation = None
    await resources.limiter.release(admission.reservation)


async def _send(
    hold: Hold, work: Work, admission: Admission, resources: WorkerResources
) -> InferenceResponse:
    began = monotonic()
    target = admission.target
    request = InferenceRequest(work.operation, target.deployment.model, work.body)
    try:
        response = await _held(hold, _perform(request, work, target, resources))
    except ProviderError as error:
        raise await settle.failed(hold, error, admission, began, resources) from error
    except TimeoutError as late:
        expired = Timeout(DEADLINE, provider=target.deployment.provider)
        raise await settle.failed(hold, expired, admission, began, resources) from late
    except BaseException:
        await settle.interrupted(hold, admission, began, resources)
        raise
    hold.answered = True
    failpoint("after_response")
    await settle.answered(hold, response, admission, began, resources)
    failpoint("after_settle")
    return response


async def _held(hold: Hold, answer: Awaitable[InferenceResponse]) -> InferenceResponse:
    try:
        async with asyncio.timeout(hold.time_left_s):
            return await answer
    finally:
        # From here on it is settled: renewing it would lease its slot once more.
        hold.reservation = None


async def _perform(
    request: InferenceRequest, work: Work, target: Target, resources: WorkerResources
) -> InferenceResponse:
    provider = resources.providers.get(target)
    if request.operation is Operation.EMBEDDINGS:
        return await provider.embed(request)
    if work.streams:
        async with aclosing(provider.stream(request)) as chunks:
            return await read_stream(chunks)
    return await provider.generate(request)
