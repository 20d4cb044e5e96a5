"""The end of a call: what the limiter learns of it, and what its attempt row will say."""

import asyncio
from dataclasses import dataclass
from time import monotonic

import structlog

from shared.inference.response import InferenceResponse
from shared.inference.usage import Usage
from shared.jobs.claims import AttemptEnd
from shared.jobs.lanes import lane_of
from shared.jobs.transitions import AttemptStatus
from shared.limiter.buckets import Cost, Outcome
from shared.providers.errors import AuthFailed, Overloaded, ProviderError, RateLimited, Timeout
from workers.attempt.admit import Admission
from workers.attempt.hold import Hold
from workers.attempt.retry import Decision, decide
from workers.resources import WorkerResources

log = structlog.get_logger()

KEY_REFUSED = "The provider refused the key that its operator has configured."


class CallFailed(Exception):
    """The provider failed, and `decision` says what becomes of the job."""

    def __init__(self, error: ProviderError, decision: Decision) -> None:
        super().__init__(error.message)
        self.error = error
        self.decision = decision


@dataclass(frozen=True, slots=True)
class Cut:
    """What came of a stream that did not end well: it is billed, as reported or as estimated.

    The limiter gets nothing back for it: how much the provider counts is not known. Without a
    usage nothing came, or it was no stream.
    """

    usage: Usage | None = None
    first_token_ms: int | None = None


NOTHING = Cut()


def answered(
    hold: Hold,
    response: InferenceResponse,
    admission: Admission,
    began: float,
    resources: WorkerResources,
) -> None:
    """Note an answer; the limiter learns of it while the journal stores it."""
    usage, target = response.usage, admission.target
    hold.calls.append(
        AttemptEnd(
            call=admission.number,
            status=AttemptStatus.OK,
            http_status=response.status_code,
            usage=usage,
            cost_nanousd=None if usage is None else resources.cost_of(target, usage),
            first_token_ms=response.first_token_ms,
            total_ms=_elapsed_ms(began),
        )
    )
    limiter = resources.limiter
    actual = _actual(response.usage)
    hold.settling.append(limiter.settle_soon(admission.reservation, actual, outcome=Outcome.OK))
    if response.feedback is not None:
        # What the provider says of its limits lowers ours.
        lowered = limiter.observe(lane_of(target), response.feedback)
        hold.settling.append(asyncio.create_task(lowered, name="observe"))


async def failed(
    hold: Hold,
    error: ProviderError,
    admission: Admission,
    began: float,
    resources: WorkerResources,
    *,
    cut: Cut = NOTHING,
) -> CallFailed:
    """Note a failure and decide what follows; return it to be raised."""
    target = admission.target
    error = _discreet(error)
    unknown = error.possibly_billed and error.usage is None
    usage = error.usage or cut.usage
    hold.calls.append(
        AttemptEnd(
            call=admission.number,
            status=AttemptStatus.UNKNOWN if unknown else AttemptStatus.ERROR,
            http_status=error.status,
            error_code=error.code,
            error_message=error.message.replace("\x00", "\ufffd"),
            usage=usage,
            cost_nanousd=None if usage is None else resources.cost_of(target, usage),
            first_token_ms=cut.first_token_ms,
            total_ms=_elapsed_ms(began),
            possibly_billed=error.possibly_billed or cut.usage is not None,
        )
    )
    decision = decide(error, hold.job, resources.backoff, time_left_s=hold.time_left_s)
    if decision.pause_s is not None:
        # Before the slot is free again: or a second probe would slip through between the two.
        await resources.limiter.pause(lane_of(target), seconds=decision.pause_s)
    await _settle_failure(error, admission, resources, cut)
    return CallFailed(error, decision)


async def interrupted(
    hold: Hold,
    admission: Admission,
    began: float,
    resources: WorkerResources,
    *,
    cut: Cut = NOTHING,
) -> None:
    """Note a call that we closed: what the provider did until then is not known."""
    usage = cut.usage
    hold.calls.append(
        AttemptEnd(
            call=admission.number,
            status=AttemptStatus.INTERRUPTED,
            error_code="interrupted",
            error_message="Penstock closed the call before it was answered.",
            usage=usage,
            cost_nanousd=None if usage is None else resources.cost_of(admission.target, usage),
            first_token_ms=cut.first_token_ms,
            total_ms=_elapsed_ms(began),
            possibly_billed=True,
        )
    )
    await resources.limiter.settle(admission.reservation, None, outcome=Outcome.FAILED)


def _discreet(error: ProviderError) -> ProviderError:
    # What a provider says of a key may quote a part of it, and the key is the operator's.
    if not isinstance(error, AuthFailed):
        return error
    log.warning("call.key_refused", provider=error.provider, words=error.message)
    return AuthFailed(
        KEY_REFUSED,
        provider=error.provider,
        status=error.status,
        retry_after_s=error.retry_after_s,
        sent=error.sent,
    )


async def _settle_failure(
    error: ProviderError, admission: Admission, resources: WorkerResources, cut: Cut
) -> None:
    if not error.sent:
        await resources.limiter.release(admission.reservation)
        return
    actual = _actual(error.usage)
    refused = error.status is not None and not error.possibly_billed and cut.usage is None
    if actual is None and refused:
        # A plain refusal: the request counted, no tokens did.
        actual = Cost(1, 0, 0)
    loaded = isinstance(error, RateLimited | Overloaded | Timeout)
    outcome = Outcome.OVERLOADED if loaded else Outcome.FAILED
    await resources.limiter.settle(admission.reservation, actual, outcome=outcome)


def _actual(usage: Usage | None) -> Cost | None:
    return None if usage is None else Cost(1, usage.input_tokens, usage.output_tokens)


def _elapsed_ms(began: float) -> int:
    return round((monotonic() - began) * 1000)
