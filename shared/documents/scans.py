"""Pages without text: recognised, or made into pictures. Runs in the child only.

Both go through the extraction library, and neither may let it fetch anything: the only stage of
its recognition is one whose data lie on this machine.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import xberg

from shared.documents.extraction import Limits, PageImage
from shared.documents.kinds import Kind

SEES_NOTHING = "penstock-pages"
RENDER_DPI = 110
LONGEST_SIDE = 1568
"""Vision models scale down what is larger."""


class _SeesNothing:
    """Stands in for recognition, so that pages are rendered and nothing else."""

    def name(self) -> str:
        return SEES_NOTHING

    def version(self) -> str:
        return "1"

    def initialize(self) -> None:
        return None

    def shutdown(self) -> None:
        return None

    def supports_language(self, _language: str) -> bool:
        return True

    def supported_languages(self) -> list[str]:
        return ["eng"]

    def backend_type(self) -> str:
        return "custom"

    def supports_table_detection(self) -> bool:
        return False

    def supports_document_processing(self) -> bool:
        return False

    def emits_structured_markdown(self) -> bool:
        return False

    def process_image(self, _image: bytes, _config: object, *_more: object) -> dict[str, Any]:
        return {"content": "-", "mime_type": "text/plain", "metadata": {}, "tables": []}


async def recognise(
    data: bytes, mime_type: str, pages: Sequence[int], limits: Limits
) -> Mapping[int, str]:
    """Return the text of pictures of text, by page, as far as any was recognised."""
    languages = list(limits.languages)
    stage = xberg.OcrPipelineStage(backend="tesseract", priority=100, language=languages)
    ocr = _config([stage], languages, tessdata_path=limits.tessdata)
    document = await _read(data, mime_type, _options(mime_type, pages, limits, ocr))
    wanted = set(pages)
    found = {
        page.page_number: page.content.strip()
        for page in document.pages or ()
        if page.page_number in wanted and page.content.strip()
    }
    if not found and mime_type.startswith("image/") and document.content.strip():
        return {1: document.content.strip()}
    return found


async def render(data: bytes, pages: Sequence[int], limits: Limits) -> tuple[PageImage, ...]:
    """Return pages of a PDF as pictures."""
    if SEES_NOTHING not in xberg.list_ocr_backends():
        xberg.register_ocr_backend(_SeesNothing())  # type: ignore[arg-type]
    stage = xberg.OcrPipelineStage(backend=SEES_NOTHING, priority=100, language=["eng"])
    images = xberg.ImageExtractionConfig(
        extract_images=True,
        include_page_rasters=True,
        inject_placeholders=False,
        classify=False,
        run_ocr_on_images=False,
        target_dpi=RENDER_DPI,
        max_dpi=RENDER_DPI,
        auto_adjust_dpi=False,
        max_image_dimension=LONGEST_SIDE,
    )
    ocr = _config([stage], ["eng"])
    options = _options(str(Kind.PDF), pages, limits, ocr)
    document = await _read(data, str(Kind.PDF), {**options, "images": images})
    wanted = set(pages)
    return tuple(
        PageImage(each.page_number, "image/png", base64.b64encode(each.data).decode())
        for each in document.images or ()
        if each.page_number in wanted and str(each.image_kind) == "page_raster"
    )


def _config(stages: list[Any], languages: list[str], **more: Any) -> xberg.OcrConfig:
    return xberg.OcrConfig(
        enabled=True,
        backend=stages[0].backend,
        language=languages,
        auto_rotate=False,
        pipeline=xberg.OcrPipelineConfig(
            stages=stages, quality_thresholds=xberg.OcrQualityThresholds()
        ),
        **more,
    )


def _options(
    mime_type: str, pages: Sequence[int], limits: Limits, ocr: xberg.OcrConfig
) -> dict[str, Any]:
    return {
        "force_ocr_pages": None if mime_type.startswith("image/") else list(pages),
        "ocr": ocr,
        "security_limits": xberg.SecurityLimits(
            max_archive_size=limits.max_unpacked_bytes, max_content_size=limits.max_unpacked_bytes
        ),
    }


async def _read(data: bytes, mime_type: str, options: Mapping[str, Any]) -> xberg.ExtractedDocument:
    config = xberg.ExtractionConfig(
        use_cache=False,
        output_format="markdown",
        escape_markdown=False,
        max_archive_depth=0,
        pages=xberg.PageConfig(extract_pages=True),
        concurrency=xberg.ConcurrencyConfig(max_threads=1),
        **options,
    )
    source = xberg.ExtractInput(kind="bytes", bytes=data, mime_type=mime_type)
    result = await xberg.extract(source, config)
    if not result.results:
        message = result.errors[0].message if result.errors else "no result"
        raise ValueError(message)
    return result.results[0]
