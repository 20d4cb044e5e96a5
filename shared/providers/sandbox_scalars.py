"""Readings of one piece of text as a string, a number, a boolean or a choice. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from shared.providers.sandbox_labels import normal
from shared.providers.sandbox_text import Facts, sentences
from shared.providers.sandbox_values import boolean, currency, iso_date, iso_datetime, number

# From the beginning of a word only: from each of its letters a long one would take minutes.
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
LINK = re.compile(r"https?://[^\s<>\"')\]]+")
CLOCK = re.compile(r"(?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?!\d)")
GROUP = re.compile(r"([\w -]+?)\s*\(([^()]*)\)")
MAX_SUMMARY_CHARS = 400
MAX_TITLE_CHARS = 120
MAX_WORDS = 20
MAX_SEARCHED_CHARS = 20_000
TITLES = frozenset({"title", "subject", "heading", "headline", "name of document"})
SUMMARIES = frozenset({"summary", "abstract", "gist", "overview"})
DATES = frozenset({"date", "document date", "issue date", "letter date"})
Schema = Mapping[str, JsonValue]


def scalars(node: Schema, kind: str, name: str, value: str) -> list[JsonValue]:
    """Return the readings of one labelled value as `kind`, the best first; often none or one."""
    if "enum" in node:
        return _choices(node, name, value)[:1]
    if kind == "string":
        return _strings(node, name, value)
    return _some(_plain(kind, value))


def scalar_from_text(node: Schema, kind: str, name: str, facts: Facts) -> list[JsonValue]:
    """Return readings of the text as a whole, for the few things that need no label."""
    if "enum" in node:
        return _choices(node, name, facts.text)
    return _by_name(node, normal(name), facts) if kind == "string" else []


def _by_name(node: Schema, own: str, facts: Facts) -> list[JsonValue]:
    """Return what a property of this name means in any text."""
    if own in TITLES:
        return list(facts.headings[:1]) or _first_line(facts.text)
    if own in SUMMARIES:
        return _first_sentence(facts.prose)
    if "currency" in own.split():
        return _some(currency(facts.text))
    if own in DATES:
        return _some(iso_date(facts.text))
    return _of_format(node, own, facts.text)


def _plain(kind: str, value: str) -> JsonValue:
    if kind == "boolean":
        return boolean(value)
    if kind in {"number", "integer"}:
        return number(value)
    return None


def _strings(node: Schema, name: str, value: str) -> list[JsonValue]:
    """Return the value in the schema's format, else as it stands, else parts of it."""
    readers: dict[JsonValue, Callable[[str], str | None]] = {
        "date": iso_date,
        "date-time": iso_datetime,
        "time": lambda text: _match(CLOCK, text),
        "email": lambda text: _match(EMAIL, text),
        "uri": lambda text: _match(LINK, text),
    }
    reader = readers.get(node.get("format"))
    if reader:
        return _some(reader(value))
    readings = _some(currency(value)) if "currency" in normal(name).split() else []
    readings.append(value)
    if "pattern" in node:  # tried as they are: the pattern itself is only safe in the validator
        readings += [word.strip(".,;()") for word in value.split()[:MAX_WORDS]]
    longest = node.get("maxLength")
    if isinstance(longest, int):
        readings.append(value[:longest])
    return readings


def _choices(node: Schema, name: str, text: str) -> list[JsonValue]:
    """Return the choices that the text names, in the order in which it names them."""
    options = node.get("enum")
    if not isinstance(options, list):
        return []
    if "currency" in normal(name).split() and currency(text) in options:
        return _some(currency(text))
    words = normal(text[:MAX_SEARCHED_CHARS])
    also = _synonyms(node)
    found = []
    for option in options:
        if isinstance(option, str):
            names = [normal(option), *also.get(normal(option), ())]
            places = [place for one in names if (place := _place(one, words)) >= 0]
            if places:
                found.append((min(places), option))
    return [option for _, option in sorted(found, key=lambda pair: pair[0])]


def _synonyms(node: Schema) -> dict[str, list[str]]:
    """Read `invoice (Rechnung, facture), letter (Brief)` in a description."""
    description = node.get("description")
    groups = GROUP.findall(description if isinstance(description, str) else "")
    return {
        normal(option): [normal(one) for one in others.split(",") if normal(one)]
        for option, others in groups
    }


def _place(name: str, words: str) -> int:
    """Return where whole words stand in a text, -1 for nowhere; wide scripts have no spaces."""
    if not name:
        return -1
    edge = "" if _is_wide(name) else " "
    return f" {words} ".find(f"{edge}{name}{edge}")


def _is_wide(name: str) -> bool:
    """Whether this is Chinese, Japanese or Korean, by the first character."""
    return "\u3000" <= name[0] <= "\u9fff" or "\uac00" <= name[0] <= "\ud7af"


def _of_format(node: Schema, own: str, text: str) -> list[JsonValue]:
    """An address or a link stands for itself where the property is called after it."""
    words = set(own.split())
    if node.get("format") == "email" or words & {"email", "mail"}:
        return _some(_match(EMAIL, text))
    if node.get("format") == "uri" or words & {"url", "link", "website"}:
        return _some(_match(LINK, text))
    return []


def _first_line(text: str) -> list[JsonValue]:
    lines = (line.strip() for line in text.splitlines() if not line.lstrip().startswith("|"))
    first = next((line for line in lines if line), "")
    return _some(first if 0 < len(first) <= MAX_TITLE_CHARS and ":" not in first else None)


def _first_sentence(prose: Sequence[str]) -> list[JsonValue]:
    """Return the first sentence that ends like one; a line of an address does not."""
    for paragraph in prose:
        for sentence in sentences(paragraph):
            if sentence.endswith((".", "!", "?", "。", "।")):
                return [sentence[:MAX_SUMMARY_CHARS]]
    return []


def _match(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match[0] if match else None


def _some(value: JsonValue) -> list[JsonValue]:
    return [] if value is None else [value]
