"""Cutting the elements of one list out of a JSON body while it arrives; pure.

However long the body is, no more is held than the piece at hand, the element that it breaks off in
and the frame round them all.
"""

import re
from collections.abc import Collection, Iterator

import orjson

from shared.errors import BadRequest, TooLarge

Place = tuple[str, ...]
"""The names that lead to a list, from the outermost object on."""
MOST_BRACKETS = 1_000_000
"""Of an element: each value has two at the most, and no body may have more than half a million."""
_QUOTE, _BACKSLASH = 0x22, 0x5C
_OPENING, _LIST = b"{[", 0x5B
_REST_OF_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
# All up to the next bracket, with the whole strings in between.
_UP_TO_MARK = re.compile(rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+', re.DOTALL)
_NAME = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")\s*:\s*\Z', re.DOTALL)
_BETWEEN = b" \t\r\n,"
_EACH = b"0"


class BodyCutter:
    """Takes a body piece by piece; `count` is how many elements were cut off so far."""

    def __init__(self, places: Collection[Place], *, longest: int, most_frame: int) -> None:
        """Begin; `places` is where the list may be, the limits are in bytes.

        `longest` is how long an element may be, `most_frame` what may stand round all of them.
        """
        self.count = 0
        self._places = places
        self._longest = longest
        self._most_frame = most_frame
        self._in_string = False
        self._begun = b""
        self._element: bytearray | None = None
        # How many brackets are open in the element, and how many it had so far.
        self._inside = 0
        self._brackets = 0
        # All that is outside of the elements; each of them is a zero in it.
        self._frame = bytearray()
        # The names of the containers that are open in the frame; and, in the list, where its text
        # since the last element begins.
        self._open: list[str | None] = []
        self._between: int | None = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the elements that end in a piece.

        Raises:
            BadRequest: too much stands round the elements.
            TooLarge: an element is longer than it may be.
        """
        piece = self._begun + piece
        self._begun = b""
        taken = at = 0
        while (at := self._next(piece, at)) < len(piece):
            mark, opens = piece[at], piece[at] in _OPENING
            if self._element is None:
                self._keep(piece[taken:at])
                taken = at
                yield from self._begin(mark) if opens else self._leave()
            at += 1
            if self._element is None:
                continue
            self._inside += 1 if opens else -1
            self._brackets += 1
            if not self._inside:
                self._keep(piece[taken:at])
                taken = at
                yield self._cut_off()
        self._keep(piece[taken : len(piece) - len(self._begun)])

    def finish(self) -> bytes:
        """Return what stood round the elements: JSON if the whole was, with a zero for each of them.

        What is in the list and is neither an object nor a list was cut off too, but stays in there.
        """
        return bytes(self._frame + self._begun)

    def _next(self, piece: bytes, at: int) -> int:
        """Return the place of the next bracket, the piece's length if there is none."""
        while True:
            if self._in_string:
                inside = _REST_OF_STRING.match(piece, at)
                at = at if inside is None else inside.end()
                if at < len(piece) and piece[at] == _BACKSLASH:
                    # What it escapes is in the next piece.
                    self._begun = piece[at:]
                    return len(piece)
                if at == len(piece):
                    return at
                self._in_string = False
                at += 1
            passed = _UP_TO_MARK.match(piece, at)
            at = at if passed is None else passed.end()
            if at == len(piece) or piece[at] != _QUOTE:
                return at
            # A string that does not end in this piece.
            self._in_string = True
            at += 1

    def _begin(self, mark: int) -> Iterator[bytes]:
        """Begin an element, or a container of the frame."""
        if self._between is not None:
            yield from self._scalars(self._between)
            self._element = bytearray()
            return
        name = _NAME.search(self._frame[-_LONGEST_NAME:])
        self._open.append(None if name is None else _text(name[1]))
        if mark == _LIST and tuple(self._open[1:]) in self._places:
            # The bracket itself comes with what follows.
            self._between = len(self._frame) + 1

    def _leave(self) -> Iterator[bytes]:
        """End a container of the frame."""
        if self._between is not None:
            yield from self._scalars(self._between)
            self._between = None
        if self._open:
            self._open.pop()

    def _scalars(self, begin: int) -> Iterator[bytes]:
        """Cut off what stands between two elements and is none: numbers, texts and the like."""
        text = bytes(self._frame[begin:]).strip(_BETWEEN)
        if not text:
            return
        try:
            found = orjson.loads(b"[" + text + b"]")
        except orjson.JSONDecodeError:
            # Neither is the frame JSON then.
            return
        for each in found:
            self.count += 1
            yield orjson.dumps(each)

    def _keep(self, part: bytes) -> None:
        if self._element is None:
            self._frame += part
            if len(self._frame) > self._most_frame + self.count:
                detail = f"The body has more than {self._most_frame} bytes besides its requests."
                raise BadRequest(detail, code="invalid_field", param="requests")
            return
        self._element += part
        if self._brackets > MOST_BRACKETS:
            detail = f"`requests.{self.count}` has more than {MOST_BRACKETS} values: shorten it."
            limit = {"limit": MOST_BRACKETS}
            raise TooLarge(detail, code="too_many_values", extra={**limit})
        if len(self._element) > self._longest:
            detail = (
                f"`requests.{self.count}` is longer than {self._longest} bytes, the most that a"
                " request may have: shorten it."
            )
            raise TooLarge(detail, code="body_too_large", extra={"limit": self._longest})

    def _cut_off(self) -> bytes:
        assert self._element is not None
        element, self._element = bytes(self._element), None
        self._brackets = 0
        self._frame += _EACH
        self._between = len(self._frame)
        self.count += 1
        return element


_LONGEST_NAME = 256


def _text(name: bytes) -> str | None:
    try:
        return str(orjson.loads(name))
    except orjson.JSONDecodeError:
        return None
