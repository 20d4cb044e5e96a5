"""Which kind of document some bytes are: the content decides, name and type only help with text."""

import io
import re
import zipfile
from enum import StrEnum
from pathlib import PurePath

from shared.documents.extraction import ErrorCode, ExtractionError

PDF_MARK_WITHIN = 1024
PDF_END_WITHIN = 2048
SNIFF = 4096
MAX_MEMBERS = 10_000
CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
CONTROLS_ONE_IN = 50
OLE_MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Kind(StrEnum):
    """The formats we read, by their MIME types."""

    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    HTML = "text/html"
    EML = "message/rfc822"
    CSV = "text/csv"
    MARKDOWN = "text/markdown"
    TEXT = "text/plain"
    PNG = "image/png"
    JPEG = "image/jpeg"


SUFFIXES = {
    ".pdf": Kind.PDF,
    ".docx": Kind.DOCX,
    ".xlsx": Kind.XLSX,
    ".pptx": Kind.PPTX,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".xhtml": Kind.HTML,
    ".eml": Kind.EML,
    ".csv": Kind.CSV,
    ".tsv": Kind.CSV,
    ".md": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".txt": Kind.TEXT,
    ".log": Kind.TEXT,
}
TYPES = {str(kind): kind for kind in Kind if not kind.startswith("image/")} | {
    "application/xhtml+xml": Kind.HTML,
    "application/csv": Kind.CSV,
    "text/tab-separated-values": Kind.CSV,
    "text/x-markdown": Kind.MARKDOWN,
}
PICTURES = ((b"\x89PNG\r\n\x1a\n", Kind.PNG), (b"\xff\xd8\xff", Kind.JPEG))
OFFICE = {
    "word/document.xml": Kind.DOCX,
    "xl/workbook.xml": Kind.XLSX,
    "ppt/presentation.xml": Kind.PPTX,
}
BINARY = frozenset({Kind.PDF, *OFFICE.values()})
SUPPORTED = (
    "PDF, DOCX, XLSX, PPTX, HTML, EML, Markdown, CSV, plain text and PNG and JPEG pictures are read"
)


def sniff(data: bytes, *, filename: str, content_type: str | None, max_unpacked_bytes: int) -> Kind:
    """Return the kind of `data`.

    Raises ExtractionError for what is empty, encrypted, cut off, unfolds to too much or is
    none of our formats.
    """
    if not data.strip(b"\x00\t\n\r "):
        raise ExtractionError(ErrorCode.EMPTY, "The file is empty.")
    if b"%PDF-" in data[:PDF_MARK_WITHIN]:
        return _whole_pdf(data)
    claimed = _claimed(filename, content_type)
    if data.startswith(b"PK\x03\x04"):
        return _office(data, claimed, max_unpacked_bytes)
    if (picture := _picture(data)) is not None:
        return picture
    if data.startswith(OLE_MARK):
        raise _ole(data)
    _refuse_binary(data, claimed)
    if claimed is None and re.match(rb"\s*(<!doctype html|<html)", data[:SNIFF], re.IGNORECASE):
        return Kind.HTML
    return claimed or Kind.TEXT


def _picture(data: bytes) -> Kind | None:
    return next((picture for mark, picture in PICTURES if data.startswith(mark)), None)


def _refuse_binary(data: bytes, claimed: Kind | None) -> None:
    if claimed in BINARY:
        name = claimed.name
        raise ExtractionError(ErrorCode.BROKEN, f"The file is called {name} but is not one inside.")
    if _is_binary(data) or data.startswith(b"{\\rtf"):
        raise ExtractionError(ErrorCode.UNSUPPORTED, f"This format is not supported: {SUPPORTED}.")


def _claimed(filename: str, content_type: str | None) -> Kind | None:
    by_name = SUFFIXES.get(PurePath(filename).suffix.lower())
    return by_name or TYPES.get((content_type or "").partition(";")[0].strip().lower())


def _whole_pdf(data: bytes) -> Kind:
    """A reader repairs a PDF that was cut off by leaving pages out; a refusal is the better answer.

    Such a file lacks the end mark, which every whole one has in its last bytes.
    """
    tail = data.rstrip(b"\x00\t\n\r ")[-PDF_END_WITHIN:]
    if b"%%EOF" not in tail:
        raise ExtractionError(
            ErrorCode.BROKEN, "The PDF ends too early: it was cut off in a download or a copy."
        )
    return Kind.PDF


def _office(data: bytes, claimed: Kind | None, max_unpacked_bytes: int) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        label = claimed.name if claimed in BINARY else "archive"
        message = f"The {label} file is damaged or was cut off: its contents cannot be listed."
        raise ExtractionError(ErrorCode.BROKEN, message) from error
    unpacked = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or unpacked > max_unpacked_bytes:
        message = (
            f"The file unfolds to {unpacked:,} bytes in {len(members):,} parts;"
            f" the limits are {max_unpacked_bytes:,} and {MAX_MEMBERS:,}."
        )
        raise ExtractionError(ErrorCode.TOO_LARGE, message)
    for member in members:
        kind = OFFICE.get(member.filename)
        if kind and member.flag_bits & 1:
            raise ExtractionError(ErrorCode.ENCRYPTED, "The file is protected by a password.")
        if kind:
            return kind
    if claimed in BINARY:
        message = f"The file is called {claimed.name} but is not one inside."
        raise ExtractionError(ErrorCode.BROKEN, message)
    message = f"The file is an archive of another kind: {SUPPORTED}."
    raise ExtractionError(ErrorCode.UNSUPPORTED, message)


def _ole(data: bytes) -> ExtractionError:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return ExtractionError(ErrorCode.ENCRYPTED, "The file is protected by a password.")
    message = "The file is in an Office format from before 2007: save it as DOCX, XLSX or PPTX."
    return ExtractionError(ErrorCode.UNSUPPORTED, message)


def _is_binary(data: bytes) -> bool:
    """Text has next to no control bytes, except in UTF-16 and UTF-32 the zeros of every letter."""
    head = data[:SNIFF]
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return False
    even, odd = head[::2].count(0), head[1::2].count(0)
    if min(even, odd) == 0 and max(even, odd) > len(head) // 8:
        return False
    return len(CONTROLS.findall(head)) > len(head) // CONTROLS_ONE_IN
