"""One call: limiter, attempt row, provider, settle. In this order, and nothing between."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic

from shared.clock import now_ms
from shared.failpoints import failpoint
from shared.inference.request import InferenceRequest, Operation
from shared.inference.response import InferenceResponse
from shared.inference.usage import Usage
from shared.jobs.claims import AttemptEnd, AttemptStart, Standing
from shared.jobs.lanes import DEFAULT_OUTPUT_TOKENS, lane_of, slot_ttl_s
from shared.jobs.transitions import AttemptStatus, Reason
from shared.limiter.buckets import Cost, Outcome
from shared.limiter.estimate import estimate
from shared.limiter.limiter import Denied, Reservation
from shared.providers.errors import Overloaded, ProviderError, RateLimited, Timeout
from shared.routing.model import Target, targets
from workers.attempt.hold import Hold
from workers.attempt.prepare import Work
from workers.attempt.stream import read_stream
from workers.resources import WorkerResources

DEADLINE = "The job's deadline came during the call."


class MustWait(Exception):
    """No target admits the call now: the job goes back to the queue, nothing was used up."""

    def __init__(self, reason: Reason, delay_ms: int, lane: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay_ms = delay_ms
        self.lane = lane


class ClaimLost(Exception):
    """Before the send the lease was lost or the job cancelled: nothing was sent."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing)
        self.standing = standing


@dataclass(frozen=True, slots=True)
class _Admission:
    """A call that the limiter has let through."""

    number: int
    target: Target
    reservation: Reservation
    waited_ms: int


async def call(hold: Hold, work: Work, resources: WorkerResources) -> InferenceResponse:
    """Make one call and append its end to `hold.calls`, however it ends.

    Raises:
        MustWait: the limiter has no room.
        ClaimLost: the job is no longer ours to send.
        ProviderError: the call failed; the lane's limiter knows already.
    """
    admission = await _admit(hold, work, resources)
    start = AttemptStart(
        job=hold.job,
        call=admission.number,
        deployment=admission.target.deployment.name,
        lane=admission.target.lane_key,
        limiter_wait_ms=admission.waited_ms,
    )
    hold.reservation = admission.reservation
    failpoint("after_acquire")
    try:
        standing = await resources.journal.start(start)
    except BaseException:
        # The row may have been written all the same: say that nothing was sent.
        hold.calls.append(AttemptEnd(admission.number, AttemptStatus.INTERRUPTED))
        hold.reservation = None
        await resources.limiter.release(admission.reservation)
        raise
    if standing is not Standing.HELD:
        hold.reservation = None
        await resources.limiter.release(admission.reservation)
        raise ClaimLost(standing)
    failpoint("after_attempt_row")
    try:
        return await _send(hold, work, admission, resources)
    finally:
        ended = hold.calls[admission.number - 1 :]
        resources.metrics.called(admission.target.deployment, ended)


async def _admit(hold: Hold, work: Work, resources: WorkerResources) -> _Admission:
    began = monotonic()
    job = hold.job
    cost = estimate(work.body, default_output_tokens=DEFAULT_OUTPUT_TOKENS)
    number = len(hold.calls) + 1
    denials: list[tuple[Denied, Target]] = []
    for target in targets(resources.catalog.resolve(job.model)):
        hold.lane = target.lane_key
        operation = f"{job.id}:{job.claim_number}:{number}"
        answer = await resources.limiter.acquire(
            lane_of(target),
            operation,
            cost,
            lease_ttl_s=slot_ttl_s(resources.settings),
        )
        if isinstance(answer, Reservation):
            return _Admission(number, target, answer, round((monotonic() - began) * 1000))
        resources.metrics.denied(target.deployment, answer.bucket)
        denials.append((answer, target))
    raise _soonest(denials)


def _soonest(denials: Sequence[tuple[Denied, Target]]) -> MustWait:
    denied, target = min(denials, key=lambda pair: pair[0].retry_at)
    reason = {
        "pause": Reason.PROVIDER_PAUSED,
        "concurrency": Reason.CONCURRENCY,
        "redis": Reason.LIMITER_UNAVAILABLE,
    }.get(denied.bucket, Reason.RATE_LIMITED)
    return MustWait(reason, max(1, denied.retry_at - now_ms()), target.lane_key)


