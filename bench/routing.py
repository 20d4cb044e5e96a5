"""How long a routing decision takes: 50 deployments with two keys each, by every strategy."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from time import thread_time

from shared.inference.dialect import Dialect
from shared.routing.facts import facts_of
from shared.routing.load import Load
from shared.routing.model import (
    Capability,
    Deployment,
    Difficulty,
    Price,
    Route,
    Strategy,
)
from shared.routing.select import order

DEPLOYMENTS = 50
CALLS, ROUNDS = 200, 15
BODY = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "You answer briefly. " * 20},
        *({"role": "user", "content": f"Question {number}: why? " * 10} for number in range(10)),
    ],
    "tools": [{"type": "function", "function": {"name": "look_up", "parameters": {}}}],
    "max_tokens": 500,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """One strategy's decision: its median and its slowest round's mean, in µs of CPU."""

    strategy: str
    us: float
    slowest_us: float


def measure() -> list[Decision]:
    """Return the times of each strategy, and of reading a request's facts."""
    route = _route(Strategy.PRIORITY)
    facts = facts_of(Dialect.CHAT, BODY, input_tokens=900, regions=["eu", "us"])
    load = _load(route)
    found = [_timed(strategy, _route(strategy), load) for strategy in Strategy]
    rounds = [
        _mean_us(lambda _: facts_of(Dialect.CHAT, BODY, input_tokens=900, regions=["eu", "us"]))
        for _ in range(ROUNDS)
    ]
    assert order(route, facts, load, 0, 0.5)
    return [*found, Decision("reading the facts", median(rounds), max(rounds))]


def _timed(strategy: Strategy, route: Route, load: dict[str, Load]) -> Decision:
    facts = facts_of(
        Dialect.CHAT,
        BODY,
        input_tokens=900,
        regions=["eu", "us"],
        difficulty=route.difficulty,
    )
    rounds = [
        _mean_us(lambda turn: order(route, facts, load, turn, turn / CALLS)) for _ in range(ROUNDS)
    ]
    return Decision(strategy, median(rounds), max(rounds))


def _mean_us(act: object) -> float:
    assert callable(act)
    began = thread_time()
    for turn in range(CALLS):
        act(turn)
    return (thread_time() - began) / CALLS * 1e6


def _route(strategy: Strategy) -> Route:
    rule = Difficulty(("d1", "d2"), ("d3", "d4")) if strategy is Strategy.DIFFICULTY else None
    return Route("m", tuple(_deployments()), strategy=strategy, difficulty=rule)


def _deployments() -> Iterator[Deployment]:
    able = frozenset({Capability.TOOLS, Capability.VISION})
    for number in range(DEPLOYMENTS):
        yield Deployment(
            f"d{number}",
            "openai",
            "gpt",
            keys=(f"key {number} a", f"key {number} b"),
            region="eu-west" if number % 2 else "us-east",
            price=Price(number % 7, number % 5, 1),
            context_tokens=128_000,
            max_output_tokens=16_000,
            capabilities=able,
            weight=1 + number % 3,
        )


def _load(route: Route) -> dict[str, Load]:
    return {
        each.lane_key: Load(
            under_way=index % 13,
            limit=100,
            first_token_ms=200.0 + index % 17,
            total_ms=2000.0 + index % 19,
            errors=0.01,
            limited=index % 11 == 0,
            open=index % 23 == 0,
        )
        for index, each in enumerate(route.targets)
    }
