"""`GET /v1/models`: what a client may name as `model`, in the shape that its SDK knows."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.anthropic import models as anthropic
from api.auth import principal
from api.gemini import models as gemini
from api.known_models import Known
from api.mistral import models as mistral
from api.openai import models as openai
from api.surfaces import Surface, surface_of
from shared.auth.permissions import Permission
from shared.ledger.prices import published_models
from shared.resources import Resources
from shared.routing.catalog import Catalog
from shared.routing.model import Route as ModelRoute

PRACTICE = ("echo", "reader")
"""Names of the sandbox to begin with: any other does as well."""
LISTINGS: Mapping[Surface, Callable[[Request, Mapping[str, Known]], Response]] = {
    Surface.OPENAI: openai.listing,
    Surface.ANTHROPIC: anthropic.listing,
    Surface.GEMINI: gemini.listing,
    Surface.MISTRAL: mistral.listing,
}
ONES: Mapping[Surface, Callable[[Known], Response]] = {
    Surface.OPENAI: openai.one,
    Surface.ANTHROPIC: anthropic.one,
    Surface.GEMINI: gemini.one,
    Surface.MISTRAL: mistral.one,
}


async def index(request: Request) -> Response:
    """List the routes and deployments, and what is known of each vendor whose key is set."""
    await principal(request, Permission.JOBS_READ)
    resources: Resources = request.state.resources
    return LISTINGS[surface_of(request.scope)](request, _all(resources.catalog))


async def get(request: Request) -> Response:
    """Return one model, whatever is in its name; any that a submit would take is there."""
    await principal(request, Permission.JOBS_READ)
    resources: Resources = request.state.resources
    name = request.path_params["model"]
    known = _known(name, resources.catalog.resolve(name))
    return ONES[surface_of(request.scope)](known)


def _all(catalog: Catalog) -> dict[str, Known]:
    named = {name: _known(name, route) for name, route in catalog.routes()}
    published = {vendor: published_models(vendor) for vendor in catalog.vendors()}
    published["sandbox"] = PRACTICE
    for vendor, models in published.items():
        for model in models:
            name = f"{vendor}/{model}"
            named.setdefault(name, Known(name, vendor))
    return named


def _known(name: str, route: ModelRoute) -> Known:
    first = route.deployments[0]
    return Known(name, first.provider, first.context_tokens)


routes = [
    Route("/v1/models", index, methods=["GET"]),
    Route("/v1/models/{model:path}", get, methods=["GET"]),
]
beta_routes = [
    Route(f"/v1beta/models{each}", answer, methods=["GET"])
    for each, answer in (("", index), ("/{model:path}", get))
]
"""Where Google's older clients look for the same."""
