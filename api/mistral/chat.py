"""Mistral's `chat/completions`: an answer now, whole or in chunks, for an unchanged Mistral client."""

from starlette.requests import Request
from starlette.types import ASGIApp

from api.direct.call import Call
from api.direct.serve import Body, serve
from api.direct.stream import AnswerStream
from api.mistral.asked import chat_of
from api.mistral.chunks import MistralChunks
from api.mistral.told import chat_told
from shared.jobs.endpoints import Endpoint


async def create(request: Request) -> ASGIApp:
    """Store a job, stay for its end, and answer."""
    return await serve(
        request,
        Endpoint.CHAT,
        adapt=_adapt,
        streamed=_streamed,
        finish=lambda answer, _asked: chat_told(answer),
    )


async def _adapt(_request: Request, _tenant_id: str, body: Body) -> Body:
    return chat_of(body)


def _streamed(call: Call, _body: Body) -> ASGIApp:
    head = {
        "id": f"chatcmpl-{call.job_id.removeprefix('job_')}",
        "created": call.job["created_at"] // 1000,
        "model": call.job["model"],
    }
    return AnswerStream(call, MistralChunks(head))
