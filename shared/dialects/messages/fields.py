"""An object of a request, read key by key; whatever is wrong with it is named by its place. Pure."""

from collections.abc import Mapping
from typing import Any

from shared.dialects.translator import Unreadable


class Fields:
    """A JSON object at a place such as `messages.0.content.1`, the empty place being the body."""

    def __init__(self, value: Any, place: str = "") -> None:
        if not isinstance(value, Mapping):
            raise wrong(place, "an object")
        self.value: Mapping[str, Any] = value
        self.place = place

    def at(self, name: str) -> str:
        """Return the place of a key."""
        return f"{self.place}.{name}" if self.place else name

    def text(self, name: str) -> str | None:
        """Return a string, None where there is none."""
        value = self.value.get(name)
        if value is None or isinstance(value, str):
            return value
        raise wrong(self.at(name), "a string")

    def needed(self, name: str) -> str:
        """Return a string that must be there."""
        value = self.text(name)
        if value is None:
            raise wrong(self.at(name), "a string")
        return value

    def number(self, name: str) -> float | None:
        """Return a number, None where there is none."""
        value = self.value.get(name)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise wrong(self.at(name), "a number")

    def integer(self, name: str) -> int | None:
        """Return a whole number, None where there is none."""
        value = self.number(name)
        if value is None or isinstance(value, int):
            return value
        raise wrong(self.at(name), "a whole number")

    def flag(self, name: str) -> bool | None:
        """Return a boolean, None where there is none."""
        value = self.value.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise wrong(self.at(name), "true or false")

    def object(self, name: str) -> "Fields | None":
        """Return an object, None where there is none."""
        value = self.value.get(name)
        return None if value is None else Fields(value, self.at(name))

    def items(self, name: str) -> list[Any]:
        """Return a list, empty where there is none."""
        value = self.value.get(name)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        raise wrong(self.at(name), "a list")

    def objects(self, name: str) -> "list[Fields]":
        """Return a list of objects, empty where there is none."""
        place = self.at(name)
        return [Fields(item, f"{place}.{index}") for index, item in enumerate(self.items(name))]


def wrong(place: str, wanted: str) -> Unreadable:
    """Return the error for a value that is not what its place wants."""
    return Unreadable(f"`{place or 'body'}` must be {wanted}", place or None)
