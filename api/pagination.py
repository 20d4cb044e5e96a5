"""Lists in OpenAI's shape: pages in order of (created_at, id) that go on behind any element."""

import re
from base64 import b32hexdecode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping
from starlette.requests import Request

from shared.errors import BadRequest

Position = tuple[int, str]
DEFAULT_LIMIT, MAX_LIMIT = 20, 100
_CURSOR = re.compile(r"c_([0-9a-z]{1,13})_([A-Za-z0-9_-]{1,64})")
_ID = re.compile(r"[a-z]+[_-]([0-9a-v]{26})")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: at most `limit` elements behind `after`."""

    after: Position | None
    limit: int
    ascending: bool


def read_page(
    request: Request,
    *,
    default_limit: int = DEFAULT_LIMIT,
    max_limit: int = MAX_LIMIT,
    timed_ids: bool = False,
) -> Page:
    """Read `after`, `limit` and `order` from the query.

    `after` is a cursor of `list_page`. With `timed_ids` it may also be an element's id: only for
    lists whose `created_at` is the very moment that the id begins with. Then a list goes on
    behind an element that was deleted in the meantime.

    Raises:
        BadRequest: one of them is not what it should be.
    """
    text = request.query_params.get("after")
    after = None
    if text is not None:
        after = _from_cursor(text) or (_from_id(text) if timed_ids else None)
        if after is None:
            raise _unknown_after()
    return Page(after, _limit(request, default_limit, max_limit), _ascending(request))


async def find_page(
    request: Request,
    find: Callable[[str], Awaitable[Position | None]],
    *,
    default_limit: int = DEFAULT_LIMIT,
    max_limit: int = MAX_LIMIT,
) -> Page:
    """Read the query like `read_page`; an id in `after` is looked up with `find`.

    Raises:
        BadRequest: one of them is not what it should be, or the tenant has no such element.
    """
    text = request.query_params.get("after")
    after = None
    if text is not None:
        known = text.isascii() and text.isprintable()
        after = _from_cursor(text) or (await find(text) if known else None)
        if after is None:
            raise _unknown_after()
    return Page(after, _limit(request, default_limit, max_limit), _ascending(request))


def list_page(
    rows: Sequence[Mapping[str, Any] | RowMapping], shown: Sequence[Mapping[str, Any]], page: Page
) -> dict[str, Any]:
    """Return the list object.

    `rows` are what the store returned for `page.limit + 1`; `shown` are the public forms of the
    first `page.limit` of them. `next_after` is the cursor of the next page, null behind the last.
    """
    more = len(rows) > page.limit
    last = rows[page.limit - 1] if more else None
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": more,
        "next_after": cursor(last["created_at"], last["id"]) if last is not None else None,
    }


def cursor(created_at: int, identifier: str) -> str:
    """Return the mark of a place in a list; it only ever narrows what the tenant may see anyway."""
    return f"c_{created_at:x}_{identifier}"


def moment_of(identifier: str) -> int | None:
    """Return the milliseconds since the epoch that an id of `shared.ids` begins with, if it is one."""
    found = _ID.fullmatch(identifier)
    if found is None:
        return None
    return int.from_bytes(b32hexdecode(found[1].upper() + "======")[:6])


def whole_number(text: str, *, most: int) -> int | None:
    """Return the number from 0 to `most` that is written in plain digits, None if none is."""
    plain = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    return int(text) if plain and int(text) <= most else None


def _from_cursor(text: str) -> Position | None:
    found = _CURSOR.fullmatch(text)
    if found is None:
        return None
    try:
        created_at = int(found[1], 16)
    except ValueError:
        return None
    return (created_at, found[2]) if created_at < 1 << 52 else None


def _from_id(text: str) -> Position | None:
    moment = moment_of(text)
    return None if moment is None else (moment, text)


def _limit(request: Request, default: int, most: int) -> int:
    text = request.query_params.get("limit", str(default))
    if limit := whole_number(text, most=most):
        return limit
    detail = f"`limit` must be a whole number from 1 to {most}."
    raise BadRequest(detail, param="limit")


def _ascending(request: Request) -> bool:
    order = request.query_params.get("order", "desc")
    if order not in {"asc", "desc"}:
        detail = "`order` must be `asc` (oldest first) or `desc` (newest first)."
        raise BadRequest(detail, param="order")
    return order == "asc"


def _unknown_after() -> BadRequest:
    detail = "`after` must be the `next_after` or the id of the last element of the page before."
    return BadRequest(detail, param="after", code="invalid_cursor")
