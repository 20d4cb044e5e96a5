"""What an operator may write of a deployment and of a route, in the file or to the API: checked here."""

import re
from collections.abc import Mapping
from typing import Annotated, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)

from shared.inference.sandbox_options import check_deployment
from shared.inference.vendors import VENDORS, Wire, known_vendors
from shared.routing.model import (
    DEFAULT_CONCURRENCY,
    FALLBACK_ON,
    SIMPLE_CHARS,
    BreakerRule,
    Capability,
    Deployment,
    Difficulty,
    Failure,
    HealthCheck,
    OnSlow,
    Price,
    Route,
    Strategy,
)
from shared.settings import read_key

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
USUAL_BREAKER = BreakerRule()
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
OwnName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f{}]+$")]
"""It is a part of the names of lanes, which have no braces."""
Region = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Tier = Annotated[str, Field(min_length=1, max_length=64)]
Names = Annotated[list[Name], Field(min_length=1)]
Weight = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Said = TypeVar("Said", str, dict[str, JsonValue])
LARGEST = 4_000_000_000
"""What the limiter counts exactly; a lane beyond it could not be built, and all JSON can say it."""
Count = Annotated[int, Field(gt=0, le=LARGEST)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PriceRow(_Row):
    """Dollars for a million tokens."""

    input_usd: Usd
    output_usd: Usd = 0
    cached_usd: Usd | None = Field(None, description="`input_usd` if not given.")

    def build(self) -> Price:
        """Return the price."""
        cached = self.input_usd if self.cached_usd is None else self.cached_usd
        return Price(self.input_usd, self.output_usd, cached)


class HealthRow(_Row):
    """How a deployment is asked whether it is well."""

    every_s: Annotated[float, Field(ge=1, le=86_400)]
    path: str | None = Field(
        None,
        pattern="^/",
        description="GET this path of its server; without it a tiny call is made.",
    )


class DeploymentRow(_Row):
    """A deployment as its operator writes it; `keys` are `env:NAME` or the keys themselves."""

    name: OwnName
    provider: Name
    model: Name
    base_url: str | None = Field(default=None, pattern=r"^https?://[^/\s]", max_length=2000)
    keys: list[str] = Field(default_factory=lambda: [""], min_length=1, max_length=200, repr=False)
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    region: Region | None = None
    rpm: Count | None = None
    tpm: Count | None = None
    concurrency: Count = DEFAULT_CONCURRENCY
    timeout_s: Seconds | None = None
    price: PriceRow | None = None
    context_tokens: Count | None = None
    max_output_tokens: Count | None = None
    vision: bool = False
    capabilities: list[Capability] | None = None
    weight: Weight = 1
    health: HealthRow | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("provider")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in VENDORS:
            message = f"no provider is called {value}: name one of {', '.join(known_vendors())}"
            raise ValueError(message)
        return value

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        try:
            # Reading the port checks it.
            _ = None if value is None else urlsplit(value).port
        except ValueError as error:
            message = f"this is no address: {error}"
            raise ValueError(message) from error
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, str]) -> dict[str, str]:
        if wrong := next((name for name in value if not _HEADER.fullmatch(name)), None):
            message = f"{wrong!r} is no name of a header"
            raise ValueError(message)
        return value

    @field_validator("model", "options")
    @classmethod
    def _suits(cls, value: Said, info: ValidationInfo) -> Said:
        check_deployment(info.data.get("provider"), value)
        return value

    @model_validator(mode="after")
    def _can_be_called(self) -> Self:
        vendor = VENDORS[self.provider]
        if vendor.needs_key and not all(self.keys):
            message = f"{self.provider} needs a key: name one in `keys`"
            raise ValueError(message)
        if vendor.wire is not Wire.SANDBOX and not (self.base_url or vendor.base_url):
            message = f"{self.provider} has no address of its own: name one in `base_url`"
            raise ValueError(message)
        return self

    @field_validator("keys")
    @classmethod
    def _are_different(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            message = (
                "the same key stands there twice: each key has its own limits, so name it once"
            )
            raise ValueError(message)
        return value

    def build(self) -> Deployment:
        """Return the deployment, with its keys read from where they are.

        Raises:
            ValueError: a key names an environment variable that is not set, or cannot be sent.
        """
        own = {"keys", "headers", "price", "health", "capabilities", "vision", "options"}
        plain = {name: getattr(self, name) for name in type(self).model_fields if name not in own}
        can = None if self.capabilities is None else frozenset(self.capabilities)
        return Deployment(
            **plain,
            keys=tuple(map(_sendable, self.keys)),
            headers={name: _sendable(value) for name, value in self.headers.items()},
            price=self.price.build() if self.price else None,
            health=HealthCheck(self.health.every_s, self.health.path) if self.health else None,
            capabilities=can,
            vision=self.vision or Capability.VISION in (can or ()),
            options=self.options,
        )


def _sendable(reference: str) -> str:
    value = read_key(reference)
    if not (value.isascii() and value.isprintable()):
        # Not the value itself: it is a secret, even if it is a wrong one.
        name = f" ({reference})" if value != reference else ""
        message = f"a key or header{name} holds a line break or what is not ASCII: no request can carry it"
        raise ValueError(message)
    return value


class BreakerRow(_Row):
    """When a failing deployment is left alone, and for how long."""

    failure_rate: float = Field(default=USUAL_BREAKER.failure_rate, gt=0, le=1)
    window_s: float = Field(default=USUAL_BREAKER.window_s, ge=1, le=3600)
    min_calls: Count = USUAL_BREAKER.min_calls
    cool_down_s: float = Field(default=USUAL_BREAKER.cool_down_s, gt=0, le=3600)

    def build(self) -> BreakerRule:
        """Return the rule."""
        return BreakerRule(**self.model_dump())


class DifficultyRow(_Row):
    """Which deployments are for simple requests and which for hard ones, and how they are told apart."""

    simple: Names
    hard: Names
    max_chars: int = Field(default=SIMPLE_CHARS, ge=0, le=LARGEST)
    hard_words: list[Name] = Field(default_factory=list)
    classifier: Name | None = None

    def build(self) -> Difficulty:
        """Return the rule."""
        return Difficulty(
            tuple(self.simple),
            tuple(self.hard),
            self.max_chars,
            tuple(self.hard_words),
            self.classifier,
        )


class RouteRow(_Row):
    """A route as its operator writes it; it names its deployments."""

    model: Name
    strategy: Strategy = Strategy.PRIORITY
    deployments: list[Name] = Field(default_factory=list)
    weights: dict[Name, Weight] = Field(default_factory=dict)
    tiers: dict[Tier, Names] = Field(default_factory=dict)
    difficulty: DifficultyRow | None = None
    fallback_on: list[Failure] | None = None
    first_token_s: Seconds | None = None
    on_slow: OnSlow = OnSlow.MOVE_ON
    default_answer: str | None = Field(default=None, min_length=1, max_length=100_000)
    max_attempts: int | None = Field(default=None, ge=1, le=100)
    breaker: BreakerRow = Field(default_factory=BreakerRow)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.strategy is Strategy.DIFFICULTY) is not (self.difficulty is not None):
            message = (
                '`strategy = "difficulty"` and a table `difficulty` come together: one is missing'
            )
            raise ValueError(message)
        if self.on_slow is OnSlow.HEDGE and self.first_token_s is None:
            message = "`on_slow` says what follows `first_token_s`: say how long that is"
            raise ValueError(message)
        if not self.deployments:
            if self.difficulty is None:
                message = "a route names at least one deployment in `deployments`"
                raise ValueError(message)
            self.deployments = list(dict.fromkeys(self.difficulty.simple + self.difficulty.hard))
        return self

    def named(self) -> list[tuple[tuple[str | int, ...], str]]:
        """List the deployments that the route names anywhere, each with where it does."""
        found: list[tuple[tuple[str | int, ...], str]] = [
            (("deployments", index), name) for index, name in enumerate(self.deployments)
        ]
        found += [(("tiers", tier), each) for tier, some in self.tiers.items() for each in some]
        return found

    def reachable(self) -> set[str]:
        """Return the names of the deployments that some request may go to."""
        return {*self.deployments, *(name for some in self.tiers.values() for name in some)}

    def misplaced(self) -> tuple[tuple[str | int, ...], str] | None:
        """Return where a name stands that is none of the route's own deployments, and that name."""
        rule = self.difficulty
        groups = {"simple": rule.simple, "hard": rule.hard} if rule else {}
        reachable = self.reachable()
        inner = [(("difficulty", group), name) for group, some in groups.items() for name in some]
        inner += [(("weights", name), name) for name in self.weights]
        return next(((where, name) for where, name in inner if name not in reachable), None)

    def build(
        self, deployments: Mapping[str, Deployment], prices: Mapping[str, Price] | None = None
    ) -> Route:
        """Return the route over its deployments, all of which must be there; `prices` are published ones."""
        tiers = {
            tier: tuple(deployments[name] for name in some) for tier, some in self.tiers.items()
        }
        fallback_on = FALLBACK_ON if self.fallback_on is None else frozenset(self.fallback_on)
        return Route(
            self.model,
            tuple(deployments[name] for name in dict.fromkeys(self.deployments)),
            strategy=self.strategy,
            weights=dict(self.weights),
            prices=prices or {},
            tiers=tiers,
            difficulty=self.difficulty.build() if self.difficulty else None,
            fallback_on=fallback_on,
            first_token_s=self.first_token_s,
            on_slow=self.on_slow,
            default_answer=self.default_answer,
            max_attempts=self.max_attempts,
            breaker=self.breaker.build(),
        )
