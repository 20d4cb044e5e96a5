"""Reading an input of a batch piece by piece, from wherever an earlier reader has left it."""

from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from shared.batches.line_reader import LineCutter, RawLine
from shared.batches.lines import Line, LineError, too_long
from shared.files.blobs import BlobStore
from shared.settings import Settings

AT_ONCE = 400
BYTES_AT_ONCE = 1024 * 1024
Check = Callable[[bytes, int], Line | LineError]


@dataclass(frozen=True, slots=True)
class Place:
    """How far an input has been read: so many lines, which end at this byte."""

    lines: int = 0
    bytes: int = 0


START = Place()


@dataclass(frozen=True, slots=True)
class Reading:
    """Some lines that were read, and the place behind them."""

    items: Sequence[Line | LineError]
    place: Place


class Source(Protocol):
    """An input of a batch."""

    def read(
        self, check: Check, *, start: Place, first_line: int, skipped: "Skipped"
    ) -> AsyncIterator[Reading]:
        """Read from a place on; `first_line` is the number of the input's first line.

        Raises:
            BadInput: it cannot be read as a whole.
            FileNotFoundError: it is not there any more.
        """
        ...


class BadInput(Exception):
    """An input of which no line can be read; `error` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.error = LineError(None, code, message)


class Skipped:
    """Numbers of lines in their order, four bytes each: those that were found wrong."""

    def __init__(self) -> None:
        self._numbers = array("I")
        self._next = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int) -> None:
        """Note a line that is behind every other."""
        self._numbers.append(number)

    def rewind(self) -> None:
        """Begin again at the first line."""
        self._next = 0

    def covers(self, number: int) -> bool:
        """Tell whether a line was noted; to be asked in the order of the lines."""
        numbers = self._numbers
        while self._next < len(numbers) and numbers[self._next] < number:
            self._next += 1
        return self._next < len(numbers) and numbers[self._next] == number


class LinesSource:
    """A JSONL file in the blob store."""

    def __init__(self, blobs: BlobStore, settings: Settings, blob: str, size: int) -> None:
        self._blobs = blobs
        self._settings = settings
        self._blob = blob
        self._size = size

    async def read(
        self, check: Check, *, start: Place, first_line: int, skipped: Skipped
    ) -> AsyncIterator[Reading]:
        """Yield the lines, 400 or a megabyte at a time."""
        longest = self._settings.max_body_bytes
        cutter = LineCutter(longest=longest, number=start.lines, offset=start.bytes)
        waiting: list[RawLine] = []
        held = 0

        def take() -> Reading:
            place = Place(waiting[-1].number, waiting[-1].end)
            items = [
                self._item(each, check, first_line)
                for each in waiting
                if not skipped.covers(first_line + each.number - 1)
            ]
            waiting.clear()
            return Reading(items, place)

        async for line in self._cut(cutter, start):
            waiting.append(line)
            held += len(line.raw or b"")
            if len(waiting) == AT_ONCE or held >= BYTES_AT_ONCE:
                yield take()
                held = 0
        if waiting:
            yield take()
        yield Reading((), Place(cutter.number, cutter.offset))

    def held(self) -> AbstractAsyncContextManager[None]:
        """Do nothing: a file is opened when it is read."""
        return nullcontext()

    async def _cut(self, cutter: LineCutter, start: Place) -> AsyncIterator[RawLine]:
        # Nothing may be behind the place to begin at, and that is no place in the file.
        if start.bytes < self._size:
            async for piece in self._blobs.stream(self._blob, start=start.bytes):
                for line in cutter.feed(piece):
                    yield line
        for line in cutter.finish():
            yield line

    def _item(self, line: RawLine, check: Check, first_line: int) -> Line | LineError:
        number = first_line + line.number - 1
        if line.raw is None:
            flaw = too_long(self._settings)
            return LineError(number, flaw.code, flaw.message, flaw.param)
        return check(line.raw, number)
