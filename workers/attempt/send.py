"""One call of one target: attempt row, provider, settle. In this order, and nothing between.

An answer is settled while it is stored: neither needs the other.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from time import monotonic

from shared.endings import returned, whole
from shared.failpoints import failpoint
from shared.inference.dialect import Operation
from shared.inference.response import InferenceResponse
from shared.jobs.claims import AttemptEnd, AttemptStart, Standing
from shared.jobs.transitions import AttemptStatus
from shared.providers.base import Provider
from shared.providers.errors import ProviderError, Timeout
from shared.routing.breaker_states import Verdict
from workers.attempt import settle
from workers.attempt.asking import Asking, ask
from workers.attempt.hold import Hold
from workers.attempt.prepare import Work
from workers.attempt.settle import Trial
from workers.attempt.stage import Stage
from workers.attempt.stream import Heard, read_stream
from workers.journal import Journal

DEADLINE = "The job's deadline came during the call."


class ClaimLost(Exception):
    """Before the send the lease was lost or the job cancelled: nothing was sent."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing)
        self.standing = standing


async def send(trial: Trial, work: Work, stage: Stage) -> InferenceResponse:
    """Make one call and append its end to the hold's, however it ends.

    Raises:
        ClaimLost: the job is no longer ours to send.
        CallFailed: the provider failed; limiter and breaker know already.
    """
    hold, admission = trial.hold, trial.admission
    trial.began = monotonic()
    trial.resources.loads.began(admission.target)
    hold.reservations[trial.number] = admission.reservation
    failpoint("after_acquire")
    await _note_start(trial)
    failpoint("after_attempt_row")
    try:
        return await _send(trial, work, stage)
    finally:
        trial.resources.metrics.called(admission.target.deployment, hold.ended(trial.number))
        if hold.deltas is not None:
            # Before the journal writes how it ended: who follows a job leaves at its end.
            await hold.deltas.written()


async def _note_start(trial: Trial) -> None:
    hold, journal, admission = trial.hold, trial.resources.journal, trial.admission
    start = AttemptStart(
        job=hold.job,
        call=admission.number,
        deployment=admission.target.deployment.name,
        lane=admission.target.lane_key,
        limiter_wait_ms=admission.waited_ms,
        earlier=tuple(hold.unwritten),
        failures=max(0, trial.budget.spent - hold.job.failures),
    )
    try:
        again = _with_earlier(hold, start, journal) if start.earlier else None
        standing = await (again or journal.start(start))
    except BaseException:
        # The row may have been written all the same: say that nothing was sent.
        hold.calls.append(AttemptEnd(admission.number, AttemptStatus.INTERRUPTED))
        await give_back(trial)
        raise
    if standing is not Standing.HELD:
        await give_back(trial)
        raise ClaimLost(standing)


async def _with_earlier(hold: Hold, start: AttemptStart, journal: Journal) -> Standing:
    """Write a start with what became of the calls before it; those are to be written no more."""
    # Not twice, where several begin at the same time; and again if they are not kept.
    numbers = {each.call for each in start.earlier}
    hold.written |= numbers
    writing = asyncio.create_task(journal.start(start), name="start")
    try:
        return await whole(writing)
    finally:
        if returned(writing) is Standing.HELD:
            hold.counted = max(hold.counted, start.failures)
        else:
            hold.written -= numbers


async def give_back(trial: Trial) -> None:
    """Undo an admission: nothing was sent."""
    trial.judge(Verdict.NONE)
    trial.hold.reservations.pop(trial.number, None)
    await trial.resources.limiter.release(trial.admission.reservation)


async def _send(trial: Trial, work: Work, stage: Stage) -> InferenceResponse:
    hold, target = trial.hold, trial.admission.target
    try:
        provider = trial.resources.providers.get(target)
        trial.asking = ask(work, hold.job, target, provider)
        if work.streams:
            trial.heard = Heard(provider.name, work.dialect, trial.asking.stream())
        answer = _perform(trial, trial.asking, provider, stage)
        response = await _held(trial, answer)
    except ProviderError as error:
        raise await settle.failed(trial, error) from error
    except TimeoutError as late:
        expired = Timeout(DEADLINE, provider=target.deployment.provider)
        raise await settle.failed(trial, expired, ours=True) from late
    except BaseException:
        await settle.interrupted(trial)
        raise
    hold.answered = True
    failpoint("after_response")
    settle.answered(trial, response)
    return response


async def _held(trial: Trial, answer: Awaitable[InferenceResponse]) -> InferenceResponse:
    try:
        async with asyncio.timeout(trial.hold.time_left_s):
            return await answer
    finally:
        # From here on it is settled: renewing it would lease its slot once more.
        trial.hold.reservations.pop(trial.number, None)


async def _perform(
    trial: Trial, asking: Asking, provider: Provider, stage: Stage
) -> InferenceResponse:
    if asking.work.operation is Operation.COUNT:
        counted = await provider.count(asking.request)
        return asking.count(counted, trial.resources.tokens)
    if asking.work.operation is Operation.EMBED:
        return asking.answer(await provider.embed(asking.request))
    if trial.heard is None:
        return asking.answer(await provider.generate(asking.request))
    voice, whole = stage.voice(trial.number, trial.heard, trial.dropped), False
    try:
        async with aclosing(provider.stream(asking.request)) as chunks:
            response = await read_stream(chunks, trial.heard, voice)
        whole = True
    finally:
        voice.end(whole=whole)
    return response
