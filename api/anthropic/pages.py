"""Lists in Anthropic's shape: pages behind or before any element."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from api.pagination import whole_number
from shared.errors import BadRequest

DEFAULT_LIMIT, MAX_LIMIT = 20, 1000
# `beta=true` is what the clients' beta calls add to every path.
_KNOWN = ("after_id", "before_id", "beta", "limit")


@dataclass(frozen=True, slots=True)
class Span:
    """At most `limit` elements behind `after_id`, or the last ones before `before_id`."""

    after_id: str | None
    before_id: str | None
    limit: int


def read_span(request: Request) -> Span:
    """Read `after_id`, `before_id` and `limit` from the query.

    Raises:
        BadRequest: one of them is not what it should be, or both places were given.
    """
    query = request.query_params
    for name in query:
        if name not in _KNOWN:
            detail = f"`{name[:64]}` is not known here: the list takes `after_id`, `before_id` and `limit`."
            raise BadRequest(detail, param=name[:64])
    span = Span(query.get("after_id"), query.get("before_id"), _limit(query))
    if span.after_id is not None and span.before_id is not None:
        detail = "Give `after_id` or `before_id`, not both."
        raise BadRequest(detail, param="before_id")
    return span


def page(shown: Sequence[Mapping[str, Any]], *, more: bool) -> dict[str, Any]:
    """Return a list object; `more` tells of elements beyond, in the direction that was asked for."""
    return {
        "data": shown,
        "has_more": more,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
    }


def unknown_place(name: str) -> BadRequest:
    """Return the refusal of an id that stands for no place in the list."""
    detail = f"`{name}` must be the id of an element of this list."
    return BadRequest(detail, param=name, code="invalid_cursor")


def _limit(query: Mapping[str, str]) -> int:
    if limit := whole_number(query.get("limit", str(DEFAULT_LIMIT)), most=MAX_LIMIT):
        return limit
    detail = f"`limit` must be a whole number from 1 to {MAX_LIMIT}."
    raise BadRequest(detail, param="limit")
