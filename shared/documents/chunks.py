"""A long text to pieces that a model takes: cut where its structure allows. Pure."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_CHARS = 8
OVERLAP_SHARE = 40
"""A fortieth of a piece is read twice, so that a sentence over the edge is seen whole once."""
MOST_OVERLAP = 600
HEAD_SHARE = 8
TABLE = re.compile(r"(?:^\|.*(?:\n|\Z))+", re.MULTILINE)
HEADING = re.compile(r"^#{1,6} ", re.MULTILINE)
BLANK = re.compile(r"\n[ \t]*\n+")
LINE = re.compile(r"\n")
SENTENCE = re.compile(r"[.!?…。][\"')\]]* ")
SPACE = re.compile(r"\s")

PageStart = tuple[int, int]
"""The number of a page, and where in the text it begins."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The piece `text[start:end]`, counted from 1; `head` repeats the head of a table cut in two."""

    number: int
    start: int
    end: int
    pages: tuple[int, ...] = ()
    head: str = ""

    def of(self, text: str) -> str:
        """Return what a model is given to read."""
        return self.head + text[self.start : self.end]


def split(text: str, size: int, starts: Sequence[PageStart] = ()) -> list[Chunk]:
    """Return pieces of at most `size` characters (at least 8) that cover the text in order.

    A piece ends, best first, where a page or a section ends, a paragraph, a line, a sentence, a
    word; the next one begins there, or a little before where nothing but a line ends. Tables that fit into a piece stay whole; a longer one is cut between rows, and its head
    stands above each part. `starts` are the pages in order.
    """
    if size < LEAST_CHARS:
        message = f"no text can be read in pieces of {size} characters"
        raise ValueError(message)
    edges = _Edges(text, size, [offset for _, offset in starts])
    chunks: list[Chunk] = []
    start = end = 0
    head = ""
    while end < len(text) or not chunks:
        room = size - len(head)
        end = edges.cut(start, end, room)
        pages = pages_between(starts, start, end)
        chunks.append(Chunk(len(chunks) + 1, start, end, pages, head))
        start, head = edges.resume(start, end)
    return chunks


def pages_between(starts: Sequence[PageStart], start: int, end: int) -> tuple[int, ...]:
    """Return the pages that `text[start:end]` touches."""
    offsets = [offset for _, offset in starts]
    first = max(0, bisect_right(offsets, start) - 1)
    return tuple(page for page, offset in starts[first : bisect_left(offsets, max(end, start + 1))])


class _Edges:
    """Where a text may be cut."""

    def __init__(self, text: str, size: int, page_offsets: Sequence[int]) -> None:
        self._text = text
        self._size = size
        self._overlap = min(size // OVERLAP_SHARE, MOST_OVERLAP)
        tables = [found.span() for found in TABLE.finditer(text)]
        self._table_starts = [start for start, _ in tables]
        self._table_ends = [end for _, end in tables]
        headings = (found.start() for found in HEADING.finditer(text))
        self._section_set = {*page_offsets, *headings}
        self._sections = sorted(self._section_set)

    def cut(self, start: int, done: int, room: int) -> int:
        """Return the end of the piece that begins at `start`, beyond `done`."""
        limit = start + room
        if limit >= len(self._text):
            return len(self._text)
        low = max(start + room // 2, done)
        table = self._table_at(limit)
        if table is not None and self._fits_later(table, max(start, done)):
            limit = table[0]
            low = min(low, limit - 1)
        found = self._section(low, limit)
        if found is None and table is not None and limit == table[0]:
            return limit
        if found is None:
            found = self._softest(low, limit)
        return found

    def resume(self, start: int, end: int) -> tuple[int, str]:
        """Return where the next piece begins, and what stands above it."""
        table = self._table_at(end)
        if table is not None:
            return end, self._head(table)
        if end in self._section_set:
            return end, ""
        begin = max(end - self._overlap, start + 1)
        if begin >= end:
            return end, ""
        for edge in (LINE, SPACE):
            found = edge.search(self._text, begin, end - 1)
            if found:
                inside = self._table_at(found.end())
                return (end if inside else found.end()), ""
        return end, ""

    def _table_at(self, place: int) -> tuple[int, int] | None:
        """Return the table that `place` is inside of; its edges are not inside."""
        number = bisect_left(self._table_starts, place) - 1
        if number < 0 or self._table_ends[number] <= place:
            return None
        return self._table_starts[number], self._table_ends[number]

    def _fits_later(self, table: tuple[int, int], begun: int) -> bool:
        return table[0] > begun and table[1] - table[0] <= self._size

    def _section(self, low: int, limit: int) -> int | None:
        number = bisect_right(self._sections, limit) - 1
        place = self._sections[number] if number >= 0 else -1
        return place if place > low else None

    def _softest(self, low: int, limit: int) -> int:
        for edge in (BLANK, LINE, SENTENCE, SPACE):
            ends = [found.end() for found in edge.finditer(self._text, low, limit)]
            outside = [end for end in ends if end > low and self._table_at(end) is None]
            if outside:
                return outside[-1]
        rows = [found.end() for found in LINE.finditer(self._text, low, limit)]
        return next((end for end in reversed(rows) if end > low), limit)

    def _head(self, table: tuple[int, int]) -> str:
        start, end = table
        longest = self._size // HEAD_SHARE
        lines = self._text[start : min(end, start + longest + 1)].splitlines(keepends=True)
        is_table = len(lines) > 1 and set(lines[1]) <= set("|-: \n")
        head = "".join(lines[:2]) if is_table else ""
        return head if len(head) <= longest else ""
