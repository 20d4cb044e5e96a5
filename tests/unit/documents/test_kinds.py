import io
import zipfile

import pytest

from shared.documents.extraction import ErrorCode, ExtractionError
from shared.documents.kinds import Kind, sniff

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\nstartxref\n9\n%%EOF\n"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 512


def archive(*names: str, size: int = 4) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in names:
            # Its own date, or the archive would be another one in each process that runs the tests.
            target.writestr(zipfile.ZipInfo(name), b"x" * size)
    return out.getvalue()


def kind_of(data: bytes, filename: str = "file", content_type: str | None = None) -> Kind:
    return sniff(data, filename=filename, content_type=content_type, max_unpacked_bytes=1_000_000)


def refusal(data: bytes, filename: str = "file") -> ErrorCode:
    with pytest.raises(ExtractionError) as caught:
        kind_of(data, filename)
    assert caught.value.message
    return caught.value.code


@pytest.mark.parametrize(
    ("data", "filename", "content_type", "expected"),
    [
        (PDF, "a.txt", "text/plain", Kind.PDF),
        (b"\x00\n" + PDF, "a", None, Kind.PDF),
        (archive("word/document.xml"), "a.bin", None, Kind.DOCX),
        (archive("xl/workbook.xml"), "a.docx", None, Kind.XLSX),
        (archive("ppt/presentation.xml"), "a.pptx", None, Kind.PPTX),
        (b"<p>hello", "a.HTM", None, Kind.HTML),
        (b"  <!DOCTYPE html><p>hello", "page", None, Kind.HTML),
        (b"From: a@b.example\n\nhello", "a.eml", None, Kind.EML),
        (b"a,b\n1,2", "a.csv", None, Kind.CSV),
        (b"a,b\n1,2", "export", "text/csv; charset=utf-8", Kind.CSV),
        (b"# hello", "a.md", "text/plain", Kind.MARKDOWN),
        (b"hello", "a.unheard-of", None, Kind.TEXT),
        (
            b"one stray zero \x00 in a text of some length is no reason to refuse it",
            "a",
            None,
            Kind.TEXT,
        ),
        ("hello".encode("utf-16"), "a.txt", None, Kind.TEXT),
        ("hello there".encode("utf-16-be"), "a.txt", None, Kind.TEXT),
    ],
)
def test_content_decides_and_name_and_type_help(
    data: bytes, filename: str, content_type: str | None, expected: Kind
) -> None:
    assert kind_of(data, filename, content_type) is expected


@pytest.mark.parametrize(
    ("data", "filename", "expected"),
    [
        (b"", "a.pdf", ErrorCode.EMPTY),
        (b" \r\n\t\x00", "a.txt", ErrorCode.EMPTY),
        (PDF[:-6], "a.pdf", ErrorCode.BROKEN),
        (PDF + b"x" * 5000, "a.pdf", ErrorCode.BROKEN),
        (b"hello", "a.pdf", ErrorCode.BROKEN),
        (b"<html>", "a.docx", ErrorCode.BROKEN),
        (archive("word/document.xml")[:40], "a.docx", ErrorCode.BROKEN),
        (archive("holiday.jpg"), "a.zip", ErrorCode.UNSUPPORTED),
        (archive("holiday.jpg"), "a.docx", ErrorCode.BROKEN),
        (
            archive("a").replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"),
            "a.docx",
            ErrorCode.BROKEN,
        ),
        (archive("word/document.xml", size=2_000_000), "a.docx", ErrorCode.TOO_LARGE),
        (archive(*(f"{n}" for n in range(10_001)), size=0), "a.xlsx", ErrorCode.TOO_LARGE),
        (OLE, "a.doc", ErrorCode.UNSUPPORTED),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "a.docx", ErrorCode.ENCRYPTED),
        (b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 9, "a.bin", ErrorCode.UNSUPPORTED),
        (b"GIF89a" + bytes(range(32)) * 4, "a.txt", ErrorCode.UNSUPPORTED),
        (rb"{\rtf1 hello}", "a.rtf", ErrorCode.UNSUPPORTED),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(
    data: bytes, filename: str, expected: ErrorCode
) -> None:
    assert refusal(data, filename) is expected


def test_padding_after_the_end_of_a_pdf_is_no_damage() -> None:
    assert kind_of(PDF + b"\x00" * 5000) is Kind.PDF
