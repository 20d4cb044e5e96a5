"""Where a model can be had: deployments, the routes that clients name, and one way to call one of them."""

from dataclasses import dataclass, field
from hashlib import sha256

from pydantic import JsonValue

DEFAULT_CONCURRENCY = 1024


@dataclass(frozen=True, slots=True)
class Price:
    """An operator's own price, in US dollars per million tokens."""

    input_usd: float
    output_usd: float
    cached_usd: float


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model reachable somewhere with a pool of keys; `rpm`, `tpm` and `concurrency` hold per key."""

    name: str
    provider: str
    model: str
    base_url: str | None = None
    keys: tuple[str, ...] = field(default=("",), repr=False)
    region: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    timeout_s: float | None = None
    price: Price | None = None
    context_tokens: int | None = None
    vision: bool = False
    options: dict[str, JsonValue] = field(default_factory=dict)


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

    `targets` are all the ways to serve it, in the order to try them.
    """

    model: str
    deployments: tuple[Deployment, ...]
    targets: tuple[Target, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        every = tuple(Target(each, key) for each in self.deployments for key in each.keys)
        object.__setattr__(self, "targets", every)


def targets(route: Route) -> tuple[Target, ...]:
    """List every way to serve a route, in the order to try them."""
    return route.targets
