"""`GET /v1/models`: what a client may name as `model`."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from shared.auth.permissions import Permission
from shared.ledger.prices import published_models
from shared.resources import Resources
from shared.routing.catalog import Catalog

PRACTICE = ("echo", "reader")
"""Names of the sandbox to begin with: any other does as well."""
UNKNOWN = 0


async def index(request: Request) -> Response:
    """List the routes and deployments, and what is known of each vendor whose key is set."""
    await principal(request, Permission.JOBS_READ)
    resources: Resources = request.state.resources
    catalog = resources.catalog
    named = {name: _model(name, route.deployments[0].provider) for name, route in catalog.routes()}
    for name, owner in _of_vendors(catalog):
        named.setdefault(name, _model(name, owner))
    body = {"object": "list", "data": list(named.values())}
    return Response(orjson.dumps(body), media_type="application/json")


async def get(request: Request) -> Response:
    """Return one model, whatever is in its name; any that a submit would take is there."""
    await principal(request, Permission.JOBS_READ)
    resources: Resources = request.state.resources
    name = request.path_params["model"]
    route = resources.catalog.resolve(name)
    model = _model(name, route.deployments[0].provider)
    return Response(orjson.dumps(model), media_type="application/json")


def _of_vendors(catalog: Catalog) -> list[tuple[str, str]]:
    published = {vendor: published_models(vendor) for vendor in catalog.vendors()}
    published["sandbox"] = PRACTICE
    return [(f"{vendor}/{model}", vendor) for vendor in published for model in published[vendor]]


def _model(name: str, owner: str) -> dict[str, Any]:
    # When a model was made nobody tells us, and the field must be there.
    return {"id": name, "object": "model", "created": UNKNOWN, "owned_by": owner}


routes = [
    Route("/v1/models", index, methods=["GET"]),
    Route("/v1/models/{model:path}", get, methods=["GET"]),
]
