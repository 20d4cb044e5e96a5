"""Length-prefixed JSON between the extractor and its children: four bytes big endian, then JSON."""

import asyncio
import struct
from typing import BinaryIO

import orjson
from pydantic import JsonValue

HEADER = struct.Struct(">I")
Frame = dict[str, JsonValue]


def pack(frame: Frame) -> bytes:
    """Return the bytes of one frame."""
    body = orjson.dumps(frame)
    return HEADER.pack(len(body)) + body


def read(stream: BinaryIO) -> Frame | None:
    """Return the next frame of a blocking stream, None at its end."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    frame: Frame = orjson.loads(stream.read(HEADER.unpack(header)[0]))
    return frame


async def receive(stream: asyncio.StreamReader, *, max_bytes: int) -> Frame:
    """Return the next frame.

    Raises EOFError when the child is gone and ValueError when the frame is not one of ours,
    as a child taken over by a hostile document might send.
    """
    try:
        length = HEADER.unpack(await stream.readexactly(HEADER.size))[0]
        if length > max_bytes:
            raise ValueError(f"A child announced {length} bytes; the ceiling is {max_bytes}.")
        frame = orjson.loads(await stream.readexactly(length))
    except asyncio.IncompleteReadError as error:
        raise EOFError from error
    if not isinstance(frame, dict):
        raise ValueError("A child sent something that is not an object.")  # noqa: TRY004
    return frame
