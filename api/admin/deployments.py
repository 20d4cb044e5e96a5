"""`/v1/deployments`: where models are reached, with which keys, and how that is going."""

from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.admin.access import operator
from api.admin.views import deployment_view, states_of
from api.body import read_json
from api.errors import invalid_fields
from shared.errors import BadRequest, Conflict
from shared.resources import Resources
from shared.routing.editing import Editor, no_deployment
from shared.routing.model import Deployment

CREATED = 201
MAX_BODY_BYTES = 1024 * 1024


async def create(request: Request) -> Response:
    """Add a deployment; its keys are sealed, and shown to nobody again."""
    await operator(request)
    asked, _ = await read_json(request, max_bytes=MAX_BODY_BYTES)
    name = read_name(asked, "name")
    try:
        await editor(request).put_deployment(name, asked, new=True)
    except ValidationError as error:
        raise invalid_fields(error) from error
    return await _one(request, name, CREATED)


async def index(request: Request) -> Response:
    """List all deployments, those of the file first."""
    await operator(request)
    resources: Resources = request.state.resources
    found = resources.catalog.contents.deployments.values()
    states = await states_of(resources, found)
    data = [deployment_view(each, states, resources) for each in found]
    return answer({"object": "list", "data": data})


async def show(request: Request) -> Response:
    """Return one deployment."""
    await operator(request)
    return await _one(request, request.path_params["name"])


async def put(request: Request) -> Response:
    """Store a deployment whether or not it is there; keys and headers that are not given stay."""
    await operator(request)
    name = request.path_params["name"]
    asked, _ = await read_json(request, max_bytes=MAX_BODY_BYTES)
    check_name(asked, "name", name)
    try:
        is_new = await editor(request).put_deployment(name, asked, new=False)
    except ValidationError as error:
        raise invalid_fields(error) from error
    return await _one(request, name, CREATED if is_new else 200)


async def delete(request: Request) -> Response:
    """Delete a deployment that no route names; calls under way are finished."""
    await operator(request)
    name = request.path_params["name"]
    await editor(request).remove_deployment(name)
    return answer({"object": "deployment.deleted", "name": name, "deleted": True})


def editor(request: Request) -> Editor:
    """Return what changes the stored configuration."""
    resources: Resources = request.state.resources
    return Editor(resources.database, resources.watch, resources.secret_key)


def read_name(asked: dict[str, Any], field: str) -> str:
    """Return the name that a body gives a new thing.

    Raises:
        BadRequest: it gives none.
    """
    name = asked.get(field)
    if not isinstance(name, str) or not name:
        code = "invalid_field" if field in asked else "missing_field"
        detail = f"`{field}` is missing: give it as a text."
        raise BadRequest(detail, param=field, code=code)
    return name


def check_name(asked: dict[str, Any], field: str, name: str) -> None:
    """Refuse a body that names something else than its path does.

    Raises:
        BadRequest: it does.
    """
    if asked.get(field, name) != name:
        detail = f"`{field}` is another one than in the path: a name cannot be changed."
        raise BadRequest(detail, param=field)


def unused(resources: Resources) -> Conflict | None:
    """Return the error that what is stored is not in use, because of something else that is wrong."""
    problems = resources.catalog.status.problems
    if not problems:
        return None
    detail = f"What is stored is not in use: {problems[0]}. See GET /v1/config."
    return Conflict(detail, code="config_refused")


def answer(value: Any, status: int = 200) -> Response:
    """Return JSON that nobody keeps."""
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(value), status, headers, "application/json")


async def _one(request: Request, name: str, status: int = 200) -> Response:
    resources: Resources = request.state.resources
    found: Deployment | None = resources.catalog.contents.deployments.get(name)
    if found is None:
        stored = any(each["name"] == name for each in resources.watch.stored.deployments)
        raise (stored and unused(resources)) or no_deployment(name)
    states = await states_of(resources, [found])
    return answer(deployment_view(found, states, resources), status)


routes = [
    Route("/v1/deployments", create, methods=["POST"]),
    Route("/v1/deployments", index, methods=["GET"]),
    Route("/v1/deployments/{name:path}", show, methods=["GET"]),
    Route("/v1/deployments/{name:path}", put, methods=["PUT"]),
    Route("/v1/deployments/{name:path}", delete, methods=["DELETE"]),
]
