"""Cutting `{"requests": [{…}, {…}]}` into its requests while it arrives; pure.

However long the body is, no more is held than the piece at hand, the request that it breaks off in
and the frame round them all.
"""

import re
from collections.abc import Iterator

import orjson

from shared.errors import BadRequest, TooLarge

MOST_FRAME_BYTES = 1024 * 1024
"""Of commas and spaces between the requests."""
_NAME = "requests"
_DEPTH = 2
_BACKSLASH = 0x5C
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_MARK = re.compile(rb'["\[\]{}]')
_EACH = b"0"


class RequestCutter:
    """Takes a body piece by piece; `count` is how many requests were cut off so far."""

    def __init__(self, longest: int) -> None:
        """Begin; `longest` is how many bytes one request may have."""
        self.count = 0
        self._longest = longest
        self._depth = 0
        self._in_string = False
        self._begun = b""
        self._request: bytearray | None = None
        # All that is outside of the requests; each of them is a zero in it.
        self._frame = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the requests that end in a piece.

        Raises:
            BadRequest: too much stands round the requests.
            TooLarge: a request is longer than it may be.
        """
        piece = self._begun + piece
        self._begun = b""
        taken = at = 0
        while (at := self._next(piece, at)) < len(piece):
            mark, at = piece[at : at + 1], at + 1
            if mark == b'"':
                self._in_string = not self._in_string
            elif mark in b"[{":
                if self._depth == _DEPTH and mark == b"{" and self._request is None:
                    self._keep(piece[taken : at - 1])
                    self._request, taken = bytearray(), at - 1
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == _DEPTH and self._request is not None:
                    self._keep(piece[taken:at])
                    taken = at
                    yield self._cut_off()
        self._keep(piece[taken : len(piece) - len(self._begun)])

    def finish(self) -> None:
        """Look at what stood round the requests.

        Raises:
            BadRequest: it is not what it should be.
        """
        try:
            frame = orjson.loads(bytes(self._frame + self._begun))
        except orjson.JSONDecodeError as error:
            raise _not_requests("The body is not valid JSON", "invalid_json") from error
        if not isinstance(frame, dict) or _NAME not in frame:
            raise _not_requests(f"`{_NAME}` is missing", "missing_field")
        if unknown := sorted(frame.keys() - {_NAME}):
            name = unknown[0][:64]
            detail = f"`{name}` is not known here: remove it, or correct its name."
            raise BadRequest(detail, param=name, code="invalid_field")
        if not self.count or frame[_NAME] != [0] * self.count:
            raise _not_requests(f"`{_NAME}` must be a list of one or more objects", "invalid_field")

    def _next(self, piece: bytes, at: int) -> int:
        """Return the place of the next mark that matters, the piece's length if there is none."""
        if not self._in_string:
            found = _MARK.search(piece, at)
            return len(piece) if found is None else found.start()
        inside = _IN_STRING.match(piece, at)
        end = at if inside is None else inside.end()
        if end < len(piece) and piece[end] == _BACKSLASH:
            # What it escapes is in the next piece.
            self._begun = piece[end:]
            return len(piece)
        return end

    def _keep(self, part: bytes) -> None:
        if self._request is None:
            self._frame += part
            if len(self._frame) > MOST_FRAME_BYTES + self.count:
                raise _not_requests("The body has too much besides requests", "invalid_field")
            return
        self._request += part
        if len(self._request) > self._longest:
            detail = (
                f"`{_NAME}.{self.count}` is longer than {self._longest} bytes, the most that a"
                " request may have: shorten it."
            )
            raise TooLarge(detail, code="body_too_large", extra={"limit": self._longest})

    def _cut_off(self) -> bytes:
        assert self._request is not None
        request, self._request = bytes(self._request), None
        self._frame += _EACH
        self.count += 1
        return request


def _not_requests(what: str, code: str) -> BadRequest:
    detail = f'{what}: send {{"requests": [{{"custom_id": "…", "params": {{…}}}}, …]}}.'
    return BadRequest(detail, param=_NAME, code=code)
