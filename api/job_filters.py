"""The filters of `GET /v1/jobs`: status, endpoint, batch, one tag of the metadata, a span of time."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from starlette.requests import Request

from shared.batches import store as batch_store
from shared.clock import from_datetime
from shared.database import Database
from shared.errors import BadRequest
from shared.jobs.endpoints import Endpoint
from shared.jobs.store import Filters
from shared.jobs.transitions import JobState

CLOCKS_APART_MS = 3_600_000
"""The machine that made a job may go by another clock than the one that made its batch."""
STATUSES = (*JobState, "waiting")
KNOWN = {
    "status",
    "endpoint",
    "batch_id",
    "created_after",
    "created_before",
    "after",
    "limit",
    "order",
}


def read_filters(request: Request) -> Filters:
    """Read the query.

    Raises:
        BadRequest: a filter that is unknown or has a value that it cannot have.
    """
    query = request.query_params
    _refuse_unknown(query.keys())
    status, endpoint = query.get("status"), query.get("endpoint")
    if status is not None and status not in STATUSES:
        detail = f"`status` must be one of {', '.join(STATUSES)}."
        raise BadRequest(detail, param="status")
    if endpoint is not None and endpoint not in set(Endpoint):
        detail = f"`endpoint` must be one of {', '.join(Endpoint)}."
        raise BadRequest(detail, param="endpoint")
    return Filters(
        status=status,
        endpoint=endpoint,
        batch_id=_batch_id(request),
        tag=_tag(request),
        created_after=_moment(request, "created_after"),
        created_before=_moment(request, "created_before"),
    )


async def of_batch(database: Database, tenant_id: str, filters: Filters) -> Filters:
    """Narrow a search for the lines of a batch to the time in which they were made."""
    async with database.looking() as db:
        batch = await batch_store.get(db, tenant_id, str(filters.batch_id))
    if batch is None:
        return filters
    # Or a page of a few old lines would be looked for among a million newer jobs.
    begin, end = batch["created_at"] - CLOCKS_APART_MS, batch["finished_at"]
    until = filters.created_before
    if end is not None:
        until = min(end + CLOCKS_APART_MS, end + CLOCKS_APART_MS if until is None else until)
    return replace(
        filters, created_after=max(begin, filters.created_after or begin), created_before=until
    )


def _batch_id(request: Request) -> str | None:
    batch_id = request.query_params.get("batch_id")
    if batch_id is not None and not batch_id.isprintable():
        detail = "`batch_id` must be the id of a batch."
        raise BadRequest(detail, param="batch_id")
    return batch_id


def _refuse_unknown(names: Iterable[str]) -> None:
    # A misspelt filter that is passed over would return everything.
    for name in names:
        if name not in KNOWN and not _is_tag(name):
            known = f"{', '.join(sorted(KNOWN))}, metadata[key]"
            detail = f"`{name[:64]}` is no filter of this list: it takes {known}."
            raise BadRequest(detail, param=name[:64])


def _is_tag(name: str) -> bool:
    return name.startswith("metadata[") and name.endswith("]")


def _tag(request: Request) -> tuple[str, str] | None:
    tags = [
        (name[len("metadata[") : -1], value)
        for name, value in request.query_params.multi_items()
        if _is_tag(name)
    ]
    if any("\x00" in text for tag in tags for text in tag):
        detail = "The metadata of a job never has NUL characters: filter by another tag."
        raise BadRequest(detail, param="metadata")
    if len(tags) > 1:
        detail = "Filter by one tag of the metadata at a time: metadata[key]=value."
        raise BadRequest(detail, param="metadata")
    return tags[0] if tags else None


def _moment(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        detail = f"`{name}` must be a time such as 2026-01-01T00:00:00Z."
        raise BadRequest(detail, param=name) from error
    return from_datetime(moment, param=name)
