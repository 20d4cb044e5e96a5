"""Where the values of an answer stand."""

import pytest
from pydantic import JsonValue

from shared.documents.chunks import Chunk
from shared.documents.provenance import Pages, of_chunks, of_pages

TEXT = "Invoice of Tidewater  Coffee\n\nTotal 1,250.50 EUR in 2026\n\nPaid: 1.250,50 or 99 000"
STARTS = [(1, 0), (2, TEXT.index("Total")), (5, TEXT.index("Paid"))]
PAGES = Pages.of(TEXT, STARTS)


@pytest.mark.parametrize(
    ("value", "pages"),
    [
        ("tidewater coffee", [1]),
        (1250.5, [2, 5]),
        (99000, [5]),
        (2026, [2]),
        (202, []),
        (26, []),
        ("Total 1,250.50", [2]),
        ("elsewhere", []),
        (True, []),
        ("x", []),
    ],
)
def test_a_value_is_found_however_it_is_written(value: JsonValue, pages: list[int]) -> None:
    assert PAGES.holding(value, [1, 2, 5]) == pages


def test_values_that_stand_nowhere_are_left_out() -> None:
    value: JsonValue = {"seller": "Tidewater Coffee", "made/up": "never said", "none": None}

    assert of_pages(value, PAGES) == {"/seller": {"pages": [1]}}


def test_on_a_single_page_everything_is_from_there() -> None:
    assert of_pages({"a": "never said"}, Pages.of("text", [(1, 0)])) == {"/a": {"pages": [1]}}


def test_without_pages_nothing_is_said_of_a_short_document() -> None:
    assert of_pages({"a": "text"}, Pages.of("text", [])) == {}


def test_a_value_of_a_chunk_has_its_page_or_all_of_the_chunks() -> None:
    chunks = [Chunk(1, 0, 30, (1, 2)), Chunk(2, 30, len(TEXT), (2, 5))]
    value: JsonValue = {"total": 1250.5, "sum": "never said", "lost": "nowhere"}
    found = of_chunks(value, {"/total": (2,), "/sum": (1, 2)}, chunks, PAGES)

    assert found == {"/total": {"pages": [2, 5]}, "/sum": {"pages": [1, 2, 5]}}


def test_without_pages_the_chunk_is_named() -> None:
    found = of_chunks({"a": "x"}, {"/a": (3, 4)}, [Chunk(3, 0, 9)], Pages.of("text", []))

    assert found == {"/a": {"chunk": 3}}
