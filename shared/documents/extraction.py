"""What comes out of a document, and what can go wrong with one."""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a document has no text for us."""

    ENCRYPTED = "encrypted_document"
    BROKEN = "broken_document"
    EMPTY = "empty_document"
    TOO_LARGE = "document_too_large"
    UNSUPPORTED = "unsupported_document"
    TIMEOUT = "extraction_timeout"
    OUT_OF_MEMORY = "extraction_out_of_memory"


class ExtractionError(Exception):
    """This document cannot be read: the client's file is the cause, and `message` says how.

    The same file fails the same way again, so nothing is gained by a retry.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ExtractorUnavailable(Exception):
    """No child could be started or the extractor is closed: the document is not to blame."""


class Images(StrEnum):
    """Which pages are wanted as pictures: none, those without text, or all."""

    NONE = "none"
    MISSING = "missing"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class PageImage:
    """A page as a picture, its bytes in base64."""

    page: int
    mime_type: str
    data: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """The text of one document.

    `text` is Markdown with its tables kept (plain text files stay as they are), `pages` counts
    PDF pages or slides and is None where the format has none, `warnings` are sentences for the
    user, `mime_type` is what the content turned out to be. `page_starts` are the pages with text:
    each one's number and where in `text` it begins.
    """

    text: str
    pages: int | None
    warnings: tuple[str, ...]
    mime_type: str
    page_starts: tuple[tuple[int, int], ...] = ()
    images: tuple[PageImage, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Ceilings for one document; the child is killed at the hard ones.

    `timeout_s` is wall time and `cpu_s` processor time for one document, `memory_bytes` is
    address space above what the child needs when idle, `max_unpacked_bytes` what the archive
    inside an office file may unfold to. With `tessdata`, a folder, and its `languages`
    text in pictures is recognised, on `max_ocr_pages` at most; `max_images` pages become pictures.
    """

    max_input_bytes: int = 50_000_000
    max_text_chars: int = 4_000_000
    max_unpacked_bytes: int = 200_000_000
    memory_bytes: int = 1_000_000_000
    timeout_s: float = 60.0
    cpu_s: int = 60
    tessdata: str = ""
    languages: tuple[str, ...] = ()
    max_ocr_pages: int = 50
    max_images: int = 20
