"""What to do after a failed call: one pure function, one budget, one deadline."""

import random
from dataclasses import dataclass

from shared.jobs.claims import ClaimedJob
from shared.jobs.draft import OnUnknown
from shared.jobs.transitions import Reason
from shared.providers.errors import (
    AuthFailed,
    Malformed,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ResultTooLarge,
)
from shared.routing.model import Failure, failure_of

QUOTA_PAUSE_S = 300.0
AUTH_PAUSE_S = 30.0
MALFORMED_TRIES = 2


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: a random time up to `base_s` × 2ⁿ, at most `cap_s` seconds."""

    base_s: float
    cap_s: float

    def delay_s(self, count: int, chance: float) -> float:
        """Return the delay before try `count` + 1; `chance` is a random number in 0..1."""
        return chance * min(self.cap_s, self.base_s * 2.0 ** min(count, 32))


@dataclass(frozen=True, slots=True)
class Retry:
    """Call again after a delay: the failure used an attempt."""

    delay_s: float
    reason: Reason = Reason.BACKOFF
    pause_s: float | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Call again after a delay: nothing was used up. `pause_s` holds back the whole lane."""

    delay_s: float
    reason: Reason
    pause_s: float | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The job ends here. `pause_s` holds back the lane for others all the same."""

    reason: Reason
    pause_s: float | None = None


Decision = Retry | Wait | GiveUp


class CallFailed(Exception):
    """The provider failed, and `decision` says what becomes of the job.

    `answer` is the body of its refusal as the client's dialect tells it, if there is one.
    """

    def __init__(
        self, error: ProviderError, decision: Decision, answer: bytes | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.decision = decision
        self.answer = answer

    @property
    def kind(self) -> Failure | None:
        """What a route may go round; None: nobody else does better."""
        return failure_of(self.error.code)


@dataclass(frozen=True, slots=True)
class Budget:
    """How many failed calls a job may have, over retries and fallbacks together, and has had."""

    most: int
    spent: int = 0

    def after(self, failures: int) -> "Budget":
        """Return it after more failures."""
        return Budget(self.most, self.spent + failures)

    @property
    def over(self) -> bool:
        """Tell whether nothing is left of it."""
        return self.spent >= self.most


def decide(
    error: ProviderError,
    job: ClaimedJob,
    backoff: Backoff,
    *,
    time_left_s: float,
    budget: Budget | None = None,
    chance: float | None = None,
) -> Decision:
    """Decide from the failure and the job's budget; `chance` fixes the jitter for tests."""
    budget = budget or Budget(job.max_attempts, job.failures)
    chance = random.random() if chance is None else chance  # noqa: S311  jitter, not a secret
    if isinstance(error, ResultTooLarge):
        return GiveUp(Reason.RESULT_TOO_LARGE)
    if not error.transient:
        return GiveUp(Reason.REJECTED, AUTH_PAUSE_S if isinstance(error, AuthFailed) else None)
    decision = (
        _retry(error, job, backoff, budget, chance)
        if error.consumes_attempt
        else _wait(error, job, backoff, chance)
    )
    if not isinstance(decision, GiveUp) and decision.delay_s >= time_left_s:
        return GiveUp(Reason.DEADLINE)
    return decision


def _retry(
    error: ProviderError, job: ClaimedJob, backoff: Backoff, budget: Budget, chance: float
) -> Decision:
    if error.possibly_billed and job.on_unknown == OnUnknown.FAIL:
        return GiveUp(Reason.UNKNOWN_OUTCOME)
    tries = min(budget.most, MALFORMED_TRIES) if isinstance(error, Malformed) else budget.most
    if budget.spent + 1 >= tries:
        return GiveUp(Reason.ATTEMPTS_EXHAUSTED)
    return Retry(max(error.retry_after_s or 0.0, backoff.delay_s(budget.spent, chance)))


def _wait(error: ProviderError, job: ClaimedJob, backoff: Backoff, chance: float) -> Decision:
    if isinstance(error, QuotaExhausted):
        pause = error.retry_after_s or QUOTA_PAUSE_S
        return Wait(pause, Reason.QUOTA_EXHAUSTED, pause)
    # Waits start at half a second at least: a provider without a header must not be hammered.
    own = max(backoff.base_s / 2, backoff.delay_s(job.waits, chance))
    if isinstance(error, RateLimited):
        pause = error.retry_after_s or own
        return Wait(pause, Reason.RATE_LIMITED, pause)
    if isinstance(error, Overloaded):
        # That this one was unlucky says nothing of the others: whether to leave the provider alone
        # is for its breaker to say, unless it asks for that itself.
        if error.retry_after_s is None:
            return Wait(own, Reason.OVERLOADED)
        return Wait(error.retry_after_s, Reason.PROVIDER_PAUSED, error.retry_after_s)
    return Wait(error.retry_after_s or own, Reason.BACKOFF)
