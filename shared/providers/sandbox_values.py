"""Values as people write them (1.234,50 €, 3 March 2026, yes) to JSON values. Pure."""

import re
import unicodedata
from datetime import UTC, date
from email.utils import parsedate_to_datetime

THOUSANDS_DIGITS = 3
MAX_VALUE_CHARS = 60
NUMBER = re.compile(r"(?:[-+−(]\s*)?\d(?:[\d.,'’\s]*\d)?\s*[)-]?")
ISO_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})(?!\d)")
NUMERIC_DATE = re.compile(r"(?<!\d)(\d{1,2})[./-](\d{1,2})[./-](\d{4})(?!\d)")
DAY_MONTH = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th|er|º|ª)?\.?\s+(?:de\s+)?(\w+)\.?,?\s+(?:de\s+)?(\d{4})"
)
# Like an address: from the beginning of a word only, or a long one would take minutes.
MONTH_DAY = re.compile(r"(?<!\w)(\w+)\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
CLOCK = re.compile(r"(?<!\d)(\d{1,2}):(\d{2})(?::(\d{2}))?(?!\d)")
# English, German, French, Spanish, Italian: by the fewest letters that tell the months apart.
MONTHS = (
    ("jan", "jän", "ene", "gen"),
    ("feb", "fev", "fév"),
    ("mar", "mär", "maer"),
    ("apr", "avr", "abr"),
    ("may", "mai", "mag"),
    ("jun", "juin", "giu"),
    ("jul", "juil", "lug"),
    ("aug", "aou", "aoû", "ago"),
    ("sep", "set"),
    ("oct", "okt", "ott"),
    ("nov",),
    ("dec", "dez", "déc", "dic"),
)
YES = frozenset(
    {"yes", "true", "y", "ja", "oui", "sí", "si", "да", "ναι", "はい", "हाँ", "x", "✓", "☑"}
)
NO = frozenset({"no", "false", "n", "nein", "non", "нет", "не", "όχι", "いいえ", "नहीं", "☐"})
SYMBOLS = {"€": "EUR", "£": "GBP", "$": "USD", "¥": "JPY", "円": "JPY", "₹": "INR", "₽": "RUB"}
CODES = (
    "EUR|USD|GBP|JPY|INR|CHF|CNY|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|TRY|UAH|RUB|BRL|MXN"
    "|ZAR|KRW|SGD|HKD|THB|ILS|AED|SAR|EGP|NGN|KES|ARS|CLP|COP|PEN|IDR|MYR|PHP|VND|PKR|BDT|LKR"
)
CURRENCY = re.compile(rf"(?<![A-Za-z])({CODES})(?![A-Za-z])|([{''.join(SYMBOLS)}])")
Number = int | float


def number(text: str) -> Number | None:
    """Return the one number in `text`, whole ones as int; None when it has none or several."""
    plain = CURRENCY.sub(" ", _ascii_digits(text))
    found = NUMBER.findall(plain)
    if len(plain) > MAX_VALUE_CHARS or len(found) != 1 or re.search(r"\d[A-Za-z/]\d", plain):
        return None
    start, end = plain.index(found[0]), plain.index(found[0]) + len(found[0])
    if re.search(r"[A-Za-z]-?$", plain[:start]):  # the number of a thing, such as TC-2026
        return None
    if re.match(r"[A-Za-z/:]*\d|[-/:]", plain[end:]):
        return None
    return _value(found[0])


def _value(digits: str) -> Number | None:
    negative = digits.startswith(("-", "−", "(")) or digits.endswith("-")
    body = re.sub(r"[^\d.,]", "", digits)
    decimal = _decimal_mark(body)
    whole, _, fraction = body.rpartition(decimal) if decimal else (body, "", "")
    value = float(f"{re.sub(r'[.,]', '', whole) or 0}.{fraction or 0}")
    value = -value if negative else value
    return int(value) if value.is_integer() else value


def _decimal_mark(body: str) -> str:
    """Return which of `.` and `,` is the decimal mark; empty when neither is.

    The last of two kinds is; a single mark is unless exactly three digits follow it (1.000).
    """
    dot, comma = body.rfind("."), body.rfind(",")
    if dot >= 0 and comma >= 0:
        return "." if dot > comma else ","
    mark = "." if dot >= 0 else ","
    if mark not in body or body.count(mark) > 1:
        return ""
    head, _, tail = body.partition(mark)
    return "" if len(tail) == THOUSANDS_DIGITS and head.strip("0") else mark


def _ascii_digits(text: str) -> str:
    """Write the digits of every script as 0 to 9, and full-width marks as plain ones."""
    plain = unicodedata.normalize("NFKC", text)
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in plain)


def iso_date(text: str) -> str | None:
    """Return the first date in `text` as YYYY-MM-DD. In 3/4/2026 the day comes first."""
    plain = _ascii_digits(text)
    found = [(m.start(), _date(m[1], m[2], m[3])) for m in ISO_DATE.finditer(plain)]
    found += [(m.start(), _date(m[3], m[2], m[1])) for m in NUMERIC_DATE.finditer(plain)]
    found += [(m.start(), _date(m[3], _month(m[2]), m[1])) for m in DAY_MONTH.finditer(plain)]
    found += [(m.start(), _date(m[3], _month(m[1]), m[2])) for m in MONTH_DAY.finditer(plain)]
    dates = sorted((start, day) for start, day in found if day)
    return dates[0][1] if dates else None


def iso_datetime(text: str) -> str | None:
    """Return the first moment in `text` as RFC 3339; a bare date has no time and is none."""
    try:
        moment = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError):
        day, clock = iso_date(text), CLOCK.search(_ascii_digits(text))
        if not day or not clock:
            return None
        return f"{day}T{clock[1]:0>2}:{clock[2]}:{clock[3] or '00'}Z"
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return zoned.isoformat().replace("+00:00", "Z")


def _date(year: str, month: str | None, day: str) -> str | None:
    if month is None:
        return None
    for m, d in ((int(month), int(day)), (int(day), int(month))):
        try:
            return date(int(year), m, d).isoformat()
        except ValueError:
            continue  # 05/22/2026 is written the American way
    return None


def _month(word: str) -> str | None:
    name = word.casefold()
    for index, starts in enumerate(MONTHS, start=1):
        if name.startswith(starts) and name.isalpha():
            return str(index)
    return None


def boolean(text: str) -> bool | None:
    """Return what a yes or a no means, None for anything else."""
    word = text.strip().strip(".!").casefold()
    if word in YES:
        return True
    return False if word in NO else None


def currency(text: str) -> str | None:
    """Return the ISO code of the first currency that `text` names by code or sign."""
    match = CURRENCY.search(text)
    return (match[1] or SYMBOLS[match[2]]) if match else None
