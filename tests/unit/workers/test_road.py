"""Where a call goes on after a failure, and what becomes of its job when it goes nowhere."""

import pytest

from shared.jobs.transitions import Reason
from shared.limiter.buckets import Cost
from shared.providers.errors import (
    AuthFailed,
    BadRequest,
    CannotDo,
    ContentFiltered,
    ContextTooLong,
    Malformed,
    ModelNotFound,
    Overloaded,
    ProviderError,
    RateLimited,
    ResultTooLarge,
    Timeout,
    Unavailable,
)
from shared.routing.facts import Facts
from shared.routing.model import FALLBACK_ON, Deployment, Failure, Route
from tests.unit.workers.test_retry import BACKOFF, JOB, failure
from workers.attempt.retry import Budget, CallFailed, GiveUp, Retry, Wait, decide
from workers.attempt.road import Road

SMALL = Deployment("small", "openai", "m", keys=("a", "b"), context_tokens=8_000)
UNKNOWN = Deployment("unknown", "openai", "m")
LARGE = Deployment("large", "openai", "m", context_tokens=128_000)


def road(*, fallback_on: frozenset[Failure] = FALLBACK_ON, most: int = 5, spent: int = 0) -> Road:
    route = Route("r", (SMALL, UNKNOWN, LARGE), fallback_on=fallback_on)
    return Road(route, Facts(), Cost(1, 1, 1), route.targets, Budget(most, spent))


def failing(road: Road, error: ProviderError, at: int = 0) -> CallFailed:
    target = road.open[at]
    decision = decide(error, JOB, BACKOFF, time_left_s=999, budget=road.budget, chance=1.0)
    failed = CallFailed(error, decision)
    road.note(failed, target)
    return failed


def left(road: Road) -> list[str]:
    return [f"{each.deployment.name}/{each.api_key}" for each in road.open]


@pytest.mark.parametrize("kind", [Unavailable, Timeout, Overloaded, Malformed, ModelNotFound])
def test_another_deployment_after_what_is_the_deployments(kind: type[ProviderError]) -> None:
    way = road()

    assert way.leads_on(failing(way, failure(kind, status=500)))
    assert left(way) == ["unknown/", "large/"]


@pytest.mark.parametrize("kind", [RateLimited, AuthFailed])
def test_another_key_after_what_is_the_keys(kind: type[ProviderError]) -> None:
    way = road()

    assert way.leads_on(failing(way, failure(kind, status=429)))
    assert left(way) == ["small/b", "unknown/", "large/"]


@pytest.mark.parametrize("kind", [RateLimited, AuthFailed])
def test_keys_are_shared_even_where_a_route_stays(kind: type[ProviderError]) -> None:
    way = road(fallback_on=frozenset())

    assert way.leads_on(failing(way, failure(kind, status=429)))
    assert left(way) == ["small/b"]


def test_only_a_longer_one_after_too_long_a_request() -> None:
    way = road()

    assert way.leads_on(failing(way, failure(ContextTooLong, status=400)))
    assert left(way) == ["large/"]
    assert not way.leads_on(failing(way, failure(ContextTooLong, status=400)))


@pytest.mark.parametrize("kind", [ContentFiltered, BadRequest])
def test_a_refused_request_goes_nowhere_unless_the_route_says_so(
    kind: type[ProviderError],
) -> None:
    strict, loose = road(), road(fallback_on=FALLBACK_ON | frozenset(Failure))

    assert not strict.leads_on(failing(strict, failure(kind, status=400)))
    assert loose.leads_on(failing(loose, failure(kind, status=400)))


def test_nobody_else_does_better_with_too_large_an_answer() -> None:
    way = road()

    assert not way.leads_on(failing(way, failure(ResultTooLarge, status=200)))


def test_the_budget_is_one() -> None:
    way = road(most=2)
    first = failing(way, failure(Unavailable, status=500))
    assert way.leads_on(first)
    second = failing(way, failure(Unavailable, status=500))

    assert not way.leads_on(second)
    assert way.verdict().decision == GiveUp(Reason.ATTEMPTS_EXHAUSTED)


def test_waiting_and_refused_keys_cost_nothing() -> None:
    way = road(most=2)
    for error in (RateLimited, AuthFailed, Overloaded, CannotDo):
        sent = error is not CannotDo
        way.note(CallFailed(failure(error, sent=sent), Wait(1, Reason.BACKOFF)), way.ways[0])

    assert way.budget.spent == 0


def test_hope_wins_over_what_others_cannot_do() -> None:
    way = road()
    failing(way, failure(Overloaded, status=503))
    failing(way, failure(CannotDo, sent=False))

    assert isinstance(way.verdict().error, Overloaded)
    assert isinstance(way.verdict().decision, Wait)


def test_the_shortest_wait_wins() -> None:
    way = road()
    failing(way, failure(RateLimited, status=429, retry_after_s=30))
    failing(way, failure(RateLimited, status=429, retry_after_s=3))

    assert way.verdict().error.retry_after_s == 3


def test_a_plain_refusal_ends_it_though_another_could_be_waited_for() -> None:
    way = road()
    failing(way, failure(Overloaded, status=503))
    failing(way, failure(BadRequest, status=400))

    assert way.verdict().decision == GiveUp(Reason.REJECTED)


def test_what_was_said_of_the_request_is_told_rather_than_of_the_operators() -> None:
    way = road(fallback_on=frozenset(Failure))
    failing(way, failure(AuthFailed, status=401))
    failing(way, failure(ContentFiltered, status=400), at=1)
    failing(way, failure(ModelNotFound, status=404), at=1)

    assert isinstance(way.verdict().error, ContentFiltered)


def test_no_retry_beyond_the_budget_though_two_were_under_way() -> None:
    way = road(most=2)
    error = failure(Unavailable, status=500)
    for target in way.ways[:2]:
        # Each was decided when the other had not failed yet.
        way.note(CallFailed(error, Retry(1)), target)

    assert way.verdict().decision == GiveUp(Reason.ATTEMPTS_EXHAUSTED)
