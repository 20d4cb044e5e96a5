"""`POST /v1/completions`: a text continued now, whole or in pieces, for an older OpenAI client."""

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from api.direct.call import Call
from api.direct.serve import Body, serve
from api.direct.stream import AnswerStream
from api.openai.completion_events import Texts
from shared.jobs.endpoints import Endpoint


async def create(request: Request) -> ASGIApp:
    """Store a job, stay for its end, and answer with the text."""
    return await serve(request, Endpoint.COMPLETIONS, streamed=_streamed)


def _streamed(call: Call, body: Body) -> ASGIApp:
    options = body.get("stream_options")
    asked = isinstance(options, dict) and options.get("include_usage") is True
    head = {
        "id": f"cmpl-{call.job_id.removeprefix('job_')}",
        "created": call.job["created_at"] // 1000,
        "model": call.job["model"],
    }
    return AnswerStream(call, Texts(head, include_usage=asked))


routes = [Route("/v1/completions", create, methods=["POST"])]
