"""`POST /v1/chat/completions`: an answer now, whole or in chunks, for an unchanged OpenAI client."""

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from api.openai.call import Call
from api.openai.chat_stream import ChatStream
from api.openai.serve import Body, serve
from shared.jobs.draft import Endpoint


async def create(request: Request) -> ASGIApp:
    """Store a job, stay for its end, and answer in the provider's own words."""
    return await serve(request, Endpoint.CHAT, streamed=_streamed)


def _streamed(call: Call, body: Body) -> ASGIApp:
    options = body.get("stream_options")
    asked = isinstance(options, dict) and options.get("include_usage") is True
    return ChatStream(call, include_usage=asked)


routes = [Route("/v1/chat/completions", create, methods=["POST"])]
