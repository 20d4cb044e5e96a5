"""`POST /v1/chat/completions`: an answer now, whole or in chunks, for an unchanged OpenAI client."""

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from api.direct.call import Call
from api.direct.serve import Body, serve
from api.direct.stream import AnswerStream
from api.openai.chat_chunks import Chunks
from shared.jobs.endpoints import Endpoint


async def create(request: Request) -> ASGIApp:
    """Store a job, stay for its end, and answer in the provider's own words."""
    return await serve(request, Endpoint.CHAT, streamed=_streamed)


def _streamed(call: Call, body: Body) -> ASGIApp:
    options = body.get("stream_options")
    asked = isinstance(options, dict) and options.get("include_usage") is True
    head = {
        "id": f"chatcmpl-{call.job_id.removeprefix('job_')}",
        "created": call.job["created_at"] // 1000,
        "model": call.job["model"],
    }
    return AnswerStream(call, Chunks(head, include_usage=asked))


routes = [Route("/v1/chat/completions", create, methods=["POST"])]
