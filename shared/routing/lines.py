"""In which line of a TOML file something stands: its parser keeps no positions. Pure."""

import re
from collections.abc import Sequence

Place = Sequence[str | int]
_HEADER = re.compile(r"^\s*\[\[?\s*([A-Za-z0-9_.\- \"']+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*[=.]""")


def line_of(text: str, place: Place) -> int | None:
    """Return the line, counted from 1, of e.g. `("deployments", 2, "rpm")`; None where it is not found.

    Where a field is absent, its table's first line is returned.
    """
    lines = text.splitlines()
    names = [str(each) for each in place if not isinstance(each, int)]
    if not names:
        return None
    nth = next((each for each in place if isinstance(each, int)), 0)
    block = _block(lines, names[0], nth)
    if block is None:
        return _first(lines, 0, len(lines), names[:1])
    begin, end = block
    return _first(lines, begin, end, names[1:]) or begin + 1


def _block(lines: Sequence[str], table: str, nth: int) -> tuple[int, int] | None:
    """Return where the nth table of an array begins and ends, with the tables inside it."""
    begins = [at for at, line in enumerate(lines) if _header(line) == table]
    if nth >= len(begins):
        return None
    begin = begins[nth]
    ends = (
        at
        for at in range(begin + 1, len(lines))
        if (name := _header(lines[at])) is not None and not name.startswith(f"{table}.")
    )
    return begin, next(ends, len(lines))


def _first(lines: Sequence[str], begin: int, end: int, names: Sequence[str]) -> int | None:
    """Return the line of the last of these nested names that can be seen."""
    found: int | None = None
    at = begin
    for name in names:
        for index in range(at, end):
            if _key(lines[index]) == name or (_header(lines[index]) or "").endswith(f".{name}"):
                found, at = index + 1, index
                break
    return found


def _header(line: str) -> str | None:
    match = _HEADER.match(line)
    return match and re.sub(r"[\s\"']", "", match[1])


def _key(line: str) -> str | None:
    match = _KEY.match(line)
    return match and next(each for each in match.groups() if each is not None)
