"""A stream of OpenAI's chat, read; pure, and quick: it runs for every chunk of every stream."""

from collections.abc import Sequence
from typing import Any

from shared.dialects.chat.answers import finish_of, made_up_id, read_logprobs
from shared.dialects.chat.calls import signature_of
from shared.dialects.chat.joined import objects
from shared.dialects.chat.messages import THOUGHTS
from shared.dialects.chat.usage import read_usage
from shared.dialects.translator import Json
from shared.inference.generation import (
    Began,
    Delta,
    Finished,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegan,
    ToolCallDelta,
    Used,
)


class ChatDecoder:
    """One stream of chunks."""

    __slots__ = ("_choices", "_id")

    def __init__(self) -> None:
        self._id: str | None = None
        self._choices: dict[int, _Choice] = {}

    def read(self, event: Json) -> Sequence[Delta]:
        """Return what a chunk says."""
        said: list[Delta] = []
        if self._id is None:
            self._id = str(event.get("id") or "")
            created = event.get("created")
            known = created if isinstance(created, int) else 0
            said.append(Began(self._id, str(event.get("model") or ""), known))
        for part in event.get("choices") or ():
            index = part.get("index") or 0
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice(index, self._id)
            choice.read(part, said)
        if (event.get("usage") or event.get("x_groq")) and (usage := read_usage(event)):
            said.append(Used(usage))
        return said


class _Call:
    __slots__ = ("began", "held", "id", "name", "number", "signature")

    def __init__(self, number: int) -> None:
        self.number = number
        self.began = False
        self.id = self.name = self.held = ""
        self.signature: str | None = None


class _Choice:
    __slots__ = ("_answer_id", "_calls", "_finished", "_newest", "_number", "_places")

    def __init__(self, number: int, answer_id: str) -> None:
        self._number = number
        self._answer_id = answer_id
        self._calls: list[_Call] = []
        self._places: dict[object, _Call] = {}
        self._newest: _Call | None = None
        self._finished = False

    def read(self, part: dict[str, Any], said: list[Delta]) -> None:
        delta = part.get("delta")
        if delta:
            self._delta(delta, part.get("logprobs"), said)
        elif part.get("logprobs"):
            self._text("", part["logprobs"], said)
        finish = part.get("finish_reason")
        if finish is not None and not self._finished:
            self._finished = True
            for call in self._calls:
                self._begin(call, said)
            said.append(Finished(self._number, finish_of(finish, calls=bool(self._calls))))

    def _delta(self, delta: dict[str, Any], logprobs: object, said: list[Delta]) -> None:
        if thought := _thought(delta):
            said.append(ThinkingDelta(self._number, thought))
        content = delta.get("content")
        if isinstance(content, list):
            self._parts(content, said)
        elif content or logprobs:
            self._text(content or "", logprobs, said)
        if refusal := delta.get("refusal"):
            said.append(RefusalDelta(self._number, refusal))
        if calls := delta.get("tool_calls"):
            for piece in objects(calls):
                self._piece(piece, self._call(piece), said)
        if old := delta.get("function_call"):
            self._piece({"function": old}, self._call({"index": 0}), said)

    def _text(self, text: str, logprobs: object, said: list[Delta]) -> None:
        told = read_logprobs(logprobs) if logprobs else None
        if text or told:
            said.append(TextDelta(self._number, text, told))

    def _parts(self, content: list[Any], said: list[Delta]) -> None:
        """Read a list of parts, as Mistral's reasoning models stream them."""
        for part in objects(content):
            if part.get("type") == "thinking":
                pieces = [str(each.get("text") or "") for each in objects(part.get("thinking"))]
                said += [ThinkingDelta(self._number, piece) for piece in pieces if piece]
            elif text := part.get("text"):
                said.append(TextDelta(self._number, str(text)))

    def _call(self, piece: dict[str, Any]) -> _Call:
        place, call_id = piece.get("index"), piece.get("id")
        known = self._newest if place is None else self._places.get(place)
        function = piece.get("function") or {}
        # Some vendors give every whole call the same place, or none: then a new id begins one.
        another = bool(known and call_id and known.id and call_id != known.id)
        if known is None or (another and (place is None or function.get("name"))):
            known = _Call(len(self._calls))
            self._calls.append(known)
            self._places[place] = known
        self._newest = known
        return known

    def _piece(self, piece: dict[str, Any], call: _Call, said: list[Delta]) -> None:
        function = piece.get("function") or {}
        more = function.get("arguments") or ""
        if call.began:
            if more:
                said.append(ToolCallDelta(self._number, call.number, more))
            return
        call.id = call.id or piece.get("id") or ""
        call.name = call.name or function.get("name") or ""
        call.signature = call.signature or signature_of(piece)
        call.held += more
        if call.name:
            self._begin(call, said)

    def _begin(self, call: _Call, said: list[Delta]) -> None:
        if call.began:
            return
        call.began = True
        call.id = call.id or made_up_id(self._answer_id, self._number, call.number)
        began = ToolCallBegan(self._number, call.number, call.id, call.name, call.signature)
        said.append(began)
        if call.held:
            said.append(ToolCallDelta(self._number, call.number, call.held))
            call.held = ""


def _thought(delta: dict[str, Any]) -> str | None:
    for name in THOUGHTS:
        found = delta.get(name)
        if found and isinstance(found, str):
            return found
    return None
