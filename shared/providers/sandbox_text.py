"""What a text says outright: labelled values, tables, headings and prose, in reading order. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MAX_LABEL_WORDS = 6
MAX_LINES = 20_000
MIN_PROSE_CHARS = 20
MIN_PROSE_WORDS = 5
TABLE_COLUMNS = 3  # with fewer a table is a list of labels and values
LABEL = re.compile(r"(?P<label>[^:：|]{1,60}?)\s*[:：](?!//)\s*(?P<value>.*)")
GAP = re.compile(r"(?P<label>\S.{0,58}?)(?:\t+| {3,}|\.{4,}\s*)(?P<value>\S.*)")
MARKS = re.compile(r"\*\*|__|`|\\(?=[\\<>*_#|])")
BULLET = re.compile(r"^\s*(?:[-*+•>]|\d+[.)])\s+")
RULE = re.compile(r"^[\s|:=-]+$")
SENTENCE = re.compile(r".+?[.!?。！？।](?=\s|$)|.+", re.DOTALL)
NUMERIC = re.compile(r"^[^\w]*\d[\d.,\s%€£$¥]*$")
TOTALS = re.compile(
    r"^\W*((sub|grand )?total|sum|summe|gesamt|netto|итого|общо|σύνολο|合計|小計|कुल|totale?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table's column names and its rows of cells; sums at its foot are not among the rows."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(slots=True)
class Facts:
    """What was found: `pairs` are (label, value), `sections` and `lists` (heading, text under it).

    `prose` are paragraphs of sentences, each on one line.
    """

    text: str
    pairs: list[tuple[str, str]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    sections: list[tuple[str, str]] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    lists: list[tuple[str, str]] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)


def read_facts(text: str) -> Facts:
    """Take a text (Markdown, mail or plain) apart."""
    reader = _Reader(Facts(text))
    for line, rows in _blocks([*text.splitlines()[:MAX_LINES], ""]):
        if rows:
            _take_table(rows, reader.facts)
        else:
            reader.take(line)
    return reader.facts


class _Reader:
    """Goes through the lines and remembers what the next one may belong to."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._heading = ""
        self._paragraph: list[str] = []
        self._open_label = ""  # a label whose value must stand on the next line

    def take(self, line: str) -> None:
        words = MARKS.sub("", line).strip()
        if line.startswith("#"):
            self._end_paragraph()
            self._heading = words.lstrip("# ").strip()
            self.facts.headings.append(self._heading)
        elif not words:
            self._end_paragraph()
        else:
            self._take_words(words, line)

    def _take_words(self, words: str, line: str) -> None:
        labelled = _label(words)
        waiting, self._open_label = self._open_label, ""
        if labelled:
            self._end_paragraph()
            self._take_label(*labelled)
        elif waiting:
            self.facts.pairs.append((waiting, BULLET.sub("", words)))
        elif BULLET.match(line):
            self.facts.lists.append((self._heading, BULLET.sub("", words)))
        else:
            self._paragraph.append(words)

    def _take_label(self, label: str, value: str) -> None:
        if value:
            self.facts.pairs.append((label, value))
        else:
            self._open_label = label

    def _end_paragraph(self) -> None:
        """Keep a paragraph of real sentences, and under which heading it stands."""
        text = " ".join(self._paragraph)
        self._paragraph.clear()
        wide = len(text) >= MIN_PROSE_CHARS
        if wide and (len(text.split()) >= MIN_PROSE_WORDS or not text.isascii()):
            self.facts.prose.append(text)
            if self._heading:
                self.facts.sections.append((self._heading, text))


def sentences(paragraph: str) -> list[str]:
    """Split a paragraph at the ends of its sentences."""
    return [match[0].strip() for match in SENTENCE.finditer(paragraph)]


def _blocks(lines: Sequence[str]) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Yield each line with no cells, or an empty line with the cells of a whole table."""
    rows: list[tuple[str, ...]] = []
    for line in lines:
        if line.lstrip().startswith("|"):
            if not RULE.match(line) or not line.strip("| \t"):
                rows.append(_cells(line))
            continue
        if rows:
            yield "", rows
            rows = []
        yield line, []


def _cells(line: str) -> tuple[str, ...]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return tuple(MARKS.sub("", cell).strip() for cell in re.split(r"(?<!\\)\|", inner))


def _label(words: str) -> tuple[str, str] | None:
    """Return the label and value of a line such as `Total: 5` or `Total ..... 5`."""
    line = BULLET.sub("", words)
    match = LABEL.fullmatch(line) or GAP.fullmatch(line)
    if not match or not re.search(r"[^\W\d]", match["label"]):
        return None
    label, value = match["label"].strip(), match["value"].strip()
    if len(label.split()) > MAX_LABEL_WORDS or (label[-1].isdigit() and value[:1].isdigit()):
        return None
    return label, value


def _take_table(rows: list[tuple[str, ...]], facts: Facts) -> None:
    """Split the rows of a block: labels with values, and tables with a row of column names."""
    widest = max(len(_filled(row)) for row in rows)
    header: tuple[str, ...] = ()
    records: list[tuple[str, ...]] = []
    for index, row in enumerate(rows):
        filled = _filled(row)
        following = rows[index + 1] if index + 1 < len(rows) else ()
        if not header and _is_header(row, following, widest):
            header = row
        elif header and len(filled) > len(_filled(header)) // 2 and not TOTALS.match(filled[0]):
            records.append(row)
        elif len(filled) > 1 and len(filled) <= TABLE_COLUMNS:
            facts.pairs.append((filled[0], filled[-1]))
        elif not filled and records:
            _close_table(header, records, facts)
            header, records = (), []
    _close_table(header, records, facts)


def _filled(row: tuple[str, ...]) -> list[str]:
    return [cell for cell in row if cell]


def _is_header(row: tuple[str, ...], following: tuple[str, ...], widest: int) -> bool:
    """Names stand over values: as many cells as any row, and none is a number."""
    filled = _filled(row)
    if len(filled) < max(widest, 2) or any(NUMERIC.match(cell) for cell in filled[:1]):
        return False
    over_number = any(
        NUMERIC.match(below) and not NUMERIC.match(name)
        for name, below in zip(row, following, strict=False)
        if name
    )
    return len(filled) >= TABLE_COLUMNS or over_number


def _close_table(header: tuple[str, ...], records: list[tuple[str, ...]], facts: Facts) -> None:
    """Keep the table; a column that says the same in every row says it of the document."""
    if not header or not records:
        return
    facts.tables.append(Table(header, tuple(records)))
    for column, name in enumerate(header):
        values = {row[column] for row in records if column < len(row)}
        if name and len(values) == 1 and "" not in values:
            facts.pairs.append((name, values.pop()))
