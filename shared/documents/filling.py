"""What becomes of the pages that have no text: recognised, sent as pictures, or told of."""

from collections.abc import Mapping, Sequence

import xberg

from shared.documents import scans
from shared.documents.extraction import ErrorCode, ExtractionError, Images, Limits, PageImage
from shared.documents.tessdata import INSTALL

MOST_LISTED = 10
RECOGNISED = "The text was recognised in pictures (OCR), so some letters may be wrong."
ERRORS = (RuntimeError, ValueError, xberg.XbergError)

Filled = tuple[Mapping[int, str], tuple[PageImage, ...], tuple[str, ...]]


async def fill(
    data: bytes, pages: Mapping[int, str], count: int, limits: Limits, images: Images
) -> Filled:
    """Return the pages of a PDF with what could be recognised, the pictures asked for, and warnings.

    Raises ExtractionError when every page is wanted as a picture and there are too many.
    """
    missing = [number for number in range(1, count + 1) if not pages.get(number, "").strip()]
    if images is Images.ALL:
        if count > limits.max_images:
            message = (
                f"The document has {count} pages, and at most {limits.max_images} are sent as"
                ' pictures. Split it, or send it without `images: "always"`.'
            )
            raise ExtractionError(ErrorCode.TOO_LARGE, message)
        return pages, await scans.render(data, range(1, count + 1), limits), ()
    if not missing:
        return pages, (), ()
    if images is Images.MISSING:
        return await _shown(data, pages, missing, limits)
    return await _recognised(data, pages, missing, count, limits)


async def _shown(
    data: bytes, pages: Mapping[int, str], missing: Sequence[int], limits: Limits
) -> Filled:
    some, left = missing[: limits.max_images], missing[limits.max_images :]
    shown = await scans.render(data, some, limits)
    if not left:
        return pages, shown, ()
    warning = f"Only {len(some)} pages without text were sent as pictures, not page {_list(left)}."
    return pages, shown, (warning,)


async def _recognised(
    data: bytes, pages: Mapping[int, str], missing: Sequence[int], count: int, limits: Limits
) -> Filled:
    found: Mapping[int, str] = {}
    warnings: tuple[str, ...] = ()
    if limits.tessdata:
        try:
            some = missing[: limits.max_ocr_pages]
            found = await scans.recognise(data, "application/pdf", some, limits)
        except ERRORS as error:
            warnings = (f"Text in pictures was not recognised: {error}"[:300],)
    left = [number for number in missing if number not in found]
    if found:
        warnings += (f"Page {_list(sorted(found))}: {RECOGNISED}",)
    if left:
        why = "" if limits.tessdata else f" {remedy(limits)}"
        warnings += (
            f"No text on page {_list(left)} of {count}: a picture or a scan, or empty.{why}",
        )
    return {**pages, **found}, (), warnings


async def recognised_picture(data: bytes, mime_type: str, limits: Limits) -> str:
    """Return the text of a picture, empty when there is none or nothing to recognise it with."""
    if not limits.tessdata:
        return ""
    try:
        return (await scans.recognise(data, mime_type, [1], limits)).get(1, "")
    except ERRORS as error:
        message = f"The picture cannot be read: {error}"[:500]
        raise ExtractionError(ErrorCode.BROKEN, message) from error


def remedy(limits: Limits) -> str:
    """Say what helps with text in pictures."""
    if limits.tessdata:
        return "No text was recognised in it (OCR)."
    return (
        f"To have text in pictures recognised (OCR), {INSTALL}; or send the pages as pictures to"
        ' a model that sees, with `images: "always"`.'
    )


def _list(pages: Sequence[int]) -> str:
    listed = ", ".join(map(str, pages[:MOST_LISTED]))
    return listed + (", …" if len(pages) > MOST_LISTED else "")
