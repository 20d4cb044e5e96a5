"""Where in a document each value of its answer stands. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from shared.documents.chunks import Chunk, PageStart
from shared.documents.merging import Origins, leaves

MOST_PAGES = 20
MOST_VALUES = 3_000
LEAST_CHARS = 2
DIGITS = re.compile(r"\d+")
SPACE = re.compile(r"\s+")
Provenance = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of a text, each made comparable: one kind of space, no capitals."""

    texts: Mapping[int, str]
    digits: Mapping[int, frozenset[str]]

    @classmethod
    def of(cls, text: str, starts: Sequence[PageStart]) -> "Pages":
        """Cut the text into its pages."""
        ends = [*(offset for _, offset in starts[1:]), len(text)]
        cut = zip(starts, ends, strict=False)
        texts = {page: _comparable(text[start:end]) for (page, start), end in cut}
        return cls(texts, {page: frozenset(DIGITS.findall(each)) for page, each in texts.items()})

    def holding(self, value: JsonValue, among: Iterable[int]) -> list[int]:
        """Return the pages among those given on which a value can be read."""
        # Most pages are out of the question for their digits alone.
        spellings = [(word, DIGITS.findall(word)) for word in _spellings(value)]
        return [
            page
            for page in among
            if any(
                self.digits[page].issuperset(digits) and _stands(word, self.texts[page])
                for word, digits in spellings
            )
        ]


def of_pages(value: JsonValue, pages: Pages) -> Provenance:
    """Return the pages of the values of a document that was read whole; unknown ones are left out.

    On a document of one page everything is from there.
    """
    numbers = list(pages.texts)
    found: Provenance = {}
    for place, leaf in _values(value):
        its = numbers if len(numbers) == 1 else pages.holding(leaf, numbers)
        if its:
            found[place] = _listed(its)
    return found


def of_chunks(
    value: JsonValue, origins: Origins, chunks: Sequence[Chunk], pages: Pages
) -> Provenance:
    """Return where the values of a document stand that was read in chunks.

    A page where the document has pages: the one with the value's text, else all that the value's
    chunks touch. Else the first chunk.
    """
    touched = {chunk.number: chunk.pages for chunk in chunks}
    found: Provenance = {}
    for place, leaf in _values(value):
        its = origins.get(place, ())
        numbers = sorted({page for chunk in its for page in touched.get(chunk, ())})
        if numbers:
            found[place] = _listed(pages.holding(leaf, numbers) or numbers)
        elif its:
            found[place] = {"chunk": its[0]}
    return found


def _values(value: JsonValue) -> Sequence[tuple[str, JsonValue]]:
    return [(place, leaf) for place, leaf in leaves(value) if leaf is not None][:MOST_VALUES]


def _listed(pages: Sequence[int]) -> JsonValue:
    return {"pages": list(pages[:MOST_PAGES])}


def _comparable(text: str) -> str:
    return SPACE.sub(" ", text).casefold()


def _spellings(value: JsonValue) -> list[str]:
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return _numbers(value)
    word = _comparable(value).strip() if isinstance(value, str) else ""
    return [word] if len(word) >= LEAST_CHARS else []


def _numbers(value: float) -> list[str]:
    """Return how a number may be written: 1234.5 is 1,234.50 and 1.234,50 and 1 234,5 too."""
    plain = {f"{value:,}", f"{value:,.2f}"}
    if float(value).is_integer():
        plain.add(f"{int(value):,}")
    written = set()
    for each in plain:
        for thousands, point in (
            (",", "."),
            (".", ","),
            ("", "."),
            ("", ","),
            (" ", ","),
            ("'", "."),
        ):
            written.add(each.replace(",", "\0").replace(".", point).replace("\0", thousands))
    return sorted(word for word in written if len(word) >= LEAST_CHARS)


def _stands(word: str, text: str) -> bool:
    """Tell whether a word is in a text: a number not as a part of a longer one."""
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        glued = (DIGITS.match(word) and DIGITS.search(text[max(0, start - 1) : start])) or (
            DIGITS.match(word[-1]) and DIGITS.match(text[end : end + 1])
        )
        if not glued:
            return True
        start = text.find(word, start + 1)
    return False
