"""Cutting long texts: nothing is lost, nothing is too large, structure is respected."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents.chunks import Chunk, split

PIECES = st.sampled_from(
    [
        "word ",
        "A sentence. ",
        "\n",
        "\n\n",
        "# Heading\n",
        "| a | b |\n",
        "| --- | --- |\n",
        "x" * 40,
    ]
)
TEXTS = st.lists(PIECES, max_size=200).map("".join)


def of(text: str, chunks: list[Chunk]) -> list[str]:
    return [chunk.of(text) for chunk in chunks]


@given(TEXTS, st.integers(8, 300), st.lists(st.integers(0, 2000), max_size=8))
def test_pieces_cover_the_text_in_order_and_none_is_too_large(
    text: str, size: int, offsets: list[int]
) -> None:
    inside = sorted({0, *(offset for offset in offsets if offset < len(text))})
    starts = list(enumerate(inside, start=1))
    chunks = split(text, size, starts)

    assert [chunk.number for chunk in chunks] == list(range(1, len(chunks) + 1))
    assert chunks[0].start == 0
    assert chunks[-1].end == len(text)
    for one, following in pairwise(chunks):
        assert one.start < following.start <= one.end < following.end
    joined = "".join(
        text[max(one.start, before) : one.end]
        for one, before in zip(chunks, [0, *(chunk.end for chunk in chunks)], strict=False)
    )
    assert joined == text
    assert all(len(piece) <= size for piece in of(text, chunks))
    pages = [page for chunk in chunks for page in chunk.pages]
    assert set(pages) == {page for page, _ in starts}
    assert pages == sorted(pages)


def test_a_short_text_is_one_piece() -> None:
    assert split("short", 100) == [Chunk(1, 0, 5)]


def test_pages_and_sections_are_the_first_choice() -> None:
    text = ("word " * 12 + "\n\n") * 3
    section = "# Second\n" + "word " * 10
    chunks = split(text + section, 230)

    assert of(text + section, chunks)[1].startswith("# Second")


def test_a_page_ends_a_piece_and_is_named() -> None:
    text = "a" * 70 + "\n" + "b" * 70 + "\n" + "c" * 30
    chunks = split(text, 100, [(4, 0), (5, 71), (7, 142)])

    assert [chunk.pages for chunk in chunks] == [(4,), (5,), (7,)]
    assert chunks[0].end == 71


def test_paragraphs_stay_whole() -> None:
    paragraph = "one two three four five six seven.\n\n"
    text = paragraph * 10
    pieces = of(text, split(text, 150))

    assert all(piece.endswith("\n\n") for piece in pieces)


def test_a_table_that_fits_stays_whole() -> None:
    table = "| a | b |\n| --- | --- |\n" + "| 1 | 2 |\n" * 6
    text = "before " * 8 + "\n\n" + table + "\nafter " * 8
    pieces = of(text, split(text, 110))

    assert any(table in piece for piece in pieces)


def test_a_longer_table_is_cut_between_rows_below_its_head() -> None:
    head = "| a | b |\n| --- | --- |\n"
    rows = [f"| {number} | x |\n" for number in range(100)]
    text = head + "".join(rows)
    pieces = of(text, split(text, 300))

    assert len(pieces) > 1
    assert all(piece.startswith(head) for piece in pieces)
    assert "".join(piece.removeprefix(head) for piece in pieces) == "".join(rows)


def test_a_sentence_over_the_edge_is_seen_twice() -> None:
    text = " ".join(f"word{number}" for number in range(2000))
    chunks = split(text, 2000)

    assert all(one.end > after.start for one, after in pairwise(chunks))
    assert all(one.end - after.start <= 50 for one, after in pairwise(chunks))


def test_a_size_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="7 characters"):
        split("text", 7)
