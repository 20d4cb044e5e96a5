"""`POST /v1/responses`: an answer now, whole or as events, or in the background; and its token count."""

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from api.direct.call import Call, open_call
from api.direct.serve import Body, serve
from api.direct.stream import AnswerStream
from api.drafts import Direct, draft_job
from api.jobs import store_draft
from api.openai.responses.conversation import continued
from api.openai.responses.events import ResponseEvents
from api.openai.responses.stored import (
    StoredResponse,
    load_response,
    stamped,
    unanswered,
    whole_response,
)
from shared.clock import now_ms
from shared.database import Row
from shared.dialects.responses.resource import response_id
from shared.jobs.endpoints import Endpoint
from shared.jobs.options import JobOptions
from shared.jobs.reader import FullJob
from shared.resources import Resources


async def create(request: Request) -> ASGIApp:
    """Store a job, and stay for its end unless it is to run in the background."""
    return await serve(
        request,
        Endpoint.RESPONSES,
        adapt=continued,
        streamed=_streamed,
        finish=_finished,
        aside=_in_background,
    )


async def count(request: Request) -> ASGIApp:
    """Answer with the number of tokens that the input would be."""
    return await serve(request, Endpoint.RESPONSES_COUNT, adapt=continued)


def _streamed(call: Call, body: Body) -> ASGIApp:
    return AnswerStream(call, ResponseEvents(_stored(call.job, body)))


def _finished(answer: bytes, _asked: Body) -> bytes:
    return orjson.dumps(stamped(orjson.loads(answer), now_ms() // 1000))


async def _in_background(request: Request, tenant_id: str, body: Body) -> ASGIApp | None:
    if body.get("background") is not True:
        return None
    if body.get("stream") is True:
        return await _followed(request, tenant_id, body)
    draft = await draft_job(
        request, tenant_id, Endpoint.RESPONSES, body, JobOptions(), direct=Direct()
    )
    submission = await store_draft(request, draft)
    job = submission.job
    headers = {"Penstock-Job-Id": job["id"]}
    shown = unanswered(_stored(job, body), "queued")
    if submission.replayed:
        headers["Idempotent-Replayed"] = "true"
        stored = await load_response(request, tenant_id, response_id(job["id"]))
        shown = await whole_response(stored, request.state.resources)
    return Response(orjson.dumps(shown), 200, headers, "application/json")


async def _followed(request: Request, tenant_id: str, body: Body) -> ASGIApp:
    resources: Resources = request.state.resources
    life_s = resources.settings.default_lifetime_s
    call = await open_call(request, tenant_id, Endpoint.RESPONSES, body, stay_s=life_s)
    return AnswerStream(call, ResponseEvents(_stored(call.job, body)), at_once=True)


def _stored(job: Row, body: Body) -> StoredResponse:
    return StoredResponse(FullJob(job, (), None), body)


routes = [
    Route("/v1/responses", create, methods=["POST"]),
    Route("/v1/responses/input_tokens", count, methods=["POST"]),
]
