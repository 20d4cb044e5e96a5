"""Documents made for the occasion: too many or too large to keep in the repository."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

FILES = Path(__file__).parent / "files"
SAMPLES = Path(__file__).parents[3] / "docs" / "samples"


def pdf(pages: int, lines_per_page: int = 50) -> bytes:
    """Return a plain PDF of many lines: about 10 ms of work a page."""
    numbers = range(lines_per_page)
    return pdf_of(
        [
            [
                f"Page {page} line {line} of a long and dull report on nothing at all"
                for line in numbers
            ]
            for page in range(pages)
        ]
    )


def pdf_of(pages: Sequence[Sequence[str]]) -> bytes:
    """Return a plain PDF whose pages have these lines (no brackets in them)."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    kids = []
    for page in pages:
        lines = "".join(f"({line}) Tj T*\n" for line in page)
        stream = f"BT /F1 11 Tf 50 780 Td 14 TL\n{lines}ET".encode()
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
    listed = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), listed)
    return _assembled(objects)


def _assembled(objects: list[bytes]) -> bytes:
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for offset in offsets:
        out.write(b"%010d 00000 n \n" % offset)
    out.write(
        b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    )
    return out.getvalue()


def html(paragraphs: int) -> bytes:
    """Return a page that needs about 3 KB of memory for each of its paragraphs."""
    return b"<html><body>" + b"<p>hello <b>world</b> and more</p>" * paragraphs


def swollen(sample: str, member: str, after: bytes, filler: bytes, times: int) -> bytes:
    """Return a sample office file with `filler` put into one of its parts so many times."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(SAMPLES / sample) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target,
    ):
        for name in source.namelist():
            data = source.read(name)
            if name != member:
                target.writestr(name, data)
                continue
            head, mark, tail = data.partition(after)
            assert mark, f"{member} of {sample} lacks {after!r}"
            with target.open(name, "w") as part:
                part.write(head + mark)
                for _ in range(times):
                    part.write(filler)
                part.write(tail)
    return out.getvalue()


def docx_bomb(megabytes: int) -> bytes:
    """Return a DOCX of a few KB whose text unfolds to so many megabytes."""
    paragraph = b"<w:p><w:r><w:t>" + b"A" * 9_970 + b"</w:t></w:r></w:p>"
    return swollen(
        "letter-apprentice.docx", "word/document.xml", b"<w:body>", paragraph, megabytes * 100
    )


def xlsx_bomb(megabytes: int) -> bytes:
    """Return an XLSX of a few KB whose first sheet unfolds to so many megabytes."""
    return swollen(
        "invoice-solar.xlsx",
        "xl/worksheets/sheet1.xml",
        b"<sheetData>",
        b" " * 10_000,
        megabytes * 100,
    )


def lying(bomb: bytes) -> bytes:
    """Return the archive with small sizes in its directory, as if it unfolded to 1,000 bytes."""
    data = bytearray(bomb)
    position = data.find(b"PK\x01\x02")
    while position >= 0:
        data[position + 24 : position + 28] = (1_000).to_bytes(4, "little")
        position = data.find(b"PK\x01\x02", position + 4)
    return bytes(data)
