"""Give the paragraphs of a PDF their own lines back.

The Markdown of a PDF page has its tables and headings but joins the lines of a paragraph, so that
an address or a block of `Label: value` lines becomes one long line. The plain text of the same
page keeps the lines but scatters the tables. This takes the best of both.
"""

import re

SPACE = re.compile(r"\s+")
STRUCTURE = ("|", "#", "-", "*", ">", "```")


def restore_lines(markdown: str, plain: str) -> str:
    """Return `markdown` in which each paragraph that lines of `plain` spell out has those lines."""
    lines = {SPACE.sub("", line): line.strip() for line in plain.splitlines() if line.strip()}
    lengths = sorted({len(key) for key in lines}, reverse=True)
    return "\n".join(_restored(part, lines, lengths) for part in markdown.split("\n"))


def _restored(paragraph: str, lines: dict[str, str], lengths: list[int]) -> str:
    """Take the longest line that fits each time; text that no lines make up stays as it is."""
    if not paragraph.strip() or paragraph.lstrip().startswith(STRUCTURE):
        return paragraph
    wanted = SPACE.sub("", paragraph)
    found: list[str] = []
    position = 0
    while position < len(wanted):
        pieces = (wanted[position : position + length] for length in lengths)
        piece = next((piece for piece in pieces if piece in lines), None)
        if piece is None:
            return paragraph
        found.append(lines[piece])
        position += len(piece)
    return "\n".join(found)
