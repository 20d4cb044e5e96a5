"""The map: every path of the API, from the module that answers it. Read this first."""

from starlette.routing import BaseRoute

from api import documents, files, health, jobs, keys, openapi

routes: list[BaseRoute] = [
    *jobs.routes,
    *documents.routes,
    *files.routes,
    *keys.routes,
    *health.routes,
    *openapi.routes,
]
