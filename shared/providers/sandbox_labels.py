"""Which labels in a text may stand for which property of a schema. Pure."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

MAX_ALIAS_WORDS = 5
MIN_WIDE_CHARS = 2
EXACT, WITHIN, PART = 100, 60, 30
WORDS = re.compile(r"[^\W_]+")
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
SPLIT = re.compile(r"[,;:()\[\]\"“”'’/\n]|\.(?:\s|$)|\bor\b|\be\.g\.")
# Different ways to write one word of a label.
SAME = {"no": "number", "nr": "number", "num": "number", "nº": "number", "ref": "reference"}
NUMBER_SIGNS = re.compile(r"[#№]|\bn°|\bnº")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The words that may label a property: its own name and title first, then its description's."""

    names: tuple[str, ...]
    aliases: tuple[str, ...]


def wanted(name: str, node: Mapping[str, JsonValue], parent: str = "") -> Wanted:
    """Return what to look for: for `name` in an object called `parent`, `parent name` comes first."""
    own = normal(name)
    title = normal(_text(node.get("title")))
    names = [f"{parent} {own}"] if parent else []
    if parent and own in {"name", "value", "text", "amount", "id", "number"}:
        names.append(parent)
    names += [own] if own else []
    names += [title] if title else []
    phrases = (normal(part) for part in SPLIT.split(_text(node.get("description"))))
    aliases = [part for part in phrases if part and len(part.split()) <= MAX_ALIAS_WORDS]
    return Wanted(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(aliases)))


def normal(label: str) -> str:
    """Return a label in the form in which labels are compared: lower case words, one way written."""
    spaced = CAMEL.sub(" ", NUMBER_SIGNS.sub(" number ", unicodedata.normalize("NFKC", label)))
    # Combining vowel signs are part of a word in Indian scripts, though not letters.
    kept = "".join(
        c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in spaced
    )
    return " ".join(SAME.get(word, word) for word in kept.casefold().split())


def ranked(pairs: Sequence[tuple[str, str]], sought: Wanted) -> list[str]:
    """Return the values whose label (as `normal` writes it) fits, best first, then as read."""
    scored = [(score(label, sought), value) for label, value in pairs]
    return [value for points, value in sorted(scored, key=lambda pair: -pair[0]) if points > 0]


def score(given: str, sought: Wanted) -> float:
    """Return how well a label fits, 0 for not at all; own names before aliases, in their order.

    `given` is the label as `normal` writes it.
    """
    if not given:
        return 0
    best = 0.0
    for order, name in enumerate(sought.names):
        best = max(best, _fit(given, name, partly=True) - order)
    for order, alias in enumerate(sought.aliases):
        best = max(best, _fit(given, alias, partly=False) - 10 - order / 10)
    return best


def _fit(given: str, name: str, *, partly: bool) -> float:
    if given == name:
        return EXACT
    words, sought = given.split(), name.split()
    if not sought:
        return 0
    if words[-len(sought) :] == sought or words[: len(sought)] == sought:
        return WITHIN - len(words)  # `invoice date` for `date`
    if not name.isascii() and len(name) >= MIN_WIDE_CHARS and given.endswith(name):
        return WITHIN - len(given)  # scripts without spaces
    if partly and sought[: len(words)] == words and len(words[0]) > MIN_WIDE_CHARS:
        return PART  # `total` for `total amount`
    return 0


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""
