"""One call: limiter, attempt row, provider, settle. In this order, and nothing between.

An answer is settled while it is stored: neither needs the other.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from time import monotonic

from shared.failpoints import failpoint
from shared.inference.dialect import Operation
from shared.inference.response import InferenceResponse
from shared.jobs.claims import AttemptEnd, AttemptStart, Standing
from shared.jobs.transitions import AttemptStatus
from shared.providers.base import Provider
from shared.providers.errors import ProviderError, Timeout
from workers.attempt import settle
from workers.attempt.admit import Admission, admit
from workers.attempt.asking import Asking, ask
from workers.attempt.hold import Hold
from workers.attempt.prepare import Work
from workers.attempt.stream import Heard, read_stream
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
    await hold.settled()
    admission = await admit(hold, work, resources)
    hold.reservations[admission.number] = admission.reservation
    failpoint("after_acquire")
    await _note_start(hold, admission, resources)
    failpoint("after_attempt_row")
    try:
        return await _send(hold, work, admission, resources)
    finally:
        resources.metrics.called(admission.target.deployment, hold.ended(admission.number))
        if hold.deltas is not None:
            # Before the journal writes how it ended: who follows a job leaves at its end.
            await hold.deltas.written()


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
    hold.reservations.pop(admission.number, None)
    await resources.limiter.release(admission.reservation)


async def _send(
    hold: Hold, work: Work, admission: Admission, resources: WorkerResources
) -> InferenceResponse:
    began = monotonic()
    target = admission.target
    heard: Heard | None = None
    try:
        provider = resources.providers.get(target)
        asking = ask(work, hold.job, target, provider)
        if work.streams:
            heard = Heard(provider.name, work.dialect, asking.stream())
        answer = _perform(hold, asking, provider, heard, resources)
        response = await _held(hold, admission, answer)
    except ProviderError as error:
        cut = _cut(heard, work)
        raise await settle.failed(hold, error, admission, began, resources, cut=cut) from error
    except TimeoutError as late:
        expired, cut = Timeout(DEADLINE, provider=target.deployment.provider), _cut(heard, work)
        raise await settle.failed(hold, expired, admission, began, resources, cut=cut) from late
    except BaseException:
        await settle.interrupted(hold, admission, began, resources, cut=_cut(heard, work))
        raise
    hold.answered = True
    failpoint("after_response")
    settle.answered(hold, response, admission, began, resources)
    return response


async def _held(
    hold: Hold, admission: Admission, answer: Awaitable[InferenceResponse]
) -> InferenceResponse:
    try:
        async with asyncio.timeout(hold.time_left_s):
            return await answer
    finally:
        # From here on it is settled: renewing it would lease its slot once more.
        hold.reservations.pop(admission.number, None)


def _cut(heard: Heard | None, work: Work) -> settle.Cut:
    if heard is None:
        return settle.NOTHING
    return settle.Cut(heard.billed(work.body), heard.first_token_ms)


async def _perform(
    hold: Hold,
    asking: Asking,
    provider: Provider,
    heard: Heard | None,
    resources: WorkerResources,
) -> InferenceResponse:
    if asking.work.operation is Operation.COUNT:
        return asking.count(await provider.count(asking.request))
    if asking.work.operation is Operation.EMBED:
        return asking.answer(await provider.embed(asking.request))
    if heard is None:
        return asking.answer(await provider.generate(asking.request))
    if hold.deltas is None:
        hold.deltas = resources.deltas.of(hold.job.id, hold.job.version)
    whole = False
    try:
        async with aclosing(provider.stream(asking.request)) as chunks:
            response = await read_stream(chunks, heard, hold.deltas)
        whole = True
    finally:
        hold.deltas.flush(last=whole)
    return response
