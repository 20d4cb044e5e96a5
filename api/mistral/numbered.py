"""Mistral's lists: pages by number, and no filter passed over in silence."""

from collections.abc import Collection
from dataclasses import dataclass

from starlette.requests import Request

from api.pagination import whole_number
from shared.errors import BadRequest

DEFAULT_SIZE, MOST = 100, 1000
LAST = 1_000_000


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """Which page, counted from 0, of how many elements."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        """How many stand before it."""
        return self.number * self.size


def read_numbered(request: Request) -> NumberedPage:
    """Read `page` and `page_size`.

    Raises:
        BadRequest: one of them is no such number.
    """
    return NumberedPage(
        _number(request, "page", 0, least=0, most=LAST),
        _number(request, "page_size", DEFAULT_SIZE, least=1, most=MOST),
    )


def refuse_filters(request: Request, known: Collection[str]) -> None:
    """Refuse a filter that the list does not have: passed over, it would return everything.

    Raises:
        BadRequest: it names the filter.
    """
    for name in request.query_params:
        if name not in known:
            detail = f"`{name[:64]}` is no filter of this list here: it takes {', '.join(sorted(known))}."
            raise BadRequest(detail, param=name[:64])


def _number(request: Request, name: str, otherwise: int, *, least: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return otherwise
    number = whole_number(text, most=most)
    if number is None or number < least:
        detail = f"`{name}` must be a whole number from {least} to {most}."
        raise BadRequest(detail, param=name)
    return number
