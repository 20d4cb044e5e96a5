"""The end of a call: what limiter, breaker and loads learn of it, and what its attempt row will say."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic

import orjson
import structlog

from shared.dialects.errors import error_body
from shared.inference.response import InferenceResponse
from shared.inference.usage import Usage
from shared.jobs.claims import AttemptEnd
from shared.jobs.lanes import lane_of
from shared.jobs.transitions import AttemptStatus
from shared.limiter.buckets import Cost, Outcome
from shared.providers.errors import (
    AuthFailed,
    Malformed,
    Overloaded,
    ProviderError,
    RateLimited,
    Timeout,
    Unavailable,
)
from shared.routing.breaker_states import Verdict
from workers.attempt.admit import Admission
from workers.attempt.asking import Asking
from workers.attempt.hold import Hold
from workers.attempt.retry import Budget, CallFailed, decide
from workers.attempt.stream import Heard
from workers.resources import WorkerResources

log = structlog.get_logger()

KEY_REFUSED = "The provider refused the key that its operator has configured."
UNWELL = (Unavailable, Timeout, Overloaded, Malformed)
"""What says that a deployment is not well; the rest is said of a key, or of the request."""


@dataclass(frozen=True, slots=True)
class Closing:
    """Why we closed a call ourselves, and what that says of its deployment."""

    code: str
    message: str
    verdict: Verdict = Verdict.NONE


INTERRUPTED = Closing("interrupted", "Penstock closed the call before it was answered.")


@dataclass(slots=True)
class Trial:
    """One call from its admission to its end."""

    hold: Hold
    admission: Admission
    budget: Budget
    resources: WorkerResources
    asking: Asking | None = None
    heard: Heard | None = None
    closing: Closing = INTERRUPTED
    began: float = 0.0

    @property
    def number(self) -> int:
        """Which call of its claim it is."""
        return self.admission.number

    @property
    def first_token_ms(self) -> int | None:
        """How long a stream took to its first token, None if it did not speak."""
        return None if self.heard is None else self.heard.first_token_ms

    @property
    def cut(self) -> Usage | None:
        """What a stream that did not end well is billed as; None: nothing came, or it was none.

        The limiter gets nothing back for it: how much the provider counts is not known.
        """
        if self.heard is None or self.asking is None:
            return None
        model = self.admission.target.deployment.model
        return self.heard.billed(self.asking.work.body, model, self.resources.tokens)

    def cost_of(self, usage: Usage | None) -> int | None:
        """Return what a usage costs here, in nano-dollars."""
        return None if usage is None else self.resources.cost_of(self.admission.target, usage)

    @property
    def dropped(self) -> tuple[str, ...]:
        """What of the request the provider was not told."""
        return () if self.asking is None else self.asking.dropped

    @property
    def elapsed_ms(self) -> int:
        """How long it has taken."""
        return round((monotonic() - self.began) * 1000)

    def learn(self, usage: Usage | None) -> None:
        """Take what a provider counted as experience for what it will not count."""
        if usage is not None and self.asking is not None:
            model = self.admission.target.deployment.model
            self.resources.tokens.learn(self.asking.work.body, model, usage)

    def judge(self, verdict: Verdict, *, first_token_ms: int | None = None) -> None:
        """Tell breaker and loads what the call says of its deployment."""
        self.resources.breakers.left(self.admission.passed, verdict)
        self.resources.loads.ended(
            self.admission.target,
            well=None if verdict is Verdict.NONE else verdict is Verdict.GOOD,
            first_token_ms=first_token_ms,
            total_ms=self.elapsed_ms,
        )


def answered(trial: Trial, response: InferenceResponse) -> None:
    """Note an answer; the limiter learns of it while the journal stores it."""
    usage, hold, reservation = response.usage, trial.hold, trial.admission.reservation
    hold.calls.append(
        AttemptEnd(
            call=trial.number,
            status=AttemptStatus.OK,
            http_status=response.status_code,
            usage=usage,
            cost_nanousd=trial.cost_of(usage),
            first_token_ms=response.first_token_ms,
            total_ms=trial.elapsed_ms,
            dropped=trial.dropped,
        )
    )
    trial.judge(Verdict.GOOD, first_token_ms=response.first_token_ms)
    trial.learn(usage)
    limiter = trial.resources.limiter
    hold.settling.append(limiter.settle_soon(reservation, _actual(usage), outcome=Outcome.OK))
    if response.feedback is not None:
        # What the provider says of its limits lowers ours.
        lowered = limiter.observe(lane_of(trial.admission.target), response.feedback)
        hold.settling.append(asyncio.create_task(lowered, name="observe"))


async def failed(trial: Trial, error: ProviderError, *, ours: bool = False) -> CallFailed:
    """Note a failure and decide what follows; return it to be raised.

    `ours`: it was the job's own deadline, which says nothing of the provider.
    """
    hold, resources, cut = trial.hold, trial.resources, trial.cut
    error = _discreet(error)
    unknown = error.possibly_billed and error.usage is None
    usage = error.usage or cut
    hold.calls.append(
        AttemptEnd(
            call=trial.number,
            status=AttemptStatus.UNKNOWN if unknown else AttemptStatus.ERROR,
            http_status=error.status,
            error_code=error.code,
            error_message=error.message.replace("\x00", "\ufffd"),
            usage=usage,
            cost_nanousd=trial.cost_of(usage),
            first_token_ms=trial.first_token_ms,
            total_ms=trial.elapsed_ms,
            possibly_billed=error.possibly_billed or cut is not None,
            dropped=trial.dropped,
        )
    )
    trial.judge(Verdict.BAD if isinstance(error, UNWELL) and not ours else Verdict.NONE)
    decision = decide(
        error, hold.job, resources.backoff, time_left_s=hold.time_left_s, budget=trial.budget
    )
    try:
        if decision.pause_s is not None:
            # Before the slot is free again: or a second probe would slip through between the two.
            target = trial.admission.target
            resources.loads.limited(target, seconds=decision.pause_s)
            await resources.limiter.pause(lane_of(target), seconds=decision.pause_s)
    finally:
        # Also when the job is cancelled meanwhile.
        await _settle_failure(error, trial, cut)
    return CallFailed(error, decision, refusal(error, trial.asking))


async def interrupted(trial: Trial) -> None:
    """Note a call that we closed: what the provider did until then is not known."""
    usage = trial.cut
    trial.hold.calls.append(
        AttemptEnd(
            call=trial.number,
            status=AttemptStatus.INTERRUPTED,
            error_code=trial.closing.code,
            error_message=trial.closing.message,
            usage=usage,
            cost_nanousd=trial.cost_of(usage),
            first_token_ms=trial.first_token_ms,
            total_ms=trial.elapsed_ms,
            possibly_billed=True,
            dropped=trial.dropped,
        )
    )
    trial.judge(trial.closing.verdict)
    limiter = trial.resources.limiter
    await limiter.settle(trial.admission.reservation, None, outcome=Outcome.FAILED)


def refusal(error: ProviderError, asking: Asking | None) -> bytes | None:
    """Return a provider's refusal as its client reads errors; None where it was not a proper one."""
    if error.status is None or error.status < HTTPStatus.BAD_REQUEST or not error.body:
        return None
    try:
        orjson.loads(error.body)
    except orjson.JSONDecodeError:
        return None
    if asking is None or asking.bridge.provider is asking.work.dialect:
        # In its own words: its client may want to read it as it was.
        return error.body
    return orjson.dumps(error_body(asking.work.dialect, error.status, error.code, error.message))


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


async def _settle_failure(error: ProviderError, trial: Trial, cut: Usage | None) -> None:
    limiter, reservation = trial.resources.limiter, trial.admission.reservation
    if not error.sent:
        await limiter.release(reservation)
        return
    actual = _actual(error.usage)
    refused = error.status is not None and not error.possibly_billed and cut is None
    if actual is None and refused:
        # A plain refusal: the request counted, no tokens did.
        actual = Cost(1, 0, 0)
    await limiter.settle(reservation, actual, outcome=_outcome(error))


def _outcome(error: ProviderError) -> Outcome:
    if isinstance(error, RateLimited):
        return Outcome.OVERLOADED
    return Outcome.STRAINED if isinstance(error, Overloaded | Timeout) else Outcome.FAILED


def _actual(usage: Usage | None) -> Cost | None:
    return None if usage is None else Cost(1, usage.input_tokens, usage.output_tokens)
