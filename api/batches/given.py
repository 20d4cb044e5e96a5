"""The lines that a request has in its body: cut out of it as it arrives, and never parsed all at once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel
from starlette.requests import Request

from api.batches.checking import Turns
from api.batches.cutter import BodyCutter, Place
from api.body import (
    IN_PASSING_BYTES,
    body_pieces,
    check_headers,
    fitting,
    parse_aside,
    parse_object,
)
from api.multipart import FOLDER, ReceivedFile
from shared.errors import BadRequest
from shared.files.blobs import BlobStore, new_key

MEDIA_TYPE = "application/jsonl"
REQUESTS: Collection[Place] = {("requests",)}
WRITTEN_BYTES = 256 * 1024
CUT_BYTES = 16 * 1024
"""Nothing but brackets takes as long to be cut as ten times as much text."""
ANY_SIZE = 1 << 60
"""What comes in is bounded: what is written of it need not be."""
Model = TypeVar("Model", bound=BaseModel)
LineOf = Callable[[bytes, int], bytes]
"""Returns a line, without its end, from an element of the body and its number, beginning with 1."""


@dataclass(slots=True)
class Given:
    """Lines as somebody wrote them into a body; `digest` tells them from others."""

    elements: list[bytes] = field(default_factory=list)
    digest: str = ""

    def __len__(self) -> int:
        return len(self.elements)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for element in self.elements:
            yield element


async def read_given(
    request: Request, model: type[Model], places: Collection[Place], *, max_bytes: int
) -> tuple[Model, Given]:
    """Return the body as a model, in which each line is a zero, and the lines beside it.

    `places` is where their list may stand.

    Raises:
        BadRequest: not a JSON object that fits the model; the message says which field and why.
        TooLarge: more than `max_bytes`.
    """
    check_headers(request)
    given, digest, turns = Given(), sha256(), Turns()
    cutter = BodyCutter(places, longest=max_bytes, most_frame=max_bytes)
    async for element in elements_of(cutter, body_pieces(request, max_bytes=max_bytes)):
        given.elements.append(element)
        for begin in range(0, len(element), WRITTEN_BYTES):
            digest.update(element[begin : begin + WRITTEN_BYTES])
            await turns.breathe()
    given.digest = digest.hexdigest() if given.elements else ""
    return fitting(model, await parse_aside(cutter.finish())), given


async def elements_of(cutter: BodyCutter, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the elements of a body as it arrives, while others are served."""
    turns = Turns()
    async for piece in pieces:
        for begin in range(0, len(piece), CUT_BYTES):
            for element in cutter.feed(piece[begin : begin + CUT_BYTES]):
                yield element
            await turns.breathe()


def parse_element(raw: bytes, number: int) -> Any:
    """Parse an element as strictly as a whole body: no name twice, bounded depth.

    Raises:
        BadRequest: it is no JSON, or not such JSON; the message says which element it is.
        TooLarge: it has too many values.
    """
    at = f"requests.{number - 1}"
    try:
        return parse_object(raw) if raw.startswith(b"{") else orjson.loads(raw)
    except BadRequest as error:
        detail = f"In `{at}`: {error.detail}"
        raise BadRequest(detail, code=error.code, param=error.param or at) from error
    except orjson.JSONDecodeError as error:
        detail = f"`{at}` is not valid JSON: {error}."
        raise BadRequest(detail, code="invalid_json", param=at) from error


async def write_lines(
    blobs: BlobStore,
    elements: AsyncIterator[bytes],
    line_of: LineOf,
    *,
    name: str = "",
    finish: Callable[[], None] | None = None,
    max_bytes: int = ANY_SIZE,
) -> ReceivedFile:
    """Write what `line_of` makes of each element into the blob store while others are served.

    `finish`, called when all is written, may still refuse it: on any failure nothing is kept.
    """
    writing = _Writing(elements, line_of, finish)
    key = new_key(FOLDER)
    size, digest = await blobs.put_stream(key, writing.pieces(), max_bytes)
    return ReceivedFile(key, name, MEDIA_TYPE, size, digest, writing.count)


@dataclass(slots=True)
class _Writing:
    elements: AsyncIterator[bytes]
    line_of: LineOf
    finish: Callable[[], None] | None
    count: int = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        turns, written = Turns(), bytearray()
        async for element in self.elements:
            self.count += 1
            if len(element) > IN_PASSING_BYTES:
                written += await asyncio.to_thread(self.line_of, element, self.count)
            else:
                written += self.line_of(element, self.count)
            written += b"\n"
            while len(written) >= WRITTEN_BYTES:
                # A whole line at once would be megabytes for whoever takes it.
                yield bytes(written[:WRITTEN_BYTES])
                del written[:WRITTEN_BYTES]
                await turns.breathe()
            await turns.breathe()
        if self.finish is not None:
            self.finish()
        yield bytes(written)
