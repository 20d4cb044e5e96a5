"""A streamed answer of Google's put together again; pure.

Pieces of a text are kept and joined once, so that a long answer costs no more than its length.
What nobody knows is kept: of the same thing twice the newer one.
"""

from typing import Any

import orjson

TEXT_ONLY = ({"text"}, {"text", "thought"})
"""The keys of parts that are pieces of one text; what has more stands for itself."""
GROWING = frozenset({"logprobsResult", "citationMetadata"})
"""What a candidate has in lists, of which each chunk brings its own part."""


class GeminiJoined:
    """A `GenerateContentResponse` in the making."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._candidates: dict[int, _Candidate] = {}

    def add(self, event: dict[str, Any]) -> bool:
        """Add the next chunk; True when the model says something in it."""
        speaks = False
        for name, value in event.items():
            if name != "candidates" and value is not None:
                self._head[name] = value
        for part in _objects(event.get("candidates")):
            index = part.get("index")
            number = index if isinstance(index, int) else 0
            candidate = self._candidates.get(number)
            if candidate is None:
                candidate = self._candidates[number] = _Candidate()
            speaks = candidate.add(part) or speaks
        return speaks

    def whole(self) -> dict[str, Any]:
        """Return what there is as one answer."""
        if not self._candidates:
            return dict(self._head)
        candidates = [self._candidates[number].whole() for number in sorted(self._candidates)]
        return {"candidates": candidates, **self._head}

    def said(self) -> str:
        """Return all that the model generated: texts, thoughts and calls."""
        return "".join(candidate.said() for candidate in self._candidates.values())


class _Candidate:
    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._content: dict[str, Any] = {}
        self._parts: list[dict[str, Any]] = []
        self._pieces: list[list[str]] = []

    def add(self, candidate: dict[str, Any]) -> bool:
        speaks = False
        for name, value in candidate.items():
            if name == "content" and isinstance(value, dict):
                self._content |= {key: each for key, each in value.items() if key != "parts"}
                for part in _objects(value.get("parts")):
                    speaks = self._add_part(part) or speaks
            elif name in GROWING and isinstance(value, dict):
                self._fields[name] = _grown(self._fields.get(name), value)
            elif value is not None:
                self._fields[name] = value
        return speaks

    def whole(self) -> dict[str, Any]:
        joined = [
            {**part, "text": "".join(pieces)} if pieces else part
            for part, pieces in zip(self._parts, self._pieces, strict=True)
        ]
        # Google ends a stream with an empty text, which is no part of the answer.
        told = [part for part in joined if part != {"text": ""}] or joined[:1]
        content = {"parts": told, **self._content} if told else self._content
        return {"content": content, **self._fields} if content else dict(self._fields)

    def said(self) -> str:
        return "".join(
            "".join(pieces) or _spelled(part)
            for part, pieces in zip(self._parts, self._pieces, strict=True)
        )

    def _add_part(self, part: dict[str, Any]) -> bool:
        text = part.get("text")
        if not isinstance(text, str):
            self._parts.append(part)
            self._pieces.append([])
            return bool(part)
        last = self._parts[-1] if self._parts else None
        plain = part.keys() in TEXT_ONLY
        same = last is not None and last.keys() == part.keys()
        if plain and same and last is not None and last.get("thought") == part.get("thought"):
            self._pieces[-1].append(text)
        else:
            self._parts.append(part)
            self._pieces.append([text])
        return bool(text)


def _grown(known: Any, more: dict[str, Any]) -> dict[str, Any]:
    grown = dict(known) if isinstance(known, dict) else {}
    for name, value in more.items():
        both = isinstance(value, list) and isinstance(grown.get(name), list)
        grown[name] = [*grown[name], *value] if both else value
    return grown


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _spelled(part: dict[str, Any]) -> str:
    call = part.get("functionCall")
    if not isinstance(call, dict):
        return ""
    try:
        return f"{call.get('name', '')}{orjson.dumps(call.get('args')).decode()}"
    except orjson.JSONEncodeError:
        # Nested deeper than is written: no model says such a thing.
        return ""
