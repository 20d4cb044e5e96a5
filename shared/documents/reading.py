"""One document's bytes to its text. Runs in the child only, with the limits already set."""

import base64
import re
from collections.abc import Sequence

import xberg

from shared.documents.charset import decode
from shared.documents.extraction import (
    ErrorCode,
    Extraction,
    ExtractionError,
    Images,
    Limits,
    PageImage,
)
from shared.documents.filling import RECOGNISED, fill, recognised_picture, remedy
from shared.documents.kinds import Kind, sniff
from shared.documents.lines import restore_lines
from shared.documents.mail import Attachment, read_mail
from shared.documents.office import margins

MAX_WARNINGS = 20
MAX_WARNING_CHARS = 300
MAX_MAIL_DEPTH = 2
MAX_TABLE_CELLS = 1_000_000
TOO_MANY_CELLS = (
    f"The tables have more than {MAX_TABLE_CELLS:,} cells; some are kept as plain lines."
)
# These tell of a language check and of comments, not of text that may be missing.
QUIET_SOURCES = frozenset({"ocr", "pdf_annotations"})
META_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset=["']?([\w-]{1,40})""", re.IGNORECASE)
BETWEEN_PAGES = "\n\n"
MARKS = re.compile(r"[|\s-]+")


async def read(
    data: bytes,
    *,
    filename: str,
    content_type: str | None,
    limits: Limits,
    depth: int = 0,
    images: Images = Images.NONE,
) -> Extraction:
    """Return the text of one document. Raises ExtractionError."""
    kind = sniff(
        data,
        filename=filename,
        content_type=content_type,
        max_unpacked_bytes=limits.max_unpacked_bytes,
    )
    if kind is Kind.PDF:
        found = await _pdf(data, limits, images)
    elif kind in {Kind.PNG, Kind.JPEG}:
        found = await _picture(data, kind, limits, images)
    elif kind is Kind.EML:
        found = await _mail(data, limits, depth)
    elif kind in {Kind.DOCX, Kind.XLSX, Kind.PPTX}:
        found = await _office(data, kind, limits)
    else:
        found = await _text(data, kind, content_type, limits)
    return _checked(found, limits)


def _checked(found: Extraction, limits: Limits) -> Extraction:
    if not MARKS.sub("", found.text) and not found.images:
        raise ExtractionError(ErrorCode.EMPTY, "The document has no text.")
    if len(found.text) > limits.max_text_chars:
        message = (
            f"The document's text is {len(found.text):,} characters long;"
            f" the limit is {limits.max_text_chars:,}."
        )
        raise ExtractionError(ErrorCode.TOO_LARGE, message)
    return found


async def _pdf(data: bytes, limits: Limits, images: Images) -> Extraction:
    document = await _extract(data, Kind.PDF, limits)
    plain = await _extract(data, Kind.PDF, limits, lines_only=True)
    lines = {page.page_number: page.content for page in plain.pages or ()}
    pages = [
        (page.page_number, restore_lines(page.content.strip(), lines.get(page.page_number, "")))
        for page in document.pages or ()
    ]
    count = document.counts.pages
    filled, pictures, warnings = await fill(data, dict(pages), count, limits, images)
    text, starts = _paged(sorted(filled.items()))
    if not text.strip() and not pictures:
        raise _no_text(document, count, limits)
    warnings = _warnings(document) + warnings
    return Extraction(text + "\n", count, warnings, Kind.PDF, starts, pictures)


