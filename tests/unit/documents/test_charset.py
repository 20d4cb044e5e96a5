import pytest

from shared.documents.charset import decode

GREEK = "Καλημέρα, κόσμε"
FRENCH = "résilié à Nîmes — 45 €"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marked_or_valid_text_is_read_without_a_warning(encoding: str) -> None:
    assert decode(GREEK.encode(encoding)) == (GREEK, None)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_unmarked_utf16_is_known_by_its_zero_bytes(encoding: str) -> None:
    text, warning = decode("Invoice number 17".encode(encoding))

    assert text == "Invoice number 17"
    assert warning is not None
    assert "UTF-16" in warning


def test_bytes_that_are_not_utf8_are_read_as_windows_1252_with_a_warning() -> None:
    text, warning = decode(FRENCH.encode("cp1252"))

    assert text == FRENCH
    assert warning is not None
    assert "Windows-1252" in warning


def test_the_declared_charset_is_used_when_the_bytes_are_not_utf8() -> None:
    assert decode(GREEK.encode("cp1253"), declared="windows-1253") == (GREEK, None)


def test_a_wrong_declaration_does_not_spoil_valid_utf8() -> None:
    assert decode(GREEK.encode(), declared="latin-1") == (GREEK, None)


@pytest.mark.parametrize("declared", ["no-such-charset", "ascii"])
def test_a_useless_declaration_falls_through(declared: str) -> None:
    assert decode(FRENCH.encode("cp1252"), declared=declared)[0] == FRENCH


def test_line_ends_and_control_characters_are_made_plain() -> None:
    assert decode(b"a\r\nb\rc\x00\x07d\te")[0] == "a\nb\ncd\te"
