"""Google's pages: `pageSize` and an opaque `pageToken`."""

import base64
import binascii
from collections.abc import Sequence

from starlette.requests import Request

from api.pagination import whole_number
from shared.errors import BadRequest

SIZE, TOKEN = "pageSize", "pageToken"


def page_size(request: Request, *, default: int, most: int) -> int:
    """Return how many to show at most: what is asked for, within what is possible.

    Raises:
        BadRequest: it is no number.
    """
    asked = request.query_params.get(SIZE)
    if asked is None:
        return default
    size = whole_number(asked, most=2**31)
    if size is None:
        detail = f"`{SIZE}` must be a whole number from 0 to {most}."
        raise BadRequest(detail, param=SIZE)
    # Google's own does not refuse what is too much either.
    return min(size or default, most)


def token_of(name: str) -> str:
    """Return the token of the page behind what has this name."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def name_of(request: Request) -> str | None:
    """Return the name behind which the page begins, None for the first page.

    Raises:
        BadRequest: it is no token of ours.
    """
    token = request.query_params.get(TOKEN)
    if not token:
        return None
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise bad_token() from error


def bad_token() -> BadRequest:
    """Return the refusal of a token."""
    detail = f"`{TOKEN}` is none that this list gave: begin again without it."
    return BadRequest(detail, param=TOKEN)


def page_of(
    request: Request, names: Sequence[str], *, default: int, most: int
) -> tuple[Sequence[str], str | None]:
    """Return a page of a list that is all there, and the token of the next.

    Raises:
        BadRequest: what is asked for is no page of it.
    """
    size, behind = page_size(request, default=default, most=most), name_of(request)
    if behind is not None and behind not in names:
        raise bad_token()
    begin = 0 if behind is None else names.index(behind) + 1
    shown = names[begin : begin + size]
    more = begin + size < len(names)
    return shown, token_of(shown[-1]) if more else None
