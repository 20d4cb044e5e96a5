"""`GET /v1/batches/{id}/results`: the ended lines as NDJSON, while the batch runs and after."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api.auth import principal
from api.batches.loading import load_batch
from api.pagination import whole_number
from shared.auth.permissions import Permission
from shared.batches.outcomes import Outcomes
from shared.batches.results import stream_line
from shared.errors import BadRequest, Gone
from shared.resources import Resources

NDJSON = "application/x-ndjson"
MOST = 2**53
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


async def results(request: Request) -> Response:
    """Stream what has ended behind a number, in the order in which it did.

    The numbers only grow: who asks again behind the last one gets what ended since, and once the
    batch has ended and nothing more comes, has it all.
    """
    who = await principal(request, Permission.JOBS_READ)
    after, limit = _span(request)
    batch = await load_batch(request, who.tenant_id)
    if batch["purged_at"] is not None:
        raise _purged(batch["id"])
    if request.method == "HEAD":
        return Response(headers=_HEADERS, media_type=NDJSON)
    resources: Resources = request.state.resources
    outcomes = Outcomes(
        resources.database,
        resources.blobs,
        batch["id"],
        stream_line,
        # What ends from now on is for the next request: this one comes to an end.
        until=batch["outcomes"],
    )
    pieces = outcomes.read(after=after, limit=limit)
    # A database that is away must be found out before the head of the response is sent.
    first = await anext(pieces, b"")
    return StreamingResponse(_joined(first, pieces), headers=_HEADERS, media_type=NDJSON)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _span(request: Request) -> tuple[int, int | None]:
    query = request.query_params
    # A misspelt parameter that is passed over would return everything.
    if unknown := [name for name in query if name not in {"after", "limit"}]:
        detail = f"`{unknown[0][:64]}` is not known here: it takes `after` and `limit`."
        raise BadRequest(detail, param=unknown[0][:64])
    after = whole_number(query.get("after", "0"), most=MOST)
    if after is None:
        detail = "`after` must be the `number` of the last line that was read, or 0."
        raise BadRequest(detail, param="after")
    if "limit" not in query:
        return after, None
    limit = whole_number(query["limit"], most=MOST)
    if not limit:
        raise BadRequest("`limit` must be a whole number from 1.", param="limit")
    return after, limit


def _purged(batch_id: str) -> Gone:
    detail = (
        f"The results of the batch `{batch_id}` are gone: it was deleted, or their time was over."
    )
    return Gone(detail, code="batch_purged", param="batch_id")


routes = [Route("/v1/batches/{batch_id}/results", results, methods=["GET"])]
