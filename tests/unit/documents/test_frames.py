import asyncio
import io

import pytest

from shared.documents import frames


async def received(data: bytes, *, max_bytes: int = 1000) -> frames.Frame:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await frames.receive(reader, max_bytes=max_bytes)


async def test_a_frame_survives_the_way() -> None:
    frame: frames.Frame = {"text": "Ωmega\n", "pages": None, "warnings": ["a"]}

    assert await received(frames.pack(frame)) == frame
    assert frames.read(io.BytesIO(frames.pack(frame))) == frame


def test_the_end_of_the_input_is_no_frame() -> None:
    assert frames.read(io.BytesIO(b"")) is None


@pytest.mark.parametrize("data", [b"", b"\x00\x00", frames.pack({"a": 1})[:-1]])
async def test_a_stream_that_ends_early_is_the_end(data: bytes) -> None:
    with pytest.raises(EOFError):
        await received(data)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", b"\x00\x00\x00\x03[1]", b"\x00\x00\x00\x04oops"],
)
async def test_what_is_no_frame_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"child|expected|unexpected|invalid"):
        await received(data)
