"""The ways that one call may take, those it has tried in vain, and whether another one is left."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.jobs.claims import ClaimedJob
from shared.jobs.lanes import lane_of
from shared.jobs.transitions import Reason
from shared.limiter.buckets import Cost
from shared.limiter.estimate import never_fits
from shared.routing.facts import Facts
from shared.routing.model import BREAKING, Deployment, Failure, Route, Target, failure_of
from shared.routing.select import order
from workers.attempt.retry import Budget, CallFailed, GiveUp, Retry
from workers.resources import WorkerResources

OF_THE_KEY = frozenset({Failure.RATE_LIMITED, Failure.QUOTA_EXHAUSTED, Failure.AUTH_FAILED})
"""Another key of the same deployment may do."""
OF_THE_OPERATOR = frozenset({Failure.AUTH_FAILED, Failure.MODEL_NOT_FOUND, Failure.UNSUPPORTED})
"""What another deployment said of the request itself is of more use to the client."""
OF_THE_REQUEST = frozenset(
    {Failure.CONTEXT_TOO_LONG, Failure.CONTENT_FILTERED, Failure.BAD_REQUEST}
)
"""What a deployment has said of a request it says of it again."""
FINAL = frozenset({Reason.ATTEMPTS_EXHAUSTED, Reason.UNKNOWN_OUTCOME, Reason.RESULT_TOO_LARGE})


@dataclass(slots=True)
class Road:
    """`ways` are all targets that fit, best first; `failures` what was tried in vain."""

    route: Route
    facts: Facts
    cost: Cost
    ways: tuple[Target, ...]
    budget: Budget
    failures: list[CallFailed] = field(default_factory=list)
    _left: set[str] = field(default_factory=set)
    """Lanes that are of no use any more."""

    @property
    def open(self) -> Sequence[Target]:
        """The targets that are left, best first."""
        return [each for each in self.ways if each.lane_key not in self._left]

    @property
    def elsewhere_when_limited(self) -> bool:
        """Tell whether a full or paused key sends the call to other deployments."""
        return Failure.RATE_LIMITED in self.route.fallback_on

    @property
    def elsewhere_when_open(self) -> bool:
        """Tell whether an open breaker does."""
        return bool(BREAKING & self.route.fallback_on)

    def leave(self, target: Target, kind: Failure | None) -> None:
        """Rule out what a failure says would fail as well."""
        for each in self.ways:
            if self._fails_too(each, target, kind):
                self._left.add(each.lane_key)

    def passes_by(self, target: Target) -> bool:
        """Leave out one that cannot be called, if another one is left; tell whether there is."""
        if len(self.open) > 1:
            self._left.add(target.lane_key)
            return True
        return False

    def note(self, failure: CallFailed, target: Target) -> None:
        """Note a failed call, and what would fail as well."""
        self.failures.append(failure)
        self.leave(target, failure.kind)
        if failure.error.consumes_attempt and failure.kind is not Failure.AUTH_FAILED:
            self.spend(1)

    def spend(self, calls: int) -> None:
        """Take calls from the budget."""
        self.budget = self.budget.after(calls)

    def recall(self, refusals: Iterable[tuple[str, str]]) -> None:
        """Rule out what refused the request in an earlier claim (deployment, code), if that leaves any."""
        for name, code in refusals:
            target, kind = (
                next((each for each in self.ways if each.deployment.name == name), None),
                failure_of(code),
            )
            if target is None or kind not in OF_THE_REQUEST & self.route.fallback_on:
                continue
            before = set(self._left)
            self.leave(target, kind)
            if not self.open:
                self._left = before

    def leads_on(self, failure: CallFailed) -> bool:
        """Tell whether there is somewhere to go on to, and something to spend."""
        return failure.kind is not None and not self.budget.over and bool(self.open)

    def verdict(self) -> CallFailed:
        """Return the failure that tells best what becomes of the job."""
        last = self.failures[-1]
        if self._is_final(last):
            return last
        hopeful = [
            (each.decision.delay_s, n)
            for n, each in enumerate(self.failures)
            if not isinstance(each.decision, GiveUp)
        ]
        if not hopeful:
            return min(self.failures, key=lambda each: each.kind in OF_THE_OPERATOR)
        best = self.failures[min(hopeful)[1]]
        if isinstance(best.decision, Retry) and self.budget.over:
            return CallFailed(best.error, GiveUp(Reason.ATTEMPTS_EXHAUSTED), best.answer)
        return best

    def _is_final(self, failure: CallFailed) -> bool:
        if not isinstance(failure.decision, GiveUp):
            return False
        if failure.decision.reason in FINAL:
            return True
        # What the route takes for an answer is none that another try would change.
        refused = failure.decision.reason is Reason.REJECTED
        return refused and failure.kind not in self.route.fallback_on

    def _fails_too(self, each: Target, target: Target, kind: Failure | None) -> bool:
        same = each.deployment.name == target.deployment.name
        if kind in OF_THE_KEY:
            if each.lane_key == target.lane_key:
                return True
            return not same and kind not in self.route.fallback_on
        if same or kind not in self.route.fallback_on:
            return True
        return kind is Failure.CONTEXT_TOO_LONG and not _is_longer(
            each.deployment, target.deployment
        )


def _is_longer(one: Deployment, other: Deployment) -> bool:
    if one.context_tokens is None:
        return False
    return other.context_tokens is None or one.context_tokens > other.context_tokens


def road_of(
    job: ClaimedJob, route: Route, facts: Facts, cost: Cost, resources: WorkerResources
) -> Road:
    """Find the ways of a call, best first; those that could never admit it come not at all.

    Raises:
        NothingFits: no deployment of the route meets its needs.
    """
    # One whose probe is due stands in its usual place: behind others that are well nobody would try it.
    shut = {name for name, left_s in resources.breakers.shut.items() if left_s > 0}
    load = resources.loads.of(route, shut)
    turn = resources.loads.turn(route)
    ways = order(route, facts, load, turn, random.random())  # noqa: S311  spreads calls
    fitting = tuple(each for each in ways if never_fits(lane_of(each), cost) is None)
    most = min(job.max_attempts, route.max_attempts or job.max_attempts)
    return Road(route, facts, cost, fitting or ways, Budget(most, job.failures))
