"""What the extraction library leaves out of office files: letterheads and footers of a DOCX."""

import html
import io
import re
import zipfile
import zlib

PARAGRAPH = re.compile(r"<w:p[ >].*?</w:p>", re.DOTALL)
RUN = re.compile(r"<w:t(?: [^>]*)?>([^<]*)</w:t>|<w:(tab|br)\b")
MAX_PART_BYTES = 1_000_000
MAX_PARTS = 20


def margins(docx: bytes) -> tuple[str, str]:
    """Return the text of the page headers and of the page footers, each line once.

    Often the sender of a letter or an invoice stands nowhere else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(docx)) as archive:
            return _lines(archive, "word/header"), _lines(archive, "word/footer")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError):
        return "", ""  # the body was read all the same


def _lines(archive: zipfile.ZipFile, prefix: str) -> str:
    names = [name for name in sorted(archive.namelist()) if name.startswith(prefix)]
    lines: dict[str, None] = {}
    for name in names[:MAX_PARTS]:
        with archive.open(name) as part:
            xml = part.read(MAX_PART_BYTES).decode("utf-8", errors="replace")
        for paragraph in PARAGRAPH.findall(xml):
            text = "".join(run or " " for run, _ in RUN.findall(paragraph))
            lines[html.unescape(text).strip()] = None
    return "\n".join(line for line in lines if line)
