"""Mistral's `embeddings`: vectors now."""

from starlette.requests import Request
from starlette.types import ASGIApp

from api.direct.serve import Body, serve
from api.mistral.asked import embeddings_of
from api.mistral.told import embeddings_told
from shared.jobs.endpoints import Endpoint


async def create(request: Request) -> ASGIApp:
    """Store a job, stay for its end, and answer with the vectors."""
    return await serve(
        request,
        Endpoint.EMBEDDINGS,
        adapt=_adapt,
        finish=lambda answer, _asked: embeddings_told(answer),
    )


async def _adapt(_request: Request, _tenant_id: str, body: Body) -> Body:
    return embeddings_of(body)
