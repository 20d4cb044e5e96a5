import pytest

from shared.providers.sandbox_values import boolean, currency, iso_date, iso_datetime, number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.50", 1234.5),
        ("1.234,50 €", 1234.5),
        ("EUR 143.20", 143.2),
        ("£580.20", 580.2),
        ("2,40", 2.4),
        ("1.000", 1000),
        ("0,350", 0.35),
        ("1 234,50", 1234.5),
        ("1’234.50 CHF", 1234.5),
        ("1,00,000.00", 100000),
        ("(12.00)", -12),
        ("-5", -5),
        ("३५० INR", 350),
        ("１２円", 12),
        ("20 %", 20),
        ("0", 0),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "TC-2026-0187",
        "FH7731",
        "18 at 5.40 EUR",
        "2026-02-19",
        "10:30",
        "3/4",
        "x" * 99,
    ],
)
def test_what_is_not_one_number_is_none(text: str) -> None:
    assert number(text) is None


def test_whole_numbers_are_integers() -> None:
    assert isinstance(number("348.00"), int)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("3 March 2026", "2026-03-03"),
        ("March 3, 2026", "2026-03-03"),
        ("1st August 2026", "2026-08-01"),
        ("vom 5. Mai 2026", "2026-05-05"),
        ("2 février 2026", "2026-02-02"),
        ("1 de mayo de 2026", "2026-05-01"),
        ("17.04.2026", "2026-04-17"),
        ("03/04/2026", "2026-04-03"),
        ("05/22/2026", "2026-05-22"),
        ("2026年5月21日", "2026-05-21"),
        ("१४/०७/२०२६", "2026-07-14"),
        ("due 2026-02-19, sent 2026-02-01", "2026-02-19"),
        ("Mon, 01 Jun 2026 09:12:00 +0200", "2026-06-01"),
        ("31.02.2026", None),
        ("soon", None),
    ],
)
def test_dates_become_iso(text: str, day: str | None) -> None:
    assert iso_date(text) == day


def test_moments_keep_their_zone_and_a_bare_date_is_none() -> None:
    assert iso_datetime("Mon, 01 Jun 2026 09:12:00 +0200") == "2026-06-01T09:12:00+02:00"
    assert iso_datetime("3 March 2026, 9:05") == "2026-03-03T09:05:00Z"
    assert iso_datetime("3 March 2026") is None


def test_currencies_are_known_by_code_or_sign() -> None:
    assert [currency(text) for text in ("5 USD", "£5", "EUROPE", "5")] == [
        "USD",
        "GBP",
        None,
        None,
    ]


def test_yes_and_no_in_several_languages() -> None:
    assert [boolean(text) for text in ("Yes.", "nein", "はい", "maybe")] == [
        True,
        False,
        True,
        None,
    ]
