"""Cutting a stream of bytes into lines, whatever the pieces in which it comes; pure."""

from collections.abc import Iterator
from typing import NamedTuple

BOM = b"\xef\xbb\xbf"


class RawLine(NamedTuple):
    """A line without its end; `raw` is None when it is too long to be held.

    `number` counts every line of the stream from 1, `end` is the byte behind it.
    """

    number: int
    raw: bytes | None
    end: int


class LineCutter:
    """Cuts lines out of pieces; holds no more than one line, and none that is too long.

    Lines end with LF or CR LF, the last one with the stream. A byte order mark at the beginning
    is no part of the first. Lines with nothing but white space are counted, and left out.
    """

    def __init__(self, *, longest: int, number: int = 0, offset: int = 0) -> None:
        """Begin behind line `number`, which ends at byte `offset`."""
        self.number = number
        self.offset = offset
        self._longest = longest
        self._parts: list[bytes] = []
        self._held = 0
        self._dropping = False

    def feed(self, piece: bytes) -> Iterator[RawLine]:
        """Yield the lines that end within this piece; all must be taken before the next."""
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            self._hold(piece[start:end])
            start = end + 1
            line = self._cut(1)
            if line is not None:
                yield line
        if start < len(piece):
            self._hold(piece[start:])

    def finish(self) -> Iterator[RawLine]:
        """Yield the last line, if the stream did not end with the end of a line."""
        if self._held:
            line = self._cut(0)
            if line is not None:
                yield line

    def _hold(self, part: bytes) -> None:
        self._held += len(part)
        # One more than allowed: the CR before an LF is no part of the line.
        if self._held > self._longest + len(BOM) + 1:
            self._parts.clear()
            self._dropping = True
        elif part:
            self._parts.append(part)

    def _cut(self, terminator: int) -> RawLine | None:
        raw = b"".join(self._parts)
        dropped, first = self._dropping, self.offset == 0
        self.number += 1
        self.offset += self._held + terminator
        self._parts.clear()
        self._held, self._dropping = 0, False
        if dropped:
            return RawLine(self.number, None, self.offset)
        if first:
            raw = raw.removeprefix(BOM)
        raw = raw.strip()
        if not raw:
            return None
        return RawLine(self.number, raw if len(raw) <= self._longest else None, self.offset)
