"""Which targets to try for a request, and in what order: one pure decision, no clock and no dice of its own."""

from collections.abc import Callable, Iterable, Sequence

from shared.errors import BadRequest
from shared.routing.facts import Facts
from shared.routing.load import IDLE, Load, Loads
from shared.routing.model import Capability, Deployment, Route, Strategy, Target
from shared.routing.strategies import Question, ranked

SURELY_TOO_LONG = 2
"""A guess of the input's tokens may be too high, but not by this factor."""
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
    deployments that are left alone last.

    Raises:
        NothingFits: no deployment meets the request's needs.
    """
    fitting = fitting_deployments(route, facts)
    # Both in step would give every deployment always the same key.
    lap = turn // len(fitting) if route.strategy is Strategy.ROUND_ROBIN else turn
    found = list[tuple[bool, Target]]()
    for each in ranked(fitting, Question(route, facts, load, turn, chance)):
        doubtful, pool = _may_be_too_long(each, facts), route.pools[each.name]
        found.extend((doubtful, one) for one in (_turned(pool, lap) if len(pool) > 1 else pool))
    found.sort(key=lambda pair: _put_off(pair[0], load.get(pair[1].lane_key, IDLE)))
    return tuple(target for _, target in found)


def fitting_deployments(route: Route, facts: Facts) -> tuple[Deployment, ...]:
    """Return the deployments that a request may go to, in the order of the file.

    Raises:
        NothingFits: there is none.
    """
    offered = route.tiers.get(facts.tier or "", route.deployments)
    fitting = tuple(each for each in offered if _fits(each, facts))
    if not fitting:
        raise _nothing(route, offered, facts)
    return fitting


def _fits(deployment: Deployment, facts: Facts) -> bool:
    return (
        (facts.regions is None or _is_in(deployment.region, facts.regions))
        and (not facts.needs or all(map(deployment.can, facts.needs)))
        and not _is_too_long(deployment, facts)
        and not _says_too_much(deployment, facts)
        and (facts.embeds or deployment.capabilities != EMBEDS_ONLY)
    )


def _is_in(region: str | None, allowed: Iterable[str]) -> bool:
    """`eu` allows `eu-west` as well; a deployment of no known region is nowhere."""
    if region is None:
        return False
    return any(region == each or region.startswith(f"{each}-") for each in allowed)


def _is_too_long(deployment: Deployment, facts: Facts) -> bool:
    window = deployment.context_tokens
    return window is not None and facts.input_tokens > window * SURELY_TOO_LONG


def _may_be_too_long(deployment: Deployment, facts: Facts) -> bool:
    window = deployment.context_tokens
    return window is not None and facts.input_tokens + facts.output_tokens > window


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


def _put_off(doubtful: bool, load: Load) -> int:
    return 4 * load.open + 2 * doubtful + load.limited


def _turned(some: Sequence[Target], turn: int) -> Sequence[Target]:
    start = turn % len(some)
    return (*some[start:], *some[:start])
