"""What the endpoints that are called directly have in common: store, wait, answer."""

from collections.abc import Awaitable, Callable

from pydantic import JsonValue
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from api.auth import principal
from api.body import read_json
from api.direct.aside import aside
from api.direct.call import Call, failure_response, open_call
from api.direct.late import explained
from api.direct.vigil import NoAnswerYet, vigil
from api.drafts import Direct
from api.job_replies import ACCEPTED, job_reply, load, result_bytes
from api.jobs import submit
from api.prefer import preference
from shared.auth.permissions import Permission
from shared.jobs.endpoints import Endpoint
from shared.jobs.failures import failure_of
from shared.jobs.options import JobOptions
from shared.jobs.reader import FullJob

Body = dict[str, JsonValue]
Adapt = Callable[[Request, str, Body], Awaitable[Body]]
Finish = Callable[[bytes, Body], bytes]
Aside = Callable[[Request, str, Body], Awaitable[ASGIApp | None]]


async def serve(
    request: Request,
    endpoint: Endpoint,
    *,
    adapt: Adapt | None = None,
    streamed: Callable[[Call, Body], ASGIApp] | None = None,
    finish: Finish = lambda answer, _asked: answer,
    aside: Aside | None = None,
) -> ASGIApp:
    """Answer with what the provider says, as if it were asked without us.

    `adapt` makes of the body (and the path, and what the tenant has stored) what becomes the job's;
    `streamed` answers those who want a stream; `finish` has the last word on a whole answer.
    `aside` answers by itself those who are not to be waited for here, and None to all others.
    `Prefer: respond-async` is answered as `POST /v1/jobs` is.
    """
    who = await principal(request, Permission.JOBS_WRITE)
    resources = request.state.resources
    body, _ = await read_json(request, max_bytes=resources.settings.max_body_bytes)
    if adapt is not None:
        body = await adapt(request, who.tenant_id, body)
    if aside is not None and (answer := await aside(request, who.tenant_id, body)) is not None:
        return answer
    prefer = preference(request)
    streams = streamed is not None and body.get("stream") is True
    if prefer.respond_async and (streams or not prefer.wait_s):
        options = JobOptions()
        return await submit(request, who.tenant_id, endpoint, body, options, direct=Direct())
    stay_s = prefer.wait_s if prefer.respond_async else None
    call = await open_call(request, who.tenant_id, endpoint, body, stay_s=stay_s)
    if streamed is not None and streams:
        return streamed(call, body)
    applied = {"Preference-Applied": prefer.applied or ""} if stay_s else {}
    try:
        full = await _ended(call)
    except NoAnswerYet as late:
        if stay_s is None:
            return failure_response(call, late)
        return await _accepted(call, applied)
    return await _answer(call, full, body, finish, applied)


async def _ended(call: Call) -> FullJob:
    try:
        with vigil(call, call.request.receive) as kept:
            while True:
                if (kept.due or kept.missed()) and (full := await kept.look()) is not None:
                    return full
                await kept.news()
    except ClientDisconnect:
        call.abandon()
        raise
    except NoAnswerYet as late:
        # As long as the job is what it was waited for.
        told = await explained(call, late)
        call.abandon()
        raise told from late


async def _answer(
    call: Call, full: FullJob, asked: Body, finish: Finish, headers: dict[str, str]
) -> Response:
    raw = await result_bytes(full, call.request.state.resources)
    failure = failure_of(full.job, raw)
    if failure is not None:
        return failure_response(call, failure, headers)
    status = full.result["status_code"] if full.result else 200
    more = {**headers, **call.headers(), **aside(full)}
    return Response(finish(raw, asked), status, more, "application/json")


async def _accepted(call: Call, headers: dict[str, str]) -> Response:
    full = await load(call.request, call.tenant_id, call.job_id)
    more = {**headers, **call.headers(), "Location": f"/v1/jobs/{call.job_id}"}
    return await job_reply(call.request, full, status=ACCEPTED, headers=more)
