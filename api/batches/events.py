"""`GET /v1/batches/{id}/events`: progress and the end of a batch as server-sent events."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import principal
from api.batches.loading import load_batch
from api.batches.story import BatchStory
from api.errors import problem_response
from api.events.follower import Follower, Pace
from api.events.followers import Followers
from api.events.place import Place, parse_place
from api.events.response import EventResponse
from api.job_events import (
    ANY_ORIGIN,
    NO_CONTENT,
    Caller,
    bearer_of_token,
    last_event_id,
    token_response,
)
from shared.auth.permissions import Permission
from shared.batches import event_store
from shared.database import Row
from shared.errors import PenstockError


async def events(request: Request) -> Response:
    """Stream what is told of a batch from where the client stands to the batch's end."""
    if "token" not in request.query_params:
        who = await principal(request, Permission.JOBS_READ)
        return await _stream(request, Caller(who.tenant_id, who.key_id), {})
    try:
        caller = await bearer_of_token(request, request.path_params["batch_id"])
        return await _stream(request, caller, ANY_ORIGIN)
    except PenstockError as error:
        return problem_response(error, request.scope, ANY_ORIGIN)


async def create_token(request: Request) -> Response:
    """Make a token that opens the events of this one batch to a page."""
    who = await principal(request, Permission.JOBS_READ)
    batch_id = (await load_batch(request, who.tenant_id))["id"]
    return token_response(request, who, batch_id, f"/v1/batches/{batch_id}/events")


async def _stream(request: Request, caller: Caller, headers: dict[str, str]) -> Response:
    batch = await load_batch(request, caller.tenant_id)
    said = last_event_id(request)
    place = parse_place(batch["id"], said)
    if place is not None and await _is_end(request, place, batch):
        # The one answer after which a browser's EventSource does not come back.
        return Response(status_code=NO_CONTENT, headers=headers)
    if request.method == "HEAD":
        return Response(media_type=EventResponse.media_type, headers=headers)
    settings = request.state.resources.settings
    followers: Followers = request.state.followers
    story = BatchStory(
        request.state.resources.database,
        followers.metrics,
        batch,
        place,
        lost=bool(said) and place is None,
    )
    follower = Follower(story, Pace(settings.sse_ping_s, settings.sse_life_s))
    response = EventResponse(
        follower,
        follower.blocks(request.state.waiting),
        send_timeout_s=settings.sse_send_timeout_s,
        headers=headers,
    )
    followers.admit(response, caller.key_id)
    return response


async def _is_end(request: Request, place: Place, batch: Row) -> bool:
    if batch["finished_at"] is None or place.delta or place.number > batch["version"]:
        return False
    async with request.state.resources.database.looking() as db:
        last = await event_store.last_of(db, batch["id"])
    return last is None or place.number >= last["number"]


routes = [
    Route("/v1/batches/{batch_id}/events", events, methods=["GET"]),
    Route("/v1/batches/{batch_id}/events/token", create_token, methods=["POST"]),
]
