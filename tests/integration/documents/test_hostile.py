"""Documents that are wrong, or made to do harm."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.documents.extract import ErrorCode, ExtractionError, Extractor
from shared.documents.extraction import Limits
from tests.integration.documents.files_made import (
    SAMPLES,
    docx_bomb,
    html,
    lying,
    pdf,
    xlsx_bomb,
)

COFFEE = SAMPLES / "invoice-coffee.pdf"


async def outcome(extractor: Extractor, path: Path) -> ErrorCode:
    with pytest.raises(ExtractionError) as caught:
        await extractor.extract(path, filename=path.name, content_type=None)
    assert caught.value.message
    return caught.value.code


async def reads(extractor: Extractor) -> bool:
    found = await extractor.extract(COFFEE, filename="coffee.pdf", content_type=None)
    return "TC-2026-0187" in found.text


def cut(sample: str, share: float) -> bytes:
    data = (SAMPLES / sample).read_bytes()
    return data[: int(len(data) * share)]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", b"", ErrorCode.EMPTY),
        ("a.csv", b" \n \n", ErrorCode.EMPTY),
        ("a.html", b"<html><body><script>x()</script></body></html>", ErrorCode.EMPTY),
        ("a.pdf", b"%PDF-1.4\nnothing\n%%EOF\n", ErrorCode.BROKEN),
        ("a.pdf", cut("report-river.pdf", 0.75), ErrorCode.BROKEN),
        ("a.pdf", cut("report-river.pdf", 0.99), ErrorCode.BROKEN),
        ("a.docx", cut("letter-apprentice.docx", 0.5), ErrorCode.BROKEN),
        ("a.xlsx", cut("invoice-solar.xlsx", 0.9), ErrorCode.BROKEN),
        ("a.eml", b"no header at all", ErrorCode.BROKEN),
        ("a.bin", bytes(range(256)) * 20, ErrorCode.UNSUPPORTED),
    ],
)
async def test_what_cannot_be_read_gets_its_own_code(
    extractor: Extractor, tmp_path: Path, name: str, data: bytes, expected: ErrorCode
) -> None:
    path = tmp_path / name
    path.write_bytes(data)

    assert await outcome(extractor, path) is expected


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
async def test_a_pdf_cut_anywhere_is_never_half_read(
    extractor: Extractor, tmp_path: Path, share: float
) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(cut("report-river.pdf", share))

    assert await outcome(extractor, path) is ErrorCode.BROKEN


@pytest.mark.parametrize("bomb", [docx_bomb, xlsx_bomb])
async def test_zip_bombs_are_refused_quickly(
    extractor: Extractor, tmp_path: Path, bomb: Callable[[int], bytes]
) -> None:
    openly, by_ratio, by_lie = (tmp_path / f"{n}.{bomb.__name__[:4]}" for n in ("a", "b", "c"))
    openly.write_bytes(bomb(250))
    by_ratio.write_bytes(bomb(60))
    by_lie.write_bytes(lying(bomb(250)))
    assert await reads(extractor)
    start = time.monotonic()

    assert await outcome(extractor, openly) is ErrorCode.TOO_LARGE
    assert await outcome(extractor, by_ratio) is ErrorCode.TOO_LARGE
    assert await outcome(extractor, by_lie) in {ErrorCode.TOO_LARGE, ErrorCode.BROKEN}

    assert time.monotonic() - start < 5
    assert await reads(extractor)


async def test_input_and_text_have_their_ceilings(tmp_path: Path) -> None:
    extractor = Extractor(limits=Limits(max_input_bytes=5_000, max_text_chars=1_000))
    large, long = tmp_path / "large.txt", tmp_path / "long.txt"
    large.write_bytes(b"x" * 5_001)
    long.write_bytes(b"x" * 2_000)
    try:
        assert await outcome(extractor, large) is ErrorCode.TOO_LARGE
        assert extractor.pids() == []
        assert await outcome(extractor, long) is ErrorCode.TOO_LARGE
        assert await reads(extractor)
    finally:
        await extractor.aclose()


async def test_a_document_that_needs_too_much_memory_ends_alone(tmp_path: Path) -> None:
    extractor = Extractor(limits=Limits(memory_bytes=60_000_000))
    path = tmp_path / "wide.html"
    path.write_bytes(html(100_000))
    try:
        assert await reads(extractor)
        assert await outcome(extractor, path) is ErrorCode.OUT_OF_MEMORY
        assert await reads(extractor)
    finally:
        await extractor.aclose()


@pytest.mark.parametrize(
    "limits", [Limits(timeout_s=0.5), Limits(cpu_s=1)], ids=["wall", "processor"]
)
async def test_a_document_that_takes_too_long_is_stopped(tmp_path: Path, limits: Limits) -> None:
    extractor = Extractor(limits=limits)
    path = tmp_path / "long.pdf"
    path.write_bytes(pdf(pages=2_000))
    try:
        assert await outcome(extractor, path) is ErrorCode.TIMEOUT
        assert await reads(extractor)
    finally:
        await extractor.aclose()
