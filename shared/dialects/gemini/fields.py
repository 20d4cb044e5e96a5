"""Google's objects as they come: names in either spelling, null for absent, numbers perhaps as texts."""

import re
from typing import Any

from shared.dialects.translator import Unreadable

Fields = dict[str, Any]
# Whatever is longer no JSON of ours could say again.
WHOLE = re.compile(r"-?[0-9]{1,18}")
MOST = 2**63 - 1


def camel(name: str) -> str:
    """Return a name as Google writes it: `inline_data` is `inlineData`."""
    if "_" not in name or name.startswith("_"):
        return name
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def fields(value: object, where: str) -> Fields:
    """Return an object with its names in Google's spelling, without what is null.

    Raises:
        Unreadable: it is no object.
    """
    if not isinstance(value, dict):
        message = f"`{where}` must be an object"
        raise Unreadable(message, where)
    return {camel(name): each for name, each in value.items() if each is not None}


def listed(value: object, where: str) -> list[Any]:
    """Return a list; one object alone, as Google takes it too, is a list of one.

    Raises:
        Unreadable: it is neither.
    """
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        message = f"`{where}` must be a list"
        raise Unreadable(message, where)
    return value


def text(given: Fields, name: str, where: str, *, needed: bool = False) -> str | None:
    """Return a text; None where there is none.

    Raises:
        Unreadable: it is no text, or is missing though it is needed.
    """
    value = given.get(name)
    if value is None and not needed:
        return None
    if not isinstance(value, str) or (needed and not value):
        message = f"`{where}.{name}` must be a text"
        raise Unreadable(message, f"{where}.{name}")
    return value


def texts(given: Fields, name: str, where: str) -> tuple[str, ...]:
    """Return a list of texts, empty where there is none.

    Raises:
        Unreadable: it is something else.
    """
    value = given.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        message = f"`{where}.{name}` must be a list of texts"
        raise Unreadable(message, f"{where}.{name}")
    return tuple(value)


def number(given: Fields, name: str, where: str) -> float | None:
    """Return a number; None where there is none.

    Raises:
        Unreadable: it is no number.
    """
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    message = f"`{where}.{name}` must be a number"
    raise Unreadable(message, f"{where}.{name}")


def integer(given: Fields, name: str, where: str) -> int | None:
    """Return a whole number, which may come as `40`, `40.0` or `"40"`; None where there is none.

    Raises:
        Unreadable: it is no whole number.
    """
    value = given.get(name)
    if value is None:
        return None
    found = counted(value)
    if found is not None:
        return found
    message = f"`{where}.{name}` must be a whole number"
    raise Unreadable(message, f"{where}.{name}")


def counted(value: object) -> int | None:
    """Return a whole number of 64 bits, in any way that Google takes it; None for all else."""
    if isinstance(value, str):
        return int(value) if WHOLE.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MOST <= value <= MOST:
        return None
    return int(value) if value == int(value) else None
