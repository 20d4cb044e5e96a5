"""What the patterns of a schema would cost; a pattern is not to be trusted.

The library's engine takes no exponential time, but a count stands for as many copies of what it
counts: `(?:a{1,200}){1,200}` is 40,000 steps, each of which may be tried at every character. And
where a pattern looks around itself, all of them may be tried again from every character.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from pydantic import JsonValue

MAX_STEPS = 10_000
"""Of all patterns of a schema together: they are built when the schema is checked."""
MAX_WORK = 50_000_000
"""Steps at characters: about a second of a processor."""
CEILING = 1_000_000_000
_DIGITS = 9
DATA = frozenset({"enum", "const", "default", "examples"})
_COUNT = re.compile(r"\{\s*(\d*)\s*(?:(,)\s*(\d*)\s*)?\}")
_LONG_ESCAPE = re.compile(r"\\[pPxuU]\{[^}]*\}")
_LOOKS_AROUND = re.compile(r"\(\?(?:[=!>]|<[=!])|\\[1-9kg]|[*+?}]\+")
_PROPERTY_STEPS = 50
"""A property of Unicode is a class of thousands of ranges."""


def steps_of(schema: JsonValue) -> int:
    """Return how many steps all patterns of a schema have."""
    return sum(_steps(pattern) for pattern in _patterns(schema))


def work_of(schema: JsonValue, answer: JsonValue) -> int:
    """Return an upper bound of the steps that it takes to hold an answer against the patterns."""
    patterns = list(_patterns(schema))
    if not patterns:
        return 0
    lengths = [len(text) + 1 for text in _texts(answer)]
    plain, squared = sum(lengths), sum(length * length for length in lengths)
    return sum(
        _steps(each) * (squared if _LOOKS_AROUND.search(each) else plain) for each in patterns
    )


def _patterns(schema: JsonValue) -> Iterator[str]:
    left = [schema]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            if isinstance(pattern := node.get("pattern"), str):
                yield pattern
            if isinstance(named := node.get("patternProperties"), Mapping):
                yield from named
            left += [child for name, child in node.items() if name not in DATA]
        elif isinstance(node, list):
            left += node


def _texts(value: JsonValue) -> Iterator[str]:
    left = [value]
    while left:
        node = left.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            yield from node
            left += node.values()
        elif isinstance(node, list):
            left += node


@lru_cache(maxsize=4096)
def _steps(pattern: str) -> int:
    """Count the steps of a pattern with every count written out; what is no pattern has some, too."""
    groups, total, last, at = list[int](), 0, 0, 0
    while at < len(pattern):
        if pattern[at] == "(":
            groups.append(total)
            total, last, at = 0, 0, at + 1
        elif pattern[at] == ")" and groups:
            last, total, at = total, min(groups.pop() + total, CEILING), at + 1
        elif count := _COUNT.match(pattern, at):
            more = last * (_times(count) - 1)
            total, last, at = min(total + more, CEILING), min(last + more, CEILING), count.end()
        else:
            last, at = _atom(pattern, at)
            total += last
    return total + sum(groups)


def _times(count: re.Match[str]) -> int:
    least, most = int((count[1] or "0")[:_DIGITS]), int((count[3] or "0")[:_DIGITS])
    # Without an end it is one copy more, which repeats itself.
    return max(least + 1 if count[2] and not count[3] else least, most, 1)


def _atom(pattern: str, at: int) -> tuple[int, int]:
    """Return the steps of what stands there, and where the next begins."""
    if pattern[at] == "[":
        end = _end_of_class(pattern, at)
        return 1 + _PROPERTY_STEPS * len(re.findall(r"\\[pP]", pattern[at:end])), end
    if pattern[at] == "\\":
        long = _LONG_ESCAPE.match(pattern, at)
        is_property = pattern[at + 1 : at + 2] in ("p", "P")
        return _PROPERTY_STEPS if is_property else 1, long.end() if long else at + 2
    return 1, at + 1


def _end_of_class(pattern: str, at: int) -> int:
    depth, at = 1, at + 1
    if pattern[at : at + 1] == "^":
        at += 1
    # A bracket that stands first is a character.
    at += pattern[at : at + 1] == "]"
    while at < len(pattern) and depth:
        depth += {"[": 1, "]": -1}.get(pattern[at], 0)
        at += 2 if pattern[at] == "\\" else 1
    return at
