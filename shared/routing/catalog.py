"""The operator's deployments and routes, from the TOML file and the providers' key variables."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, ValidationError

from shared.errors import NotFound
from shared.routing.model import DEFAULT_CONCURRENCY, Deployment, Price, Route, Target, targets
from shared.settings import read_key

Strategy = Literal["priority"]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class _PriceRow(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input_usd: float = Field(ge=0)
    output_usd: float = Field(default=0, ge=0)
    cached_usd: float | None = Field(default=None, ge=0)

    def build(self) -> Price:
        cached = self.input_usd if self.cached_usd is None else self.cached_usd
        return Price(self.input_usd, self.output_usd, cached)


class _DeploymentRow(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Name
    provider: Name
    model: Name
    base_url: str | None = None
    keys: list[str] = Field(default_factory=lambda: [""], min_length=1)
    region: str | None = None
    rpm: int | None = Field(default=None, gt=0)
    tpm: int | None = Field(default=None, gt=0)
    concurrency: int = Field(default=DEFAULT_CONCURRENCY, gt=0)
    timeout_s: float | None = Field(default=None, gt=0)
    price: _PriceRow | None = None
    context_tokens: int | None = Field(default=None, gt=0)
    vision: bool = False
    options: dict[str, JsonValue] = Field(default_factory=dict)

    def build(self) -> Deployment:
        price = self.price.build() if self.price else None
        rest = self.model_dump(exclude={"price", "keys"})
        return Deployment(price=price, keys=tuple(map(read_key, self.keys)), **rest)


class _RouteRow(BaseModel):
    model_config = ConfigDict(extra="forbid")
    model: Name
    strategy: Strategy = "priority"
    deployments: list[Name] = Field(min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    deployments: list[_DeploymentRow] = Field(default_factory=list)
    routes: list[_RouteRow] = Field(default_factory=list)


class Catalog:
    """Resolves the name that a client gives as `model`."""

    def __init__(
        self,
        deployments: Mapping[str, Deployment],
        routes: Mapping[str, Route],
        provider_keys: Mapping[str, SecretStr],
    ) -> None:
        self._routes = dict(routes)
        for name, deployment in deployments.items():
            self._routes.setdefault(name, Route(name, (deployment,)))
        self._provider_keys = provider_keys

    def resolve(self, model: str) -> Route:
        """Return the route of a model name.

        Raises:
            NotFound: nothing serves that name; the message says what would.
        """
        route = self._routes.get(model) or self._by_vendor(model)
        if route is None:
            detail = (
                f"No model `{model}` here: add a deployment or route of that name to the configuration,"
                " set its provider's key (openai/<model> needs OPENAI_API_KEY), or try sandbox/echo."
            )
            raise NotFound(detail, code="model_not_found", param="model")
        return route

    def routes(self) -> list[tuple[str, Route]]:
        """List the configured names and what they stand for, in the order of the file."""
        return list(self._routes.items())

    def vendors(self) -> list[str]:
        """List the vendors whose every model can be named, because their key is set."""
        return list(self._provider_keys)

    def lanes(self) -> dict[str, Target]:
        """Return every configured target by its lane key."""
        return {each.lane_key: each for route in self._routes.values() for each in targets(route)}

    def target_of(self, model: str, lane_key: str) -> Target | None:
        """Find the target that a stored lane key names among those of a model."""
        try:
            route = self.resolve(model)
        except NotFound:
            return None
        return next((each for each in targets(route) if each.lane_key == lane_key), None)

    def _by_vendor(self, name: str) -> Route | None:
        vendor, slash, model = name.partition("/")
        if not (slash and model):
            return None
        if vendor == "sandbox":
            return Route(name, (Deployment(name, vendor, model),))
        if key := self._provider_keys.get(vendor):
            return Route(name, (Deployment(name, vendor, model, keys=(key.get_secret_value(),)),))
        return None


def load_catalog(
    config: Mapping[str, JsonValue], provider_keys: Mapping[str, SecretStr]
) -> Catalog:
    """Build the catalog from the parsed file.

    Raises:
        ValueError: a row is wrong; the message names the field and what it may be.
    """
    try:
        file = _File.model_validate(dict(config))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        message = f"the configuration is wrong at {where}: {first['msg']}"
        raise ValueError(message) from error
    _refuse_twice("deployment", [row.name for row in file.deployments])
    _refuse_twice("route", [row.model for row in file.routes])
    deployments = {row.name: row.build() for row in file.deployments}
    routes = {}
    for row in file.routes:
        for name in row.deployments:
            if name not in deployments:
                message = (
                    f"the route {row.model} names the deployment {name}, which is not configured"
                )
                raise ValueError(message)
        routes[row.model] = Route(row.model, tuple(deployments[name] for name in row.deployments))
    return Catalog(deployments, routes, provider_keys)


def _refuse_twice(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"the configuration has more than one {what} called {', '.join(twice)}"
        raise ValueError(message)
