"""Which targets to try for a request, and in what order: one pure decision, no clock and no dice of its own."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from shared.errors import BadRequest
from shared.routing.facts import Facts
from shared.routing.load import IDLE, Loads
from shared.routing.model import (
    BREAKING,
    Capability,
    Deployment,
    Failure,
    Route,
    Strategy,
    Target,
)
from shared.routing.strategies import Question, ranked

SURELY_TOO_LONG = 2
"""A guess of the input's tokens may be too high, but not by this factor."""
LIMITED, MAY_BE_TOO_LONG, OPEN = 1, 2, 4
"""What puts a target behind others; the higher goes before the lower."""
EMBEDS_ONLY = frozenset({Capability.EMBEDDINGS})
WORDS = {
    Capability.VISION: "a model that reads pictures",
    Capability.TOOLS: "a model that calls tools",
    Capability.STRUCTURED: "a model with structured output",
    Capability.AUDIO: "a model that hears or speaks",
    Capability.FILES: "a model that reads files",
    Capability.EMBEDDINGS: "a model that embeds texts",
}


class NothingFits(BadRequest):
    """No deployment of a route meets a request's needs; `requirements` names them in words."""

    code, title = "no_deployment_fits", "No deployment fits"

    def __init__(self, model: str, requirements: Sequence[str], *, too_long: bool) -> None:
        detail = (
            f"Nothing that serves `{model}` fits this request: it needs {_listed(requirements)}."
        )
        code = "context_length_exceeded" if too_long else None
        super().__init__(detail, code=code, param="model")
        self.requirements = tuple(requirements)


def order(route: Route, facts: Facts, load: Loads, turn: int, chance: float) -> tuple[Target, ...]:
    """Return every target that a request may go to, best first.

    What does not fit is left out; a tenant's regions are never left. `turn` counts the route's
    calls and spreads them over equals, `chance` is a random number in 0..1. Targets out of room
    come after those that are free, windows that may be too short after those that are not, and
    deployments that are left alone last, as far as the route goes round these.

    Raises:
        NothingFits: no deployment meets the request's needs.
    """
    if len(route.targets) == 1 and not route.is_choosy and facts.regions is None:
        return route.targets
    fitting = fitting_deployments(route, facts)
    # Both in step would give every deployment always the same key.
    lap = turn // len(fitting) if route.strategy is Strategy.ROUND_ROBIN else turn
    tokens, pools, known = facts.input_tokens + facts.output_tokens, route.pools, load.get
    groups: list[list[Target]] = [[] for _ in range(8)]
    # What a route does not go round keeps its place: its work waits there.
    behind_open = OPEN if BREAKING & route.fallback_on else 0
    behind_limited = LIMITED if Failure.RATE_LIMITED in route.fallback_on else 0
    for each in ranked(fitting, Question(route, facts, load, turn, chance)):
        window, pool = each.context_tokens, pools[each.name]
        group = 0 if window is None or tokens <= window else MAY_BE_TOO_LONG
        if len(pool) > 1 and (start := lap % len(pool)):
            pool = pool[start:] + pool[:start]
        if len(pool) > 1 and not behind_limited:
            pool = tuple(sorted(pool, key=lambda each: known(each.lane_key, IDLE).limited))
        for target in pool:
            its = known(target.lane_key)
            late = 0 if its is None else behind_open * its.open + behind_limited * its.limited
            groups[group + late].append(target)
    return tuple(chain.from_iterable(groups))


def fitting_deployments(route: Route, facts: Facts) -> tuple[Deployment, ...]:
    """Return the deployments that a request may go to, in the order of the file.

    Raises:
        NothingFits: there is none.
    """
    offered = route.tiers.get(facts.tier or "", route.deployments)
    fitting = _all_fitting(offered, facts)
    if not fitting:
        raise _nothing(route, offered, facts)
    return fitting


def _all_fitting(offered: Sequence[Deployment], facts: Facts) -> tuple[Deployment, ...]:
    needs, output = facts.needs, facts.output_tokens
    # Whatever is said of a region holds for all deployments in it.
    regions = {each.region for each in offered} if facts.regions is not None else ()
    outside = {each for each in regions if not _is_in(each, facts.regions or ())}
    longest = facts.input_tokens / SURELY_TOO_LONG
    return tuple(
        each
        for each in offered
        if not (outside and each.region in outside)
        and (each.context_tokens is None or longest <= each.context_tokens)
        and (each.max_output_tokens is None or output <= each.max_output_tokens)
        and ((able := each.capabilities) is None or needs <= able or all(map(each.can, needs)))
        and (facts.embeds or able != EMBEDS_ONLY)
    )


def _is_in(region: str | None, allowed: Iterable[str]) -> bool:
    """`eu` allows `eu-west` as well; a deployment of no known region is nowhere."""
    if region is None:
        return False
    return any(region == each or region.startswith(f"{each}-") for each in allowed)


def _is_too_long(deployment: Deployment, facts: Facts) -> bool:
    window = deployment.context_tokens
    return window is not None and facts.input_tokens > window * SURELY_TOO_LONG


def _says_too_much(deployment: Deployment, facts: Facts) -> bool:
    most = deployment.max_output_tokens
    return most is not None and facts.output_tokens > most


def _nothing(route: Route, offered: Sequence[Deployment], facts: Facts) -> NothingFits:
    checks = [(f"one of the regions {', '.join(sorted(facts.regions or ()))}", _of_region(facts))]
    checks += [(WORDS[each], _able(each)) for each in sorted(facts.needs)]
    window = f"a window for its input of some {facts.input_tokens} tokens"
    answer = f"answers of {facts.output_tokens} tokens"
    too_long = (window, lambda each: not _is_too_long(each, facts))
    checks += [too_long, (answer, lambda each: not _says_too_much(each, facts))]
    if not facts.embeds:
        checks.append(("a model that writes text", _writes))
    # What alone would leave nothing over is named alone; else it takes several together.
    alone = [words for words, holds in checks if not any(map(holds, offered))]
    some = [words for words, holds in checks if not all(map(holds, offered))]
    named = alone or some
    return NothingFits(route.model, named, too_long=named == [window])


def _of_region(facts: Facts) -> Callable[[Deployment], bool]:
    return lambda each: facts.regions is None or _is_in(each.region, facts.regions)


def _able(capability: Capability) -> Callable[[Deployment], bool]:
    return lambda each: each.can(capability)


def _writes(deployment: Deployment) -> bool:
    return deployment.capabilities != EMBEDS_ONLY


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]} at once"
