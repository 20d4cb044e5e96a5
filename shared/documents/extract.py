"""Text out of documents, in child processes that a hostile file may crash, stall or bloat."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import JsonValue

from shared.documents.extraction import (
    ErrorCode,
    Extraction,
    ExtractionError,
    ExtractorUnavailable,
    Images,
    Limits,
    PageImage,
)
from shared.documents.frames import Frame
from shared.documents.places import Places
from shared.documents.process import COMMAND, ChildProcess

__all__ = ["ErrorCode", "Extraction", "ExtractionError", "Extractor", "ExtractorUnavailable"]


class Extractor:
    """Reads documents in up to `children` processes at a time, each started on first need.

    A child is kept warm for the next document, and replaced after `documents_per_child` of them
    or when it died, ran out of time or memory, or its document was given up. A document that takes
    longer than `slow_s` steps aside: its place goes to the next one while it goes on, and so many
    may do that. So what hangs holds up the others for that time at most, unless there is much of
    it. Use it within one event loop; `command` is for tests.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        children: int = 2,
        documents_per_child: int = 100,
        slow_s: float = 5.0,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._limits = limits or Limits()
        self._documents_per_child = documents_per_child
        self._command = command
        self._children = children
        self._places = Places(children, slow_s)
        self._idle: list[ChildProcess] = []
        self._busy: set[ChildProcess] = set()
        self._burials: set[asyncio.Task[None]] = set()
        self._closed = False

    async def extract(
        self,
        path: Path,
        *,
        filename: str,
        content_type: str | None,
        images: Images = Images.NONE,
    ) -> Extraction:
        """Return the text of the file at `path`; `filename` and `content_type` are only hints.

        `images` says which of its pages are wanted as pictures too.

        Raises ExtractionError when the document is at fault, ExtractorUnavailable when we are.
        """
        path, size = await asyncio.to_thread(_measure, path)
        if size == 0:
            raise ExtractionError(ErrorCode.EMPTY, "The file is empty.")
        if size > self._limits.max_input_bytes:
            limit = self._limits.max_input_bytes
            raise ExtractionError(
                ErrorCode.TOO_LARGE, f"The file has {size:,} bytes; the limit is {limit:,}."
            )
        request: Frame = {
            "path": str(path),
            "filename": filename,
            "content_type": content_type,
            "images": images,
        }
        async with self._child() as child:
            answer = await child.ask(request)
            if answer.get("code") == ErrorCode.OUT_OF_MEMORY:
                raise _refusal(answer)
        if "code" in answer:
            raise _refusal(answer)
        return _extraction(answer)

    async def aclose(self) -> None:
        """Kill the children; a document that is being read fails with ExtractorUnavailable."""
        self._closed = True
        for child in [*self._idle, *self._busy]:
            self._bury(child)
        self._idle.clear()
        while self._burials:
            await asyncio.wait(self._burials)

    def pids(self) -> list[int]:
        """Return the process ids of the children, idle ones first."""
        return [child.pid for child in [*self._idle, *self._busy]]

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[ChildProcess]:
        """Lend a child for one document; it comes back only from a block that ended well."""
        async with self._places.one():
            child = await self._take()
            self._busy.add(child)
            try:
                yield child
            except BaseException as error:
                self._bury(child)
                if self._closed and isinstance(error, ExtractionError):
                    raise ExtractorUnavailable("The extractor was closed.") from error
                raise
            finally:
                self._busy.discard(child)
            self._give_back(child)

    async def _take(self) -> ChildProcess:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            self._bury(child)
        if self._closed:
            raise ExtractorUnavailable("The extractor is closed.")
        return await ChildProcess.start(self._limits, command=self._command)

    def _give_back(self, child: ChildProcess) -> None:
        worn = child.documents >= self._documents_per_child
        if self._closed or worn or len(self._idle) >= self._children:
            self._bury(child)
        else:
            self._idle.append(child)

    def _bury(self, child: ChildProcess) -> None:
        """Kill in a task of its own, so that a cancelled caller does not wait for it."""
        task = asyncio.create_task(child.kill())
        self._burials.add(task)
        task.add_done_callback(self._burials.discard)


def _measure(path: Path) -> tuple[Path, int]:
    return path.absolute(), path.stat().st_size


def _refusal(answer: Frame) -> ExtractionError:
    return ExtractionError(ErrorCode(str(answer["code"])), str(answer.get("message", "")))


def _extraction(answer: Frame) -> Extraction:
    """Build the result from a child's answer, which is not to be trusted about its types."""
    pages, warnings = answer.get("pages"), answer.get("warnings")
    return Extraction(
        text=str(answer.get("text", "")),
        pages=pages if isinstance(pages, int) else None,
        warnings=tuple(str(item) for item in warnings) if isinstance(warnings, list) else (),
        mime_type=str(answer.get("mime_type", "")),
        page_starts=_page_starts(answer.get("page_starts")),
        images=_images(answer.get("images")),
    )


def _images(given: JsonValue) -> tuple[PageImage, ...]:
    images: list[PageImage] = []
    for each in given if isinstance(given, list) else ():
        match each:
            case [int() as page, str() as mime_type, str() as data]:
                images.append(PageImage(page, mime_type, data))
            case _:
                pass
    return tuple(images)


def _page_starts(given: JsonValue) -> tuple[tuple[int, int], ...]:
    starts: list[tuple[int, int]] = []
    for each in given if isinstance(given, list) else ():
        match each:
            case [int() as page, int() as offset] if offset >= (starts[-1][1] if starts else 0):
                starts.append((page, offset))
    return tuple(starts)
