"""`POST /v1/messages` and its token count, for an unchanged Anthropic client."""

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from api.anthropic.events import Events
from api.anthropic.version import check, version_of, with_betas
from api.direct.call import Call
from api.direct.serve import Body, serve
from api.direct.stream import AnswerStream
from shared.jobs.endpoints import Endpoint


async def create(request: Request) -> ASGIApp:
    """Store a job, stay for its end, and answer with a message, whole or as events."""
    return await serve(request, Endpoint.MESSAGES, adapt=_checked, streamed=_streamed)


async def count(request: Request) -> ASGIApp:
    """Answer with the number of tokens that the messages would be."""
    return await serve(request, Endpoint.MESSAGES_COUNT, adapt=_checked)


async def _checked(request: Request, _tenant_id: str, body: Body) -> Body:
    check(version_of(request), body)
    return with_betas(request, body)


def _streamed(call: Call, _body: Body) -> ASGIApp:
    message_id = f"msg_{call.job_id.removeprefix('job_')}"
    return AnswerStream(call, Events(message_id, str(call.job["model"])))


routes = [
    Route("/v1/messages", create, methods=["POST"]),
    Route("/v1/messages/count_tokens", count, methods=["POST"]),
]
