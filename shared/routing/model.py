"""Where a model can be had: deployments, the routes that clients name, and one way to call one of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from pydantic import JsonValue

DEFAULT_CONCURRENCY = 1024
SIMPLE_CHARS = 2000


class Capability(StrEnum):
    """What a request may need of a model beyond text."""

    VISION = "vision"
    TOOLS = "tools"
    STRUCTURED = "structured"
    AUDIO = "audio"
    FILES = "files"
    EMBEDDINGS = "embeddings"


class Strategy(StrEnum):
    """In what order a route tries its deployments."""

    PRIORITY = "priority"
    WEIGHTED = "weighted"
    ROUND_ROBIN = "round_robin"
    LEAST_BUSY = "least_busy"
    LATENCY = "latency"
    COST = "cost"
    DIFFICULTY = "difficulty"


class Failure(StrEnum):
    """Why a route goes on to its next deployment."""

    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    SLOW_FIRST_TOKEN = "slow_first_token"  # noqa: S105 - no password
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    AUTH_FAILED = "auth_failed"
    MODEL_NOT_FOUND = "model_not_found"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    CONTEXT_TOO_LONG = "context_too_long"
    CONTENT_FILTERED = "content_filtered"
    BAD_REQUEST = "bad_request"


BREAKING = frozenset({Failure.UNAVAILABLE, Failure.OVERLOADED, Failure.TIMEOUT})
"""What opens a breaker."""
_LONGER_CODES = {
    "malformed_response": Failure.MALFORMED,
    "unsupported_by_provider": Failure.UNSUPPORTED,
}
_BY_CODE: Mapping[str, Failure] = {each.value: each for each in Failure} | _LONGER_CODES
# What one provider refuses for its content or its form is not sent to the next unless a route says so.
FALLBACK_ON = frozenset(Failure) - {Failure.CONTENT_FILTERED, Failure.BAD_REQUEST}


def failure_of(code: str) -> Failure | None:
    """Return the kind of a failure from the code of a provider's error; None: nobody else does better."""
    return _BY_CODE.get(code)


class OnSlow(StrEnum):
    """What to do when the first token does not come in time."""

    HEDGE = "hedge"
    """Ask the next deployment as well, and take who speaks first."""
    MOVE_ON = "move_on"
    """Leave the slow one, and ask the next."""


@dataclass(frozen=True, slots=True)
class Price:
    """An operator's own price, in US dollars per million tokens."""

    input_usd: float
    output_usd: float
    cached_usd: float


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How to ask a deployment whether it is well: GET a path of its server, or (None) a tiny call."""

    every_s: float
    path: str | None = None


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When to leave a failing deployment alone, and for how long.

    It opens when at least `min_calls` ended within `window_s` and this share of them failed.
    """

    failure_rate: float = 0.5
    window_s: float = 30.0
    min_calls: int = 10
    cool_down_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Which deployments are for simple requests, and which for hard ones; names of them.

    A request is hard with more than `max_chars` characters, with a tool, a picture or a file, or
    with one of `hard_words`. With a `classifier`, the model of that name is asked instead.
    """

    simple: tuple[str, ...]
    hard: tuple[str, ...]
    max_chars: int = SIMPLE_CHARS
    hard_words: tuple[str, ...] = ()
    classifier: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model reachable somewhere with a pool of keys; `rpm`, `tpm` and `concurrency` hold per key.

    `capabilities` None: nothing is known, so it is taken to be able to do everything.
    """

    name: str
    provider: str
    model: str
    base_url: str | None = None
    keys: tuple[str, ...] = field(default=("",), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    region: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    timeout_s: float | None = None
    price: Price | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    vision: bool = False
    capabilities: frozenset[Capability] | None = None
    weight: float = 1.0
    health: HealthCheck | None = None
    options: dict[str, JsonValue] = field(default_factory=dict)

    def can(self, capability: Capability) -> bool:
        """Tell whether the model is able to do something, as far as its operator said."""
        if self.capabilities is None or capability in self.capabilities:
            return True
        return capability is Capability.VISION and self.vision


@dataclass(frozen=True, slots=True)
class Target:
    """One deployment through one of its keys: the unit that has limits of its own.

    `lane_key` names the limiter's lane: stable over restarts, and tells nothing of the key. It is
    derived once, because a target serves many calls.
    """

    deployment: Deployment
    api_key: str = field(repr=False)
    lane_key: str = field(init=False)

    def __post_init__(self) -> None:
        credential = sha256(self.api_key.encode()).hexdigest()[:10]
        object.__setattr__(self, "lane_key", f"{self.deployment.name}:{credential}")


@dataclass(frozen=True, slots=True)
class Route:
    """What a client names as `model`, and the deployments that serve it, best first.

    `tiers` names, for tenants of a tier, the deployments instead. `weights` go before the
    deployments' own; `prices` are the known ones, published or own. A stream whose first token takes longer than `first_token_s` is `on_slow`.
    `default_answer` is told when nothing else can be had. `max_attempts` caps a job's own.
    `targets` are all the ways to serve it in the order of the file, those of any tier too, and
    `pools` the same by deployment. `is_choosy` says that what a request asks for decides where it
    may go, or where it goes first.
    """

    model: str
    deployments: tuple[Deployment, ...]
    strategy: Strategy = Strategy.PRIORITY
    weights: Mapping[str, float] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    tiers: Mapping[str, tuple[Deployment, ...]] = field(default_factory=dict)
    difficulty: Difficulty | None = None
    fallback_on: frozenset[Failure] = FALLBACK_ON
    first_token_s: float | None = None
    on_slow: OnSlow = OnSlow.MOVE_ON
    default_answer: str | None = None
    max_attempts: int | None = None
    breaker: BreakerRule = BreakerRule()
    targets: tuple[Target, ...] = field(init=False, repr=False, compare=False)
    pools: Mapping[str, tuple[Target, ...]] = field(init=False, repr=False, compare=False)
    is_choosy: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = {each.name: each for each in self._every()}
        pools = {
            name: tuple(Target(each, key) for key in each.keys) for name, each in found.items()
        }
        object.__setattr__(self, "pools", pools)
        object.__setattr__(self, "targets", tuple(each for pool in pools.values() for each in pool))
        choosy = self.strategy in (Strategy.DIFFICULTY, Strategy.COST) or any(
            each.capabilities is not None or each.context_tokens or each.max_output_tokens
            for each in found.values()
        )
        object.__setattr__(self, "is_choosy", choosy)

    def _every(self) -> Iterable[Deployment]:
        yield from self.deployments
        for some in self.tiers.values():
            yield from some


def targets(route: Route) -> tuple[Target, ...]:
    """List every way to serve a route, in the order of the file."""
    return route.targets
