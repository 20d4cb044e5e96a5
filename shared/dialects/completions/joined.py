"""A streamed legacy completion put together again; pure.

Texts are kept in pieces and joined once; what nobody here knows stands as it came last.
"""

from typing import Any

from shared.dialects.chat.joined import objects
from shared.dialects.completions.answers import KIND


class CompletionJoined:
    """A `text_completion` in the making."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def add(self, event: dict[str, Any]) -> bool:
        """Add the next event; True when the model says something in it."""
        for name, value in event.items():
            if value is not None and name != "choices":
                self._head[name] = value
        speaks = False
        for part in objects(event.get("choices")):
            index = part.get("index")
            number = index if isinstance(index, int) else 0
            choice = self._choices.setdefault(number, _Choice())
            speaks = choice.add(part) or speaks
        return speaks

    def whole(self) -> dict[str, Any]:
        """Return what there is as a `text_completion` object."""
        choices = [{"index": n, **self._choices[n].whole()} for n in sorted(self._choices)]
        return {**self._head, "object": KIND, "choices": choices}

    def said(self) -> str:
        """Return all texts that were generated."""
        return "".join(choice.text() for choice in self._choices.values())


class _Choice:
    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._values: dict[str, Any] = {"logprobs": None, "finish_reason": None}
        self._logprobs: dict[str, list[Any]] = {}

    def add(self, part: dict[str, Any]) -> bool:
        for name, value in part.items():
            if value is not None and name not in ("index", "text", "logprobs"):
                self._values[name] = value
        logprobs = part.get("logprobs")
        for name, column in logprobs.items() if isinstance(logprobs, dict) else ():
            if isinstance(column, list):
                self._logprobs.setdefault(name, []).extend(column)
        text = part.get("text")
        if not isinstance(text, str) or not text:
            return False
        self._pieces.append(text)
        return True

    def text(self) -> str:
        return "".join(self._pieces)

    def whole(self) -> dict[str, Any]:
        return {"text": self.text(), **self._values, "logprobs": self._logprobs or None}
