"""`GET /v1/jobs/{id}/events`: a job's story as server-sent events, and tokens for pages to read it."""

from dataclasses import dataclass

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.errors import problem_response
from api.events.follower import Follower, Pace
from api.events.followers import Followers
from api.events.place import is_end, parse_place
from api.events.response import EventResponse
from api.events.story import Story
from api.events.tokens import FRESH_MS, EventToken, read_token, write_token
from api.job_replies import load
from shared.auth import store as key_store
from shared.auth.permissions import Permission, Principal
from shared.clock import now_ms, rfc3339
from shared.errors import PenstockError, Unauthenticated
from shared.resources import Resources

NO_CONTENT = 204
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
"""A token is in the URL, so that no browser adds it by itself: any page may use it that has it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose job it is, and with whose key it is followed."""

    tenant_id: str
    key_id: str


async def events(request: Request) -> Response:
    """Stream a job's events from where the client stands to the end of the job."""
    if "token" not in request.query_params:
        who = await principal(request, Permission.JOBS_READ)
        return await _stream(request, Caller(who.tenant_id, who.key_id), {})
    try:
        job_id = request.path_params["job_id"]
        return await _stream(request, await bearer_of_token(request, job_id), ANY_ORIGIN)
    except PenstockError as error:
        return problem_response(error, request.scope, ANY_ORIGIN)


async def create_token(request: Request) -> Response:
    """Make a token that opens the events of this one job to a page."""
    who = await principal(request, Permission.JOBS_READ)
    full = await load(request, who.tenant_id, request.path_params["job_id"])
    return token_response(request, who, full.job["id"], f"/v1/jobs/{full.job['id']}/events")


def token_response(request: Request, who: Principal, told_of: str, path: str) -> Response:
    """Answer with a token that opens the events of one job or batch, which are at `path`."""
    resources: Resources = request.state.resources
    expires_at = now_ms() + FRESH_MS
    said = EventToken(who.tenant_id, who.key_id, told_of, expires_at)
    token = write_token(resources.secret_key, said)
    body = {
        "object": "event_token",
        "token": token,
        "expires_at": rfc3339(expires_at),
        "url": f"{path}?token={token}",
    }
    return Response(
        orjson.dumps(body), headers={"Cache-Control": "no-store"}, media_type="application/json"
    )


async def _stream(request: Request, caller: Caller, headers: dict[str, str]) -> Response:
    full = await load(request, caller.tenant_id, request.path_params["job_id"])
    said = last_event_id(request)
    place = parse_place(full.job["id"], said)
    if place is not None and is_end(place, full.job):
        # The one answer after which a browser's EventSource does not come back.
        return Response(status_code=NO_CONTENT, headers=headers)
    if request.method == "HEAD":
        return Response(media_type=EventResponse.media_type, headers=headers)
    settings = request.state.resources.settings
    followers: Followers = request.state.followers
    story = Story(followers.sources, full, place, lost=bool(said) and place is None)
    follower = Follower(story, Pace(settings.sse_ping_s, settings.sse_life_s))
    response = EventResponse(
        follower,
        follower.blocks(request.state.waiting),
        send_timeout_s=settings.sse_send_timeout_s,
        headers=headers,
    )
    followers.admit(response, caller.key_id)
    return response


def last_event_id(request: Request) -> str:
    """Return where the client says that it stands, empty for nowhere."""
    # A browser that reconnects repeats the URL it was given: what it saw since is in the header.
    header = request.headers.get("last-event-id")
    return header or request.query_params.get("last_event_id", "")


async def bearer_of_token(request: Request, told_of: str) -> Caller:
    """Return who made the token in the URL, which is for the events of this one job or batch.

    Raises:
        Unauthenticated: it is none of ours, for something else or too old, or its key is revoked.
    """
    resources: Resources = request.state.resources
    token = read_token(
        resources.secret_key,
        request.query_params["token"],
        job_id=told_of,
        resumes=parse_place(told_of, last_event_id(request)) is not None,
        now_ms=now_ms(),
    )
    structlog.contextvars.bind_contextvars(tenant_id=token.tenant_id)
    async with resources.database.looking() as db:
        key = await key_store.get(db, token.tenant_id, token.key_id)
    now = now_ms()
    if key is None or key.revoked_at is not None or (key.expires_at or now + 1) <= now:
        detail = "The key that made this event token does not work any more."
        raise Unauthenticated(detail, code="invalid_event_token")
    return Caller(token.tenant_id, token.key_id)


routes = [
    Route("/v1/jobs/{job_id}/events", events, methods=["GET"]),
    Route("/v1/jobs/{job_id}/events/token", create_token, methods=["POST"]),
]
