"""The operator's deployments and routes, by name: one object for a process's life, whatever is in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue, SecretStr

from shared.clock import now_ms
from shared.errors import NotFound
from shared.inference.sandbox_options import check_model
from shared.inference.vendors import SANDBOX
from shared.routing.file import Rows, digest_of, parse, rows_of
from shared.routing.model import Deployment, Price, Route, Target
from shared.routing.problem import Problem

BRACES = frozenset("{}")
Published = Callable[[str, str], Price | None]
"""The published price of a provider's model, by their names."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a catalog holds at a time, valid as a whole."""

    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """Where the contents come from, and what was wrong with those that are not used.

    `revision` is of the stored objects, `digest` of the file. `problems` are of what was found
    last: while there are any, the contents are older.
    """

    revision: int = 0
    digest: str = ""
    loaded_at: int | None = None
    problems: tuple[Problem, ...] = ()


class Catalog:
    """Resolves the name that a client gives as `model`.

    `replace` takes effect at once for whoever asks next; what was resolved before stays usable.
    `version` rises with each: who remembers answers forgets them then.
    """

    def __init__(
        self,
        contents: Contents,
        provider_keys: Mapping[str, SecretStr],
        status: Status = Status(),
    ) -> None:
        self._provider_keys = provider_keys
        self.version = 0
        self.status = status
        self._take(contents)

    def replace(self, contents: Contents) -> None:
        """Hold something else from now on."""
        self._take(contents)
        self.version += 1

    def _take(self, contents: Contents) -> None:
        routes = dict(contents.routes)
        for name, deployment in contents.deployments.items():
            routes.setdefault(name, Route(name, (deployment,)))
        self.contents = contents
        self._routes = routes
        self._lanes = {each.lane_key: each for route in routes.values() for each in route.targets}

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

    def lanes(self) -> Mapping[str, Target]:
        """Return every configured target by its lane key."""
        return self._lanes

    def target_of(self, model: str, lane_key: str) -> Target | None:
        """Find the target that a stored lane key names among those of a model."""
        try:
            route = self.resolve(model)
        except NotFound:
            return None
        return next((each for each in route.targets if each.lane_key == lane_key), None)

    def _by_vendor(self, name: str) -> Route | None:
        vendor, slash, model = name.partition("/")
        # What a client names becomes the name of a lane, which has no braces.
        if not (slash and model) or not BRACES.isdisjoint(name):
            return None
        if vendor == SANDBOX:
            try:
                check_model(model)
            except ValueError as error:
                detail = f"No model `{name}` here: {error}."
                raise NotFound(detail, code="model_not_found", param="model") from error
            return Route(name, (Deployment(name, vendor, model),))
        if key := self._provider_keys.get(vendor):
            return Route(name, (Deployment(name, vendor, model, keys=(key.get_secret_value(),)),))
        return None


def load_catalog(
    config: Mapping[str, JsonValue], provider_keys: Mapping[str, SecretStr]
) -> Catalog:
    """Build a catalog from a parsed file.

    Raises:
        ConfigError: a row is wrong; the message names the field and what it may be.
    """
    return Catalog(contents_of(rows_of(config)), provider_keys)


def catalog_of(
    text: str,
    provider_keys: Mapping[str, SecretStr],
    *,
    published: Published = lambda _provider, _model: None,
) -> Catalog:
    """Build a catalog from the text of the file.

    Raises:
        ConfigError: it is wrong; the message names the line and the field.
    """
    status = Status(digest=digest_of(text), loaded_at=now_ms())
    return Catalog(contents_of(parse(text), published=published), provider_keys, status)


def contents_of(
    rows: Rows,
    *,
    others: Contents | None = None,
    published: Published = lambda _provider, _model: None,
) -> Contents:
    """Put rows together, and hold them against each other.

    `others` are what is there besides; a row of the same name goes before. `published` tells the
    prices of models whose operator named none.

    Raises:
        ConfigError: a name stands twice, or a route names what is not there.
    """
    alone = others is None
    others = others or Contents()
    deployments: dict[str, Deployment] = {}
    for index, row in enumerate(rows.deployments):
        place = ("deployments", index)
        if row.name in deployments:
            message = f"there is more than one deployment called {row.name}"
            raise rows.problem((*place, "name"), message)
        try:
            deployments[row.name] = row.build()
        except ValueError as error:
            raise rows.problem((*place, "keys"), str(error)) from error
    known = {**others.deployments, **deployments}
    routes = _routes_of(rows, known, published)
    contents = Contents(known, {**others.routes, **routes})
    if alone:
        refuse_unknown_classifiers(rows, contents)
    return contents


def refuse_unknown_classifiers(rows: Rows, contents: Contents) -> None:
    """Hold the routes' classifiers against the whole; names with a slash may be vendors' models.

    Raises:
        ConfigError: one is nobody's name, or that of its own route.
    """
    for index, row in enumerate(rows.routes):
        asked = row.difficulty.classifier if row.difficulty else None
        place = ("routes", index, "difficulty", "classifier")
        if asked == row.model:
            raise rows.problem(place, f"the route {asked} cannot ask itself")
        if asked and "/" not in asked and asked not in {*contents.deployments, *contents.routes}:
            message = f"{asked} is neither a deployment nor a route"
            raise rows.problem(place, message)


def _routes_of(
    rows: Rows, known: Mapping[str, Deployment], published: Published
) -> dict[str, Route]:
    routes: dict[str, Route] = {}
    for index, row in enumerate(rows.routes):
        place = ("routes", index)
        if row.model in routes:
            message = f"there is more than one route called {row.model}"
            raise rows.problem((*place, "model"), message)
        if missing := next((each for each in row.named() if each[1] not in known), None):
            message = (
                f"the route {row.model} names the deployment {missing[1]}, which is not configured"
            )
            raise rows.problem((*place, *missing[0]), message)
        if stray := row.misplaced():
            message = f"{stray[1]} is none of the deployments of the route {row.model}"
            raise rows.problem((*place, *stray[0]), message)
        routes[row.model] = row.build(known, _prices(row.reachable(), known, published))
    return routes


def _prices(
    names: set[str], known: Mapping[str, Deployment], published: Published
) -> dict[str, Price]:
    found = {name: published(known[name].provider, known[name].model) for name in names}
    return {name: price for name, price in found.items() if price is not None}
