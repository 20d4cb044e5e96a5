"""`GET /v1/config`: which configuration this process works with, and what was wrong with a newer one."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.admin.access import operator
from api.admin.deployments import answer
from shared.clock import rfc3339
from shared.resources import Resources


async def show(request: Request) -> Response:
    """Return where the configuration comes from, and whether what was found last is in use."""
    await operator(request)
    resources: Resources = request.state.resources
    status, contents = resources.catalog.status, resources.catalog.contents
    problems = [
        {"line": each.line, "field": each.field, "message": each.message}
        for each in status.problems
    ]
    told = {
        "object": "config",
        "valid": not problems,
        "errors": problems,
        "revision": status.revision,
        "file": {"path": str(resources.settings.config), "sha256": status.digest or None},
        "loaded_at": rfc3339(status.loaded_at),
        "deployments": len(contents.deployments),
        "routes": len(contents.routes),
    }
    return answer(told)


routes = [Route("/v1/config", show, methods=["GET"])]
