"""`/v1/routes`: what clients name as `model`, and which deployments serve it in which order."""

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.admin.access import operator
from api.admin.deployments import (
    CREATED,
    MAX_BODY_BYTES,
    answer,
    check_name,
    editor,
    read_name,
    unused,
)
from api.admin.views import route_view
from api.body import read_json
from api.errors import invalid_fields
from shared.resources import Resources
from shared.routing.editing import no_route


async def create(request: Request) -> Response:
    """Add a route."""
    await operator(request)
    asked, _ = await read_json(request, max_bytes=MAX_BODY_BYTES)
    model = read_name(asked, "model")
    try:
        await editor(request).put_route(model, asked, new=True)
    except ValidationError as error:
        raise invalid_fields(error) from error
    return _one(request, model, CREATED)


async def index(request: Request) -> Response:
    """List all routes, those of the file first."""
    await operator(request)
    resources: Resources = request.state.resources
    found = resources.catalog.contents.routes.values()
    return answer({"object": "list", "data": [route_view(each, resources) for each in found]})


async def show(request: Request) -> Response:
    """Return one route."""
    await operator(request)
    return _one(request, request.path_params["model"])


async def put(request: Request) -> Response:
    """Store a route whether or not it is there."""
    await operator(request)
    model = request.path_params["model"]
    asked, _ = await read_json(request, max_bytes=MAX_BODY_BYTES)
    check_name(asked, "model", model)
    try:
        is_new = await editor(request).put_route(model, asked, new=False)
    except ValidationError as error:
        raise invalid_fields(error) from error
    return _one(request, model, CREATED if is_new else 200)


async def delete(request: Request) -> Response:
    """Delete a route."""
    await operator(request)
    model = request.path_params["model"]
    await editor(request).remove_route(model)
    return answer({"object": "route.deleted", "model": model, "deleted": True})


def _one(request: Request, model: str, status: int = 200) -> Response:
    resources: Resources = request.state.resources
    found = resources.catalog.contents.routes.get(model)
    if found is None:
        stored = any(each["name"] == model for each in resources.watch.stored.routes)
        raise (stored and unused(resources)) or no_route(model)
    return answer(route_view(found, resources), status)


routes = [
    Route("/v1/routes", create, methods=["POST"]),
    Route("/v1/routes", index, methods=["GET"]),
    Route("/v1/routes/{model:path}", show, methods=["GET"]),
    Route("/v1/routes/{model:path}", put, methods=["PUT"]),
    Route("/v1/routes/{model:path}", delete, methods=["DELETE"]),
]
