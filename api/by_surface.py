"""One path, several vendors: who answers is decided by whose client asks."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from api.surfaces import Surface, surface_of

Endpoint = Callable[[Request], Awaitable[Any]]


def by_surface(routes: Sequence[Route], others: Mapping[Surface, Sequence[Route]]) -> list[Route]:
    """Return the routes, answered for other vendors' clients by their routes of the same path."""
    return [_shared(each, others) for each in routes]


def _shared(route: Route, others: Mapping[Surface, Sequence[Route]]) -> Route:
    theirs: dict[Surface, Endpoint] = {
        surface: each.endpoint
        for surface, rows in others.items()
        for each in rows
        if each.path == route.path and each.methods == route.methods
    }
    if not theirs:
        return route
    ours: Endpoint = route.endpoint

    async def answer(request: Request) -> Any:
        return await theirs.get(surface_of(request.scope), ours)(request)

    return Route(route.path, answer, methods=[*(route.methods or ())])
