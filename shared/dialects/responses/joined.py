"""A stream's events put together to the response that they tell of. Pure.

The last event holds the whole of it. What is kept beside it is for a stream that was cut, and for
servers whose last event lacks what they said before.
"""

from typing import Any

SAID = (".delta", ".partial_image")


class ResponsesJoined:
    """A response in the making."""

    def __init__(self) -> None:
        self._response: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._pieces: list[str] = []

    def add(self, event: dict[str, Any]) -> bool:
        """Add the next event; True when the model says something in it."""
        kind = str(event.get("type"))
        response = event.get("response")
        if isinstance(response, dict):
            self._response = response
        item, index = event.get("item"), event.get("output_index")
        if isinstance(item, dict) and isinstance(index, int):
            self._items[index] = item
        delta = event.get("delta")
        if kind.endswith(SAID) and isinstance(delta, str) and delta:
            self._pieces.append(delta)
            return True
        return False

    def whole(self) -> dict[str, Any]:
        """Return the response; one that has not ended is as far as its last event told."""
        if self._response.get("output") or not self._items:
            return self._response
        return {**self._response, "output": [self._items[n] for n in sorted(self._items)]}

    def said(self) -> str:
        """Return all that the model generated: texts, thoughts and calls."""
        return "".join(self._pieces)
