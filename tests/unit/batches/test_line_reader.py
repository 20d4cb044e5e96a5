"""However a file is cut into pieces, its lines are the same."""

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.batches.line_reader import BOM, LineCutter, RawLine

LONGEST = 20
TEXT = st.text(alphabet='ab{}" \t', max_size=LONGEST + 6).map(str.encode)
CUTS = st.lists(st.integers(0, 10_000), max_size=12)
ENDS = st.sampled_from([b"\n", b"\r\n"])


def cut(pieces: list[bytes], *, longest: int = LONGEST) -> tuple[list[RawLine], LineCutter]:
    cutter = LineCutter(longest=longest)
    lines = [line for piece in pieces for line in cutter.feed(piece)]
    return [*lines, *cutter.finish()], cutter


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(each % (len(data) + 1) for each in cuts)})
    return [data[a:b] for a, b in pairwise(places)] or [data]


def plain(data: bytes) -> list[tuple[int, bytes, int]]:
    """Return what is right, from the whole file at once."""
    found, end = [], 0
    for number, line in enumerate(io.BytesIO(data), 1):
        end += len(line)
        text = (line.removeprefix(BOM) if number == 1 else line).strip()
        if text:
            found.append((number, text, end))
    return found


@given(st.lists(st.tuples(TEXT, ENDS), max_size=12), CUTS, st.booleans(), st.booleans())
def test_any_pieces_give_the_same_lines(
    parts: list[tuple[bytes, bytes]], cuts: list[int], bom: bool, ended: bool
) -> None:
    data = (BOM if bom else b"") + b"".join(text + end for text, end in parts)
    data = data if ended else data.rstrip(b"\r\n")

    lines, cutter = cut(in_pieces(data, cuts))

    assert lines == cut([data])[0]
    assert cutter.offset == len(data)
    assert cutter.number == len(list(io.BytesIO(data)))
    roomy, _ = cut(in_pieces(data, cuts), longest=1000)
    assert roomy == plain(data)
    short = [line for line in roomy if len(line.raw or b"") <= LONGEST]
    for line in short:
        # With the white space round it, it may have been too long all the same.
        assert line in lines or line._replace(raw=None) in lines


@given(st.lists(TEXT, min_size=1, max_size=8), st.data())
def test_reading_goes_on_from_any_line(texts: list[bytes], data: st.DataObject) -> None:
    file = b"\n".join(texts)
    lines, _ = cut([file])
    if not lines:
        return
    at = data.draw(st.integers(0, len(lines) - 1))
    cutter = LineCutter(longest=LONGEST, number=lines[at].number, offset=lines[at].end)
    rest = [*cutter.feed(file[lines[at].end :]), *cutter.finish()]
    assert rest == lines[at + 1 :]


def test_windows_files() -> None:
    lines, _ = cut([b'\xef\xbb\xbf{"a":1}\r', b"\n\r\n", b'{"b":2}'])
    assert [(line.number, line.raw) for line in lines] == [(1, b'{"a":1}'), (3, b'{"b":2}')]


@pytest.mark.parametrize("size", [LONGEST, LONGEST + 1])
def test_the_longest_line(size: int) -> None:
    lines, _ = cut([b"x" * size, b"\r\n", b"y"])
    assert lines[0].raw == (b"x" * size if size == LONGEST else None)
    assert lines[1].raw == b"y"


def test_a_huge_line_is_not_held() -> None:
    cutter = LineCutter(longest=1000)
    for _ in range(1000):
        assert list(cutter.feed(b"x" * 1000)) == []
        assert sum(map(len, cutter._parts)) <= 2000
    (line,) = cutter.feed(b"\n")
    assert line == RawLine(1, None, 1_000_001)
    assert [each.raw for each in cutter.feed(b"{}\n")] == [b"{}"]


def test_nothing() -> None:
    for data in (b"", b"\n", b" \n\t\r\n  "):
        lines, cutter = cut([data])
        assert lines == []
        assert cutter.offset == len(data)