async def _send(
    hold: Hold, work: Work, admission: _Admission, resources: WorkerResources
) -> InferenceResponse:
    began = monotonic()
    target = admission.target
    request = InferenceRequest(work.operation, target.deployment.model, work.body)
    try:
        response = await _held(hold, _perform(request, work, target, resources))
    except ProviderError as error:
        hold.calls.append(_error_end(admission, error, began, resources))
        await _settle_failure(admission, error, resources)
        raise
    except TimeoutError as late:
        expired = Timeout(DEADLINE, provider=target.deployment.provider)
        hold.calls.append(_error_end(admission, expired, began, resources))
        await _settle_failure(admission, expired, resources)
        raise expired from late
    except BaseException:
        # We close the call: what the provider did until then is not known.
        hold.calls.append(_interrupted(admission.number, began))
        await resources.limiter.settle(admission.reservation, None, outcome=Outcome.FAILED)
        raise
    failpoint("after_response")
    hold.calls.append(_succeeded(admission, response, began, resources))
    await _settle(admission, response, resources)
    failpoint("after_settle")
    return response


async def _held(hold: Hold, answer: Awaitable[InferenceResponse]) -> InferenceResponse:
    try:
        async with asyncio.timeout(hold.job.time_left_ms / 1000):
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


async def _settle(
    admission: _Admission, response: InferenceResponse, resources: WorkerResources
) -> None:
    usage = response.usage
    actual = None if usage is None else Cost(1, usage.input_tokens, usage.output_tokens)
    await resources.limiter.settle(admission.reservation, actual, outcome=Outcome.OK)
    if response.feedback is not None:
        await resources.limiter.observe(lane_of(admission.target), response.feedback)


async def _settle_failure(
    admission: _Admission, error: ProviderError, resources: WorkerResources
) -> None:
    if not error.sent:
        await resources.limiter.release(admission.reservation)
        return
    usage, actual = error.usage, None
    if usage is not None:
        actual = Cost(1, usage.input_tokens, usage.output_tokens)
    elif error.status is not None and not error.possibly_billed:
        # A plain refusal: the request counted, no tokens did.
        actual = Cost(1, 0, 0)
    loaded = isinstance(error, RateLimited | Overloaded | Timeout)
    outcome = Outcome.OVERLOADED if loaded else Outcome.FAILED
    await resources.limiter.settle(admission.reservation, actual, outcome=outcome)


def _elapsed_ms(began: float) -> int:
    return round((monotonic() - began) * 1000)


def _cost(usage: Usage | None, target: Target, resources: WorkerResources) -> int | None:
    return None if usage is None else resources.cost_of(target, usage)


def _succeeded(
    admission: _Admission, response: InferenceResponse, began: float, resources: WorkerResources
) -> AttemptEnd:
    return AttemptEnd(
        call=admission.number,
        status=AttemptStatus.OK,
        http_status=response.status_code,
        usage=response.usage,
        cost_nanousd=_cost(response.usage, admission.target, resources),
        first_token_ms=response.first_token_ms,
        total_ms=_elapsed_ms(began),
    )


def _error_end(
    admission: _Admission, error: ProviderError, began: float, resources: WorkerResources
) -> AttemptEnd:
    unknown = error.possibly_billed and error.usage is None
    return AttemptEnd(
        call=admission.number,
        status=AttemptStatus.UNKNOWN if unknown else AttemptStatus.ERROR,
        http_status=error.status,
        error_code=error.code,
        error_message=error.message,
        usage=error.usage,
        cost_nanousd=_cost(error.usage, admission.target, resources),
        total_ms=_elapsed_ms(began),
        possibly_billed=error.possibly_billed,
    )


def _interrupted(number: int, began: float) -> AttemptEnd:
    return AttemptEnd(
        call=number,
        status=AttemptStatus.INTERRUPTED,
        error_code="interrupted",
        error_message="Penstock closed the call before it was answered.",
        total_ms=_elapsed_ms(began),
        possibly_billed=True,
    )
