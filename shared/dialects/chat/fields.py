"""What stands in a body that anyone may have sent: read with care, named where it is wrong. Pure."""

from collections.abc import Iterator
from typing import Any

from shared.dialects.translator import Json, Unreadable


def text_of(source: Json, name: str, where: str = "") -> str | None:
    """Return a text, None where there is none."""
    value = source.get(name)
    if value is None or isinstance(value, str):
        return value
    raise wrong(_at(where, name), "a text")


def needed_text(source: Json, name: str, where: str) -> str:
    """Return a text that must be there."""
    value = source.get(name)
    if isinstance(value, str):
        return value
    raise wrong(_at(where, name), "a text")


def whole_number(source: Json, name: str) -> int | None:
    """Return a whole number, None where there is none."""
    value = source.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise wrong(name, "a whole number")


def number(source: Json, name: str) -> float | None:
    """Return a number, None where there is none."""
    value = source.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise wrong(name, "a number")


def flag(source: Json, name: str, where: str = "") -> bool | None:
    """Return yes or no, None where neither is said."""
    value = source.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise wrong(_at(where, name), "true or false")


def object_of(source: Json, name: str, where: str = "") -> dict[str, Any] | None:
    """Return an object, None where there is none."""
    value = source.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise wrong(_at(where, name), "an object")


def needed_object(source: Json, name: str, where: str) -> dict[str, Any]:
    """Return an object that must be there."""
    value = object_of(source, name, where)
    if value is None:
        raise wrong(_at(where, name), "an object")
    return value


def objects_of(source: Json, name: str, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a list, each with its place."""
    at = _at(where, name)
    value = source.get(name)
    if value is None:
        return
    if not isinstance(value, list):
        raise wrong(at, "a list")
    for index, each in enumerate(value):
        if not isinstance(each, dict):
            raise wrong(f"{at}[{index}]", "an object")
        yield f"{at}[{index}]", each


def wrong(where: str, kind: str) -> Unreadable:
    """Return the error for a value that is something else than it must be."""
    return Unreadable(f"{where} must be {kind}.", where)


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
