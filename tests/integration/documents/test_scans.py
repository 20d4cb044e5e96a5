"""Scans and pictures: rendered for models that see, and what is said where nothing can read them."""

import base64
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.documents.extract import ErrorCode, ExtractionError, Extractor
from shared.documents.extraction import Extraction, Images, Limits
from tests.integration.documents.files_made import FILES, SAMPLES, pdf_of

SCAN = FILES / "scanned.pdf"
RIVER = SAMPLES / "report-river.pdf"


@pytest_asyncio.fixture
async def few() -> AsyncIterator[Extractor]:
    """An extractor that makes two pictures of a document at most."""
    one = Extractor(limits=Limits(max_images=2))
    yield one
    await one.aclose()


async def read(extractor: Extractor, path: Path, images: Images = Images.NONE) -> Extraction:
    return await extractor.extract(path, filename=path.name, content_type=None, images=images)


def size(data: str) -> tuple[int, int]:
    """Return the width and height that a PNG in base64 has."""
    raw = base64.b64decode(data)
    assert raw.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", raw[16:24])
    return width, height


async def test_a_scan_nothing_can_read_says_what_to_install(extractor: Extractor) -> None:
    with pytest.raises(ExtractionError) as caught:
        await read(extractor, SCAN)

    assert caught.value.code is ErrorCode.EMPTY
    assert "apt-get install tesseract-ocr" in caught.value.message
    assert '`images: "always"`' in caught.value.message


async def test_a_scan_becomes_a_picture_of_a_size_that_models_take(extractor: Extractor) -> None:
    found = await read(extractor, SCAN, Images.MISSING)

    (image,) = found.images
    width, height = size(image.data)
    assert (image.page, image.mime_type) == (1, "image/png")
    assert 500 < width < height <= 1568


async def test_pages_with_text_are_pictures_only_when_all_are_wanted(extractor: Extractor) -> None:
    assert (await read(extractor, RIVER, Images.MISSING)).images == ()

    found = await read(extractor, RIVER, Images.ALL)
    assert [image.page for image in found.images] == [1, 2]
    assert "River Wend" in found.text


async def test_too_many_pages_are_refused_with_the_remedy(few: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "three.pdf"
    path.write_bytes(pdf_of([["one"], ["two"], ["three"]]))
    with pytest.raises(ExtractionError) as caught:
        await read(few, path, Images.ALL)

    assert caught.value.code is ErrorCode.TOO_LARGE
    assert "3 pages" in caught.value.message
    assert "Split it" in caught.value.message


async def test_of_many_scans_the_first_are_shown_and_the_rest_told(
    few: Extractor, tmp_path: Path
) -> None:
    path = tmp_path / "many.pdf"
    path.write_bytes(pdf_of([["one"], [], [], []]))
    found = await read(few, path, Images.MISSING)

    assert [image.page for image in found.images] == [2, 3]
    assert found.warnings == ("Only 2 pages without text were sent as pictures, not page 4.",)


async def test_pages_without_text_are_told_with_the_remedy(
    extractor: Extractor, tmp_path: Path
) -> None:
    path = tmp_path / "half.pdf"
    path.write_bytes(pdf_of([["something to read"], []]))
    found = await read(extractor, path)

    (warning,) = found.warnings
    assert warning.startswith("No text on page 2 of 2")
    assert "apt-get install tesseract-ocr" in warning


async def test_a_picture_goes_as_it_is_or_says_what_helps(
    extractor: Extractor, tmp_path: Path
) -> None:
    (page,) = (await read(extractor, SCAN, Images.MISSING)).images
    path = tmp_path / "photo.bin"
    path.write_bytes(base64.b64decode(page.data))

    found = await read(extractor, path, Images.MISSING)
    assert found.mime_type == "image/png"
    assert [(each.page, each.data) for each in found.images] == [(1, page.data)]
    with pytest.raises(ExtractionError) as caught:
        await read(extractor, path)
    assert "The file is a picture." in caught.value.message


async def test_broken_language_data_are_a_warning_and_fetch_nothing(tmp_path: Path) -> None:
    data = tmp_path / "tessdata"
    data.mkdir()
    (data / "eng.traineddata").write_bytes(b"not the data")
    limits = Limits(tessdata=str(data), languages=("eng",))
    path = tmp_path / "half.pdf"
    path.write_bytes(pdf_of([["something to read"], []]))
    extractor = Extractor(limits=limits)
    found = await read(extractor, path)
    await extractor.aclose()

    assert "something to read" in found.text
    assert any("page 2 of 2" in warning for warning in found.warnings)
    assert [each.name for each in data.iterdir()] == ["eng.traineddata"]