def _paged(pages: Sequence[tuple[int, str]]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Join the pages with text; return where each begins."""
    starts, parts, offset = [], [], 0
    for number, page in pages:
        if page:
            starts.append((number, offset))
            parts.append(page)
            offset += len(page) + len(BETWEEN_PAGES)
    return BETWEEN_PAGES.join(parts), tuple(starts)


async def _picture(data: bytes, kind: Kind, limits: Limits, images: Images) -> Extraction:
    text = await recognised_picture(data, kind, limits)
    if images is not Images.NONE:
        picture = PageImage(1, kind, base64.b64encode(data).decode())
        return Extraction(text, 1, (), kind, ((1, 0),) if text else (), (picture,))
    if not text:
        raise ExtractionError(ErrorCode.EMPTY, f"The file is a picture. {remedy(limits)}")
    return Extraction(text + "\n", 1, (RECOGNISED,), kind, ((1, 0),))


def _no_text(document: xberg.ExtractedDocument, pages: int, limits: Limits) -> ExtractionError:
    if any("Invalid PDF" in warning.message for warning in document.processing_warnings):
        return ExtractionError(ErrorCode.BROKEN, "The PDF is damaged: no page of it can be read.")
    message = (
        f"No text was found on the {pages} page(s): the PDF holds only pictures, such as a scan,"
        f" or its text is damaged. {remedy(limits)}"
    )
    return ExtractionError(ErrorCode.EMPTY, message)


async def _office(data: bytes, kind: Kind, limits: Limits) -> Extraction:
    document = await _extract(data, kind, limits)
    text, pages = document.content.strip(), None
    if kind is Kind.DOCX:
        head, foot = margins(data)
        text = "\n\n".join(part for part in (head, text, foot) if part)
    starts: tuple[tuple[int, int], ...] = ()
    if kind is Kind.PPTX:
        slides = document.pages or []
        pages = len(slides) or None
        starts = _found([(slide.page_number, slide.content.strip()) for slide in slides], text)
        for slide in slides:
            if slide.speaker_notes:
                text += f"\n\nNotes of slide {slide.page_number}: {slide.speaker_notes.strip()}"
    return Extraction(text + "\n", pages, _warnings(document), kind, starts)


def _found(pages: Sequence[tuple[int, str]], text: str) -> tuple[tuple[int, int], ...]:
    """Find where each page begins in a text that was joined by the library."""
    starts, offset = [], 0
    for number, page in pages:
        place = text.find(page, offset)
        if page and place >= 0:
            starts.append((number, place))
            offset = place + len(page)
    return tuple(starts)


async def _text(data: bytes, kind: Kind, content_type: str | None, limits: Limits) -> Extraction:
    """Decode first: the library reads HTML as UTF-8 whatever it declares."""
    declared = _charset(content_type)
    if kind is Kind.HTML and (meta := META_CHARSET.search(data[:4096])):
        declared = meta[1].decode("ascii")
    text, warning = decode(data, declared=declared)
    warnings: tuple[str, ...] = (warning,) if warning else ()
    if kind in {Kind.HTML, Kind.CSV} and text.strip():
        document = await _extract(text.encode(), kind, limits)
        text, warnings = document.content, warnings + _warnings(document)
    return Extraction(text.strip() + "\n", None, warnings, kind)


def _charset(content_type: str | None) -> str | None:
    match = re.search(r"charset=[\"']?([\w-]{1,40})", content_type or "", re.IGNORECASE)
    return match[1] if match else None


async def _mail(data: bytes, limits: Limits, depth: int) -> Extraction:
    mail = read_mail(data)
    body, warnings = mail.body, list(mail.warnings)
    if mail.is_html and body:
        body = (await _extract(body.encode(), Kind.HTML, limits)).content.strip()
    parts = [mail.head, body]
    for attachment in mail.attachments:
        title = f"## Attachment: {attachment.filename}"
        try:
            parts.append(f"{title}\n\n{await _attached(attachment, limits, depth)}")
        except ExtractionError as error:
            warnings.append(f"Attachment {attachment.filename} was not read: {error.message}")
    text = "\n\n".join(part for part in parts if part)
    return Extraction(text + "\n", None, tuple(warnings[:MAX_WARNINGS]), Kind.EML)


async def _attached(attachment: Attachment, limits: Limits, depth: int) -> str:
    if depth >= MAX_MAIL_DEPTH:
        raise ExtractionError(ErrorCode.UNSUPPORTED, "messages are nested too deep.")
    found = await read(
        attachment.data,
        filename=attachment.filename,
        content_type=attachment.content_type,
        limits=limits,
        depth=depth + 1,
    )
    return found.text.strip()


async def _extract(
    data: bytes, kind: Kind, limits: Limits, *, lines_only: bool = False
) -> xberg.ExtractedDocument:
    """Run the library on bytes (a URI would let it read files and the network), caches off.

    `lines_only` is a third of the work: the plain lines of a PDF without a search for tables.
    """
    config = xberg.ExtractionConfig(
        use_cache=False,
        output_format="plain" if lines_only else "markdown",
        enable_quality_processing=not lines_only,
        escape_markdown=False,
        disable_ocr=True,
        max_archive_depth=0,
        pages=xberg.PageConfig(extract_pages=True),
        pdf_options=xberg.PdfConfig(
            extract_tables=not lines_only, extract_form_fields=not lines_only
        ),
        html_options=xberg.ConversionOptions(
            extract_metadata=False, compact_tables=True, inline_data_media="drop_element"
        ),
        concurrency=xberg.ConcurrencyConfig(max_threads=1),
        security_limits=xberg.SecurityLimits(
            max_archive_size=limits.max_unpacked_bytes,
            max_content_size=limits.max_unpacked_bytes,
            max_table_cells=MAX_TABLE_CELLS,
        ),
    )
    source = xberg.ExtractInput(kind="bytes", bytes=data, mime_type=str(kind))
    try:
        result = await xberg.extract(source, config)
    except (RuntimeError, ValueError, xberg.XbergError) as error:
        raise _failure(str(error), kind) from error
    if not result.results:
        message = result.errors[0].message if result.errors else "no result"
        raise _failure(message, kind)
    return result.results[0]


def _failure(message: str, kind: Kind) -> ExtractionError:
    """Map the library's words to a code; it raises one class for everything that goes wrong."""
    words = message.lower()
    # No room for a thread's stack is told as "resource temporarily unavailable".
    if "out of memory" in words or "failed to spawn" in words:
        raise MemoryError
    if "encrypted" in words or "password" in words:
        return ExtractionError(ErrorCode.ENCRYPTED, "The file is protected by a password.")
    if "bomb" in words or "exceeds limit" in words or "limit exceeded: observed" in words:
        return ExtractionError(ErrorCode.TOO_LARGE, f"The file unfolds to too much: {message}")
    if "unsupported format" in words:
        return ExtractionError(ErrorCode.UNSUPPORTED, "This format is not supported.")
    return ExtractionError(ErrorCode.BROKEN, f"The {kind.name} file is damaged: {message}"[:500])


def _warnings(document: xberg.ExtractedDocument) -> tuple[str, ...]:
    messages = [
        TOO_MANY_CELLS if "max_table_cells" in warning.message else warning.message
        for warning in document.processing_warnings
        if warning.source not in QUIET_SOURCES
    ]
    return tuple(message[:MAX_WARNING_CHARS] for message in messages[:MAX_WARNINGS])
