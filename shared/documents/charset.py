"""Bytes to text when nobody says for certain how they were encoded."""

import codecs
import re

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
MIN_SHARE = 0.3


def decode(data: bytes, *, declared: str | None = None) -> tuple[str, str | None]:
    """Return the text with `\\n` line ends, and a warning when the encoding had to be guessed.

    A byte order mark wins, then UTF-8 when the bytes are valid as such, then the declared
    charset, then UTF-16 by its zero bytes, then Windows-1252, which can read anything.
    """
    for bom, name in BOMS:
        if data.startswith(bom):
            return _clean(data.decode(name, errors="replace")), None
    for candidate in ("utf-8", declared):
        text = _strict(data, candidate)
        if text is not None and text.count("\x00") < len(text) * MIN_SHARE:
            return _clean(text), None
    return _guess(data)


def _strict(data: bytes, name: str | None) -> str | None:
    try:
        return data.decode(name) if name else None
    except (UnicodeDecodeError, LookupError):
        return None


def _guess(data: bytes) -> tuple[str, str]:
    half = max(len(data) // 2, 1)
    for name, offset in (("utf-16-le", 1), ("utf-16-be", 0)):
        if data[offset::2].count(0) / half > MIN_SHARE:
            text = data[: half * 2].decode(name, errors="replace")
            return _clean(text), "The text has no encoding mark; it was read as UTF-16."
    text = data.decode("cp1252", errors="replace")
    warning = "The text is not UTF-8; it was read as Windows-1252, so some letters may be wrong."
    return _clean(text), warning


def _clean(text: str) -> str:
    return CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
