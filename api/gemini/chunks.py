"""The chunks of Google's streams as its official clients expect them; pure.

In: `GenerateContentResponse` objects as the worker logged them, or the whole answer. Out: server-sent
events with nothing but `data: ` lines, for these clients take every other byte for a broken answer
(no comments, so no keep-alives, and no `[DONE]`); or one JSON array.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from starlette.types import Scope
from typing_extensions import override

from api.errors import REQUEST_ID
from api.surfaces import gemini_error
from shared.errors import PenstockError

Json = dict[str, Any]


def ascii_json(value: Mapping[str, Any]) -> bytes:
    """Write JSON in ASCII: some readers break lines at U+2028 and U+0085."""
    raw = orjson.dumps(value)
    return raw if raw.isascii() else json.dumps(value, separators=(",", ":")).encode("ascii")


class _Chunks:
    """One client's stream: what it has had, and how to go on.

    `begun` once something was said: from then on another answer cannot take its place. `broken`
    once a failure was told of.
    """

    keep_alive = b""
    media_type = "text/event-stream; charset=utf-8"
    lacks_something = False

    def __init__(self) -> None:
        self.begun = False
        self.broken = False
        self._candidates: dict[int, _Sent] = {}
        self._any = False

    def opening(self) -> bytes:
        """Return nothing: the first chunk is the model's."""
        return b""

    def encode(self, raw: bytes) -> bytes:
        """Return a JSON array of chunks as they are sent."""
        return b"".join(map(self._chunk, orjson.loads(raw)))

    def rest(self, whole: Json) -> bytes:
        """Return what the whole answer has beyond the chunks so far, as one chunk."""
        if not self._any:
            return self._chunk(whole)
        left = [*self._unsaid(whole.get("candidates") or ())]
        return self._chunk({**whole, "candidates": left}) if left else b""

    def failed(self, error: PenstockError, scope: Scope) -> bytes:
        """Return the error as an object of its own in the stream."""
        self.broken = True
        return self._spell(gemini_error(error, scope.get(REQUEST_ID))) + self.end()

    def end(self) -> bytes:
        """Return what stands at the end: nothing."""
        return b""

    def _chunk(self, chunk: Json) -> bytes:
        self._any = True
        for candidate in chunk.get("candidates") or ():
            self._sent(candidate).count(candidate)
        self.begun = self.begun or any(sent.begun for sent in self._candidates.values())
        return self._spell(chunk)

    def _spell(self, value: Json) -> bytes:
        return b"data: " + ascii_json(value) + b"\r\n\r\n"

    def _unsaid(self, candidates: Sequence[Json]) -> Iterator[Json]:
        for candidate in candidates:
            sent = self._sent(candidate)
            if not sent.finished:
                content = candidate.get("content") or {}
                parts = [*sent.unsaid(content.get("parts") or ())]
                yield {**candidate, "content": {"role": "model", **content, "parts": parts}}

    def _sent(self, candidate: Json) -> "_Sent":
        return self._candidates.setdefault(candidate.get("index") or 0, _Sent())


class EventChunks(_Chunks):
    """Chunks as server-sent events: what `alt=sse` asks for."""


class ArrayChunks(_Chunks):
    """Chunks as the elements of one JSON array: what Google sends without `alt=sse`."""

    keep_alive = b"\n"
    media_type = "application/json; charset=utf-8"

    def __init__(self) -> None:
        super().__init__()
        self._opened = False

    @override
    def end(self) -> bytes:
        """Close the array."""
        return b"]" if self._opened else b"[]"

    @override
    def _spell(self, value: Json) -> bytes:
        before = b",\r\n" if self._opened else b"["
        self._opened = True
        return before + ascii_json(value)


class _Sent:
    """How much of one candidate was sent: characters of its texts and thoughts, other parts."""

    __slots__ = ("finished", "others", "texts")

    def __init__(self) -> None:
        self.finished = False
        self.texts = {False: 0, True: 0}
        self.others = 0

    @property
    def begun(self) -> bool:
        """Tell whether anything was said."""
        return self.finished or bool(self.others) or any(self.texts.values())

    def count(self, candidate: Json) -> None:
        """Count what a chunk adds."""
        self.finished = self.finished or bool(candidate.get("finishReason"))
        for part in (candidate.get("content") or {}).get("parts") or ():
            if isinstance(part.get("text"), str):
                self.texts[bool(part.get("thought"))] += len(part["text"])
            else:
                self.others += 1

    def unsaid(self, parts: Sequence[Json]) -> Iterator[Json]:
        """Yield the parts of a whole candidate, or what is left of them, that were not sent."""
        texts, others = dict(self.texts), self.others
        for part in parts:
            text = part.get("text")
            if not isinstance(text, str):
                others -= 1
                if others < 0:
                    yield part
                continue
            kind = bool(part.get("thought"))
            said = min(len(text), texts[kind])
            texts[kind] -= said
            if said < len(text):
                yield {**part, "text": text[said:]}
