"""Write the binary samples beside this file and the fixtures of the document tests.

Every name, number and address is invented. The text samples (`.txt`, `.md`, `.html`, `.eml`,
`.csv`) are their own source. Run `python -m docs.samples.make_samples`: the same bytes each time.
"""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import docx
import openpyxl
import pptx
from pptx.util import Inches
from reportlab import rl_config
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from docs.samples import sample_content as content

SAMPLES = Path(__file__).parent
FIXTURES = SAMPLES.parents[1] / "tests" / "integration" / "documents" / "files"
GRID = TableStyle(
    [
        ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
        ("ALIGN", (1, 1), (-1, -1), "RIGHT"),
    ]
)
STYLES = getSampleStyleSheet()
# Parts of the template that make up half of a small DOCX: a preview and styles for Word 2007.
UNUSED = ("/thumbnail", "/stylesWithEffects")
Rows = Sequence[Sequence[str]]


def pdf(story: list[object], **options: object) -> bytes:
    """A4 PDF of platypus flowables."""
    out = io.BytesIO()
    SimpleDocTemplate(out, pagesize=A4, **options).build(story)
    return out.getvalue()


def lines(texts: Sequence[str], style: ParagraphStyle = STYLES["Normal"]) -> list[object]:
    return [Paragraph(text, style) for text in texts]


def table(rows: Rows, width: float) -> Table:
    """A ruled table whose first column is three times as wide as the others."""
    share = width / (len(rows[0]) + 2)
    return Table(rows, colWidths=[share * 3] + [share] * (len(rows[0]) - 1), style=GRID)


def coffee_pdf(**options: object) -> bytes:
    return pdf(
        [
            Paragraph("Invoice", STYLES["Title"]),
            *lines(content.COFFEE_HEAD),
            Spacer(1, 14),
            table(content.COFFEE_ROWS, 450),
            Spacer(1, 14),
            *lines(content.COFFEE_TAIL),
        ],
        title="Invoice TC-2026-0187",
        **options,
    )


def river_pdf() -> bytes:
    return pdf(
        [
            Paragraph("River Wend: water quality, spring 2026", STYLES["Title"]),
            *lines(content.RIVER_HEAD),
            Paragraph("Summary", STYLES["Heading2"]),
            *lines([content.RIVER_SUMMARY]),
            Paragraph("Measurements, upper reach", STYLES["Heading2"]),
            table(content.RIVER_UPPER, 450),
            PageBreak(),
            Paragraph("Measurements, lower reach", STYLES["Heading2"]),
            table(content.RIVER_LOWER, 450),
            Paragraph("Costs", STYLES["Heading2"]),
            table(content.RIVER_COSTS, 300),
            Spacer(1, 10),
            *lines(content.RIVER_END),
        ],
        title="River Wend: water quality, spring 2026",
    )


def kyoto_pdf() -> bytes:
    """Japanese by a reader's own font: small, and its text can still be extracted."""
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiKakuGo-W5"))
    style = ParagraphStyle("ja", fontName="HeiseiKakuGo-W5", fontSize=11, leading=20)
    return pdf(lines(content.KYOTO, style), title="Kyoto")


def blank_pdf() -> bytes:
    """What a scanner makes: a page with a picture of lines and no text."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4)
    for row in range(20):
        canvas.line(70, 760 - row * 24, 500, 760 - row * 24)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def word(blocks: Sequence[str | Rows]) -> bytes:
    """A DOCX: `# ` starts a heading, other strings are paragraphs, rows are a table."""
    document = docx.Document()
    for block in blocks:
        if isinstance(block, str):
            if block.startswith("# "):
                document.add_heading(block[2:], level=1)
            else:
                document.add_paragraph(block)
            continue
        grid = document.add_table(rows=0, cols=len(block[0]), style="Table Grid")
        for row in block:
            for cell, text in zip(grid.add_row().cells, row, strict=True):
                cell.text = text
    for rels in (document.part.rels, document.part.package.rels):
        for key in [key for key, rel in rels.items() if rel.reltype.endswith(UNUSED)]:
            del rels[key]
    out = io.BytesIO()
    document.save(out)
    return repacked(out.getvalue())


def workbook(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
        sheet.column_dimensions["A"].width = 28
    out = io.BytesIO()
    book.save(out)
    return repacked(out.getvalue())


def slides(deck: Sequence[tuple[str, Sequence[str] | Rows]]) -> bytes:
    show = pptx.Presentation()
    for title, body in deck:
        texts = [text for text in body if isinstance(text, str)]
        slide = show.slides.add_slide(show.slide_layouts[1 if texts else 5])
        slide.shapes.title.text = title
        if texts:
            slide.placeholders[1].text = "\n".join(texts)
            continue
        size = (Inches(1), Inches(2), Inches(8), Inches(3))
        grid = slide.shapes.add_table(len(body), len(body[0]), *size).table
        for r, row in enumerate(body):
            for c, text in enumerate(row):
                grid.cell(r, c).text = text
    used = {slide.slide_layout.name for slide in show.slides}
    for layout in list(show.slide_layouts):
        if layout.name not in used:
            show.slide_layouts.remove(layout)
    out = io.BytesIO()
    show.save(out)
    return repacked(out.getvalue())


def repacked(office: bytes) -> bytes:
    """The same package with fixed times, so that each run gives the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(office)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, fixed_times(name, source.read(name)), compresslevel=9)
    return out.getvalue()


def fixed_times(name: str, data: bytes) -> bytes:
    """Take the save time, which openpyxl writes whatever one sets, out of the core properties."""
    if name != "docProps/core.xml":
        return data
    return re.sub(rb">\d{4}-\d\d-\d\dT[^<]*<", b">2026-01-01T00:00:00Z<", data)


def main() -> None:
    """Write every generated file."""
    rl_config.invariant = 1
    coffee = coffee_pdf()
    samples = {
        "invoice-coffee.pdf": coffee,
        "invoice-posters.docx": word(content.POSTERS),
        "invoice-rosewater.docx": word(content.ROSEWATER),
        "invoice-solar.xlsx": workbook(content.SOLAR),
        "letter-apprentice.docx": word(content.APPRENTICE),
        "letter-cancellation.txt": content.CANCELLATION.encode("cp1252"),
        "letter-kyoto.pdf": kyoto_pdf(),
        "report-river.pdf": river_pdf(),
        "report-tram.pptx": slides(content.TRAM),
        "broken-delivery-note.pdf": coffee[:700],
    }
    fixtures = {
        "encrypted.pdf": coffee_pdf(encrypt=StandardEncryption("secret", ownerPassword="owner")),
        "scanned.pdf": blank_pdf(),
    }
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for folder, files in ((SAMPLES, samples), (FIXTURES, fixtures)):
        for name, data in files.items():
            (folder / name).write_bytes(data)
            print(f"{len(data):>7}  {name}")


if __name__ == "__main__":
    main()
