"""Which deployments a request may go to, and in which order they are tried."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from shared.routing.facts import Facts
from shared.routing.load import Load
from shared.routing.model import (
    Capability,
    Deployment,
    Difficulty,
    Price,
    Route,
    Strategy,
)
from shared.routing.select import NothingFits, fitting_deployments, order

PLAIN = Facts(input_tokens=100)


def deployment(name: str, **fields: Any) -> Deployment:
    return Deployment(name, "sandbox", "echo", **fields)


def route(*some: Deployment, **fields: Any) -> Route:
    return Route("m", some, **fields)


def names(
    route: Route,
    facts: Facts = PLAIN,
    load: dict[str, Load] | None = None,
    *,
    turn: int = 0,
    chance: float = 0.5,
) -> str:
    """Return the names in their order, each once."""
    found = order(route, facts, load or {}, turn, chance)
    return " ".join(dict.fromkeys(each.deployment.name for each in found))


def loads(route: Route, **by_name: Load) -> dict[str, Load]:
    return {target.lane_key: load for name, load in by_name.items() for target in route.pools[name]}


A, B, C = deployment("a"), deployment("b"), deployment("c")


def test_priority_keeps_the_order_and_spreads_over_keys() -> None:
    pooled = route(deployment("a", keys=("1", "2", "3")), B)

    firsts = Counter(order(pooled, PLAIN, {}, turn, 0.5)[0].api_key for turn in range(9))

    assert names(pooled) == "a b"
    assert firsts == {"1": 3, "2": 3, "3": 3}


def test_a_limited_key_comes_after_every_free_one_and_an_open_breaker_last() -> None:
    pooled = route(deployment("a", keys=("1", "2")), deployment("b", keys=("3",)), C)
    first, second = pooled.pools["a"]
    load = {
        first.lane_key: Load(limited=True),
        **loads(pooled, c=Load(open=True, limited=False)),
    }

    found = order(pooled, PLAIN, load, 0, 0.5)

    assert [each.api_key for each in found] == ["2", "3", "1", ""]
    assert found[0] is second


def test_round_robin_turns_deployments_and_their_keys_out_of_step() -> None:
    pooled = route(
        deployment("a", keys=("1", "2")),
        deployment("b", keys=("3", "4")),
        strategy=Strategy.ROUND_ROBIN,
    )

    firsts = [order(pooled, PLAIN, {}, turn, 0.5)[0].api_key for turn in range(8)]

    assert Counter(firsts) == {"1": 2, "2": 2, "3": 2, "4": 2}
    assert names(pooled, turn=1) == "b a"


def test_weights_say_how_often_each_comes_first_and_second() -> None:
    weighted = route(A, B, C, strategy=Strategy.WEIGHTED, weights={"a": 6, "b": 3, "c": 1})
    dice = Random(7)

    firsts, seconds = Counter[str](), Counter[str]()
    for _ in range(10_000):
        found = names(weighted, chance=dice.random()).split()
        firsts[found[0]] += 1
        if found[0] == "a":
            seconds[found[1]] += 1

    assert abs(firsts["a"] / 10_000 - 0.6) < 0.02
    assert abs(firsts["b"] / 10_000 - 0.3) < 0.02
    assert abs(seconds["b"] / firsts["a"] - 0.75) < 0.02


def test_a_weight_of_nothing_is_the_last_resort() -> None:
    drained = route(A, deployment("b", weight=0), strategy=Strategy.WEIGHTED)

    assert {names(drained, chance=each / 50) for each in range(50)} == {"a b"}


def test_the_least_busy_by_its_share_of_what_it_may_have() -> None:
    busy = route(
        deployment("a", concurrency=100), deployment("b", concurrency=10), strategy="least_busy"
    )
    load = loads(busy, a=Load(under_way=20), b=Load(under_way=3))
    adapted = loads(busy, a=Load(under_way=20, limit=40), b=Load(under_way=3))

    assert names(busy, load=load) == "a b"
    assert names(busy, load=adapted) == "b a"
    assert {names(busy, turn=turn) for turn in (0, 1)} == {"a b", "b a"}


def test_the_fastest_by_first_token_for_streams_and_by_the_whole_for_others() -> None:
    fast = route(A, B, strategy=Strategy.LATENCY)
    load = loads(
        fast,
        a=Load(first_token_ms=100, total_ms=9000),
        b=Load(first_token_ms=300, total_ms=4000),
    )

    assert names(fast, Facts(streams=True), load) == "a b"
    assert names(fast, PLAIN, load) == "b a"


def test_the_fastest_counts_failures_tries_the_unknown_and_shares_between_alike() -> None:
    fast = route(A, B, C, strategy=Strategy.LATENCY)
    failing = loads(
        fast, a=Load(total_ms=100, errors=0.9), b=Load(total_ms=500), c=Load(total_ms=800)
    )
    unknown = loads(fast, a=Load(total_ms=100), b=Load(total_ms=200))
    alike = loads(fast, a=Load(total_ms=100), b=Load(total_ms=110), c=Load(total_ms=300))

    assert names(fast, load=failing) == "b c a"
    assert names(fast, load=unknown) == "c a b"
    assert {names(fast, load=alike, turn=turn) for turn in range(3)} == {"a b c", "b a c"}
    # Now and then the slow one is looked at again.
    assert names(fast, load=alike, turn=2, chance=0.001).startswith("c")


def test_the_cheapest_depends_on_what_is_asked() -> None:
    priced = route(
        deployment("reads", price=Price(1, 100, 1)),
        deployment("writes", price=Price(10, 1, 10)),
        C,
        strategy=Strategy.COST,
    )

    assert names(priced, Facts(input_tokens=10_000, output_tokens=10)) == "reads writes c"
    assert names(priced, Facts(input_tokens=10, output_tokens=10_000)) == "writes reads c"
    published = route(A, C, strategy=Strategy.COST, prices={"c": Price(1, 1, 1)})
    assert names(published) == "c a"


def test_simple_requests_go_to_the_simple_and_hard_ones_to_the_hard() -> None:
    rule = Difficulty(simple=("b",), hard=("c", "a"))
    told = route(A, B, C, strategy=Strategy.DIFFICULTY, difficulty=rule)

    assert names(told, Facts(hard=False)) == "b a c"
    assert names(told, Facts(hard=True)) == "c a b"
    assert names(told, Facts(hard=None)) == "c a b"


def test_a_tenants_regions_are_never_left() -> None:
    abroad = route(deployment("us", region="us-east"), deployment("eu", region="eu-west"), C)

    assert names(abroad, Facts(regions=frozenset({"eu"}))) == "eu"
    assert names(abroad, Facts(regions=frozenset({"eu-west", "us-east"}))) == "us eu"
    assert names(abroad) == "us eu c"
    with pytest.raises(NothingFits, match="one of the regions asia, e"):
        order(abroad, Facts(regions=frozenset({"asia", "e"})), {}, 0, 0.5)
    down = loads(abroad, eu=Load(open=True, limited=True))
    assert names(abroad, Facts(regions=frozenset({"eu"})), down) == "eu"


def test_a_tier_has_its_own_deployments() -> None:
    tiered = route(A, tiers={"gold": (B, A)})

    assert names(tiered, Facts(tier="gold")) == "b a"
    assert names(tiered, Facts(tier="tin")) == "a"
    assert names(tiered) == "a"
    assert len(tiered.targets) == 2


def test_what_a_request_needs_chooses_and_what_is_not_known_is_trusted() -> None:
    able = frozenset({Capability.TOOLS})
    some = route(deployment("tools", capabilities=able), B)

    assert names(some, Facts(needs=able)) == "tools b"
    assert names(some, Facts(needs=frozenset({Capability.VISION}))) == "b"
    assert deployment("v", vision=True, capabilities=able).can(Capability.VISION)


def test_a_longer_window_goes_before_one_that_may_be_too_short() -> None:
    sized = route(deployment("short", context_tokens=1000), deployment("long", context_tokens=9000))

    assert names(sized, Facts(input_tokens=500)) == "short long"
    assert names(sized, Facts(input_tokens=500, output_tokens=600)) == "long short"
    assert names(sized, Facts(input_tokens=1500)) == "long short"
    assert names(sized, Facts(input_tokens=2001)) == "long"


def test_an_answer_longer_than_a_model_writes_goes_elsewhere() -> None:
    sized = route(deployment("a", max_output_tokens=100), B)

    assert names(sized, Facts(output_tokens=101)) == "b"


def test_a_model_that_only_embeds_writes_nothing() -> None:
    embeds = deployment("e", capabilities=frozenset({Capability.EMBEDDINGS}))
    needs = frozenset({Capability.EMBEDDINGS})

    assert names(route(embeds, B)) == "b"
    assert names(route(embeds), Facts(embeds=True, needs=needs)) == "e"
    with pytest.raises(NothingFits, match="a model that writes text"):
        order(route(embeds), PLAIN, {}, 0, 0.5)


@pytest.mark.parametrize(
    ("facts", "words", "code"),
    [
        (Facts(needs=frozenset({Capability.VISION})), "reads pictures.", "no_deployment_fits"),
        (Facts(input_tokens=5000), "window for its input", "context_length_exceeded"),
        (Facts(output_tokens=5000), "answers of 5000 tokens.", "no_deployment_fits"),
        (
            Facts(needs=frozenset({Capability.TOOLS}), regions=frozenset({"eu"})),
            "regions eu and a model that calls tools at once",
            "no_deployment_fits",
        ),
    ],
)
def test_what_nothing_meets_is_named(facts: Facts, words: str, code: str) -> None:
    both = route(
        deployment(
            "a",
            region="us",
            capabilities=frozenset({Capability.TOOLS}),
            context_tokens=1000,
            max_output_tokens=100,
        ),
        deployment(
            "b", region="eu", capabilities=frozenset(), context_tokens=1000, max_output_tokens=100
        ),
    )

    with pytest.raises(NothingFits) as told:
        fitting_deployments(both, facts)

    assert words in told.value.detail
    assert told.value.code == code
    assert told.value.status == 400
