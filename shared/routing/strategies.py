"""In what order each strategy tries the deployments that fit. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, log
from random import Random

from shared.routing.facts import Facts
from shared.routing.load import IDLE, Loads
from shared.routing.model import Deployment, Route, Strategy

EXPLORED = 0.02
"""So many of the calls look for the fastest anew: one that was slow once may be so no more."""
ALIKE = 1.15
"""Latencies that differ by less than this are alike, and share the calls."""
LEAST_SUCCESS = 0.05
USUAL_OUTPUT_TOKENS = 500
Deployments = Sequence[Deployment]


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that the order may depend on besides the deployments that fit."""

    route: Route
    facts: Facts
    load: Loads
    turn: int
    chance: float


def ranked(some: Deployments, asked: Question) -> Deployments:
    """Return the deployments in the order in which the route's strategy tries them."""
    return _RANKS[asked.route.strategy](some, asked)


def _by_priority(some: Deployments, _asked: Question) -> Deployments:
    return some


def _weighted(some: Deployments, asked: Question) -> Deployments:
    # Efraimidis and Spirakis: of all that are left, each is next as often as its weight says.
    dice = Random(asked.chance).random  # noqa: S311 - spreads calls
    weights = asked.route.weights

    def drawn(each: Deployment) -> float:
        weight = weights.get(each.name, each.weight) if weights else each.weight
        return log(1 - dice()) / weight if weight > 0 else -inf

    return sorted(some, key=drawn, reverse=True)


def _round_robin(some: Deployments, asked: Question) -> Deployments:
    start = asked.turn % len(some)
    return (*some[start:], *some[:start])


def _least_busy(some: Deployments, asked: Question) -> Deployments:
    known, pools = asked.load.get, asked.route.pools

    def busy(each: Deployment) -> float:
        under_way = limit = 0
        for target in pools[each.name]:
            its = known(target.lane_key, IDLE)
            under_way += its.under_way
            limit += its.limit or each.concurrency
        return under_way / limit

    return sorted(_round_robin(some, asked), key=busy)


def _by_latency(some: Deployments, asked: Question) -> Deployments:
    turned = _round_robin(some, asked)
    if asked.chance < EXPLORED:
        return turned
    took = _latencies(turned, asked)
    alike = min(took) * ALIKE
    return [turned[at] for at in sorted(range(len(took)), key=lambda at: max(took[at], alike))]


def _latencies(some: Deployments, asked: Question) -> list[float]:
    """How long each takes until an answer, repeated tries counted; 0: it was never called, so it is soon."""
    known, pools, streams = asked.load.get, asked.route.pools, asked.facts.streams
    found = []
    for each in some:
        best = 0.0
        for target in pools[each.name]:
            if (its := known(target.lane_key)) is None:
                continue
            took = its.first_token_ms if streams else its.total_ms
            if took is not None:
                took /= max(LEAST_SUCCESS, 1 - its.errors)
                best = min(took, best or took)
        found.append(best)
    return found


def _by_cost(some: Deployments, asked: Question) -> Deployments:
    facts, prices = asked.facts, asked.route.prices
    output = 0 if facts.embeds else facts.output_tokens or USUAL_OUTPUT_TOKENS

    def cost(each: Deployment) -> float:
        price = each.price or prices.get(each.name)
        if price is None:
            return float("inf")
        return facts.input_tokens * price.input_usd + output * price.output_usd

    return sorted(some, key=cost)


def _by_difficulty(some: Deployments, asked: Question) -> Deployments:
    rule = asked.route.difficulty
    if rule is None:
        return some
    first = rule.simple if asked.facts.hard is False else rule.hard
    ranks = {name: rank for rank, name in enumerate(first)}
    return sorted(some, key=lambda each: ranks.get(each.name, len(ranks)))


_RANKS: Mapping[Strategy, Callable[[Deployments, Question], Deployments]] = {
    Strategy.PRIORITY: _by_priority,
    Strategy.WEIGHTED: _weighted,
    Strategy.ROUND_ROBIN: _round_robin,
    Strategy.LEAST_BUSY: _least_busy,
    Strategy.LATENCY: _by_latency,
    Strategy.COST: _by_cost,
    Strategy.DIFFICULTY: _by_difficulty,
}
