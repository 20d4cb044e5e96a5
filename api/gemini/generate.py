"""Google's `models/{model}:…`: answers, streams, counts and vectors now, for an unchanged Google client."""

from functools import partial

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from api.direct.call import Call
from api.direct.serve import Body, serve
from api.direct.stream import AnswerStream
from api.gemini.chunks import ArrayChunks, EventChunks
from api.gemini.stream import GeminiStream
from shared.jobs.endpoints import Endpoint

VERSIONS = ("/v1beta", "/v1")
"""Google's older clients and REST users say the first, its newer ones the second."""
ALT = "alt"


async def _named(request: Request, _tenant_id: str, body: Body, *, stream: bool = False) -> Body:
    """Return the body with what stands in the path: the model, and whether to stream."""
    rest = {name: value for name, value in body.items() if name not in {"model", "stream"}}
    whole: Body = {"model": request.path_params["model"], **rest}
    return {**whole, "stream": True} if stream else whole


async def generate(request: Request) -> ASGIApp:
    """Answer with a whole `GenerateContentResponse`."""
    return await serve(request, Endpoint.GEMINI, adapt=_named)


async def stream(request: Request) -> ASGIApp:
    """Answer in pieces: server-sent events with `alt=sse`, else one JSON array."""
    streaming = partial(_named, stream=True)
    return await serve(request, Endpoint.GEMINI, adapt=streaming, streamed=_streamed)


async def count(request: Request) -> ASGIApp:
    """Tell how many tokens a request has."""
    return await serve(request, Endpoint.GEMINI_COUNT, adapt=_named)


async def embed(request: Request) -> ASGIApp:
    """Answer with the vector of one text."""
    return await serve(request, Endpoint.GEMINI_EMBED, adapt=_named)


async def embed_many(request: Request) -> ASGIApp:
    """Answer with the vectors of many texts."""
    return await serve(request, Endpoint.GEMINI_EMBED_BATCH, adapt=_named)


def _streamed(call: Call, _body: Body) -> ASGIApp:
    as_events = call.request.query_params.get(ALT) == "sse"
    framing = EventChunks() if as_events else ArrayChunks()
    return GeminiStream(AnswerStream(call, framing), framing)


ACTS = {
    "generateContent": generate,
    "streamGenerateContent": stream,
    "countTokens": count,
    "embedContent": embed,
    "batchEmbedContents": embed_many,
}
"""What can be done with a model: the name behind the colon."""

routes = [
    Route(f"{version}/models/{{model:path}}:{act}", endpoint, methods=["POST"])
    for version in VERSIONS
    for act, endpoint in ACTS.items()
]
