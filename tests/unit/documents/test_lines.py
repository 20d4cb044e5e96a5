from shared.documents.lines import restore_lines

PLAIN = """\
Heading
Falmouth Ltd
Invoice number: 17
Bill to: Marram & Sons
Item
Tea
3
"""


def test_a_joined_paragraph_gets_its_lines_back_and_the_table_stays() -> None:
    table = "| Item |\n| --- |\n| Tea |"
    markdown = f"# Heading\n\nFalmouth Ltd Invoice number: 17 Bill to: Marram & Sons\n\n{table}"

    restored = restore_lines(markdown, PLAIN)

    assert restored == (
        f"# Heading\n\nFalmouth Ltd\nInvoice number: 17\nBill to: Marram & Sons\n\n{table}"
    )


def test_scripts_joined_without_a_space_are_split_as_well() -> None:
    assert restore_lines("日付: 5月差出人: 旅館 係", "日付: 5月\n差出人: 旅館 係") == (
        "日付: 5月\n差出人: 旅館 係"
    )


def test_text_that_the_lines_do_not_spell_stays_as_it_is() -> None:
    markdown = "Falmouth Ltd Invoice number: 18"

    assert restore_lines(markdown, PLAIN) == markdown
    assert restore_lines(markdown, "") == markdown


def test_nothing_but_white_space_ever_changes() -> None:
    markdown = "Falmouth Ltd Item Tea 3 Bill to: Marram & Sons"

    assert "".join(restore_lines(markdown, PLAIN).split()) == "".join(markdown.split())
