"""Streams to try dialects with: an answer cut into pieces, and pieces put together to an answer."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import strategies as st
from pydantic import JsonValue

from shared.inference.conversation import Part, Refusal, Text, Thinking, ToolCall
from shared.inference.generation import (
    Began,
    Choice,
    Delta,
    Finish,
    Finished,
    GenerationResponse,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallBegan,
    ToolCallDelta,
    Used,
)
from shared.inference.usage import Usage
from tests.unit.dialects.says import Says
from tests.unit.dialects.strategies import Draw, answers


@st.composite
def streams(draw: Draw, says: Says) -> tuple[GenerationResponse, list[Delta]]:
    """An answer that a dialect can say, and a stream that says the same."""
    answer = draw(answers(says))
    waiting = [draw(_choice(number, each)) for number, each in enumerate(answer.choices)]
    deltas: list[Delta] = [Began(answer.id, answer.model, answer.created_s)]
    while any(waiting):
        deltas.append(draw(st.sampled_from([each for each in waiting if each])).pop(0))
    if answer.usage is not None:
        deltas.append(Used(answer.usage))
    return answer, deltas


@st.composite
def _choice(draw: Draw, number: int, choice: Choice) -> list[Delta]:
    deltas: list[Delta] = []
    calls = 0
    for part in choice.parts:
        if isinstance(part, ToolCall):
            deltas.append(ToolCallBegan(number, calls, part.id, part.name, part.signature))
            pieces = draw(_cut(part.arguments))
            deltas += [ToolCallDelta(number, calls, piece) for piece in pieces]
            calls += 1
        else:
            deltas += _part(number, part, draw(_cut(getattr(part, "text", ""))), choice.logprobs)
    return [*deltas, Finished(number, choice.finish, choice.stop_sequence)]


def _part(number: int, part: Part, pieces: Sequence[str], logprobs: object) -> Iterator[Delta]:
    if isinstance(part, Text):
        for place, piece in enumerate(pieces):
            told = logprobs if place == 0 and isinstance(logprobs, dict) else None
            yield TextDelta(number, piece, told)
    if isinstance(part, Refusal):
        yield from (RefusalDelta(number, piece) for piece in pieces)
    if isinstance(part, Thinking):
        yield from (ThinkingDelta(number, piece) for piece in pieces)
        if part.signature or part.redacted:
            yield ThinkingDelta(number, "", part.signature, part.redacted)


@st.composite
def _cut(draw: Draw, text: str) -> list[str]:
    places = draw(st.lists(st.integers(0, len(text)), max_size=3))
    ends = [0, *sorted(set(places)), len(text)]
    pieces = [text[start:end] for start, end in pairwise(ends)]
    return [piece for piece in pieces if piece]


def folded(deltas: Iterable[Delta]) -> GenerationResponse:
    """Put a stream together to the answer that it says; compare with `said`."""
    answer = _Folded()
    for delta in deltas:
        answer.add(delta)
    return answer.whole()


@dataclass
class _Choice:
    thought: str | None = None
    signature: str | None = None
    redacted: str | None = None
    text: str = ""
    refusal: str = ""
    calls: dict[int, ToolCall] = field(default_factory=dict)
    tokens: list[JsonValue] = field(default_factory=list)
    finish: Finish = Finish.STOP
    stop_sequence: str | None = None

    def add(self, delta: Delta) -> None:
        match delta:
            case TextDelta(_, text, logprobs):
                self.text += text
                tokens = (logprobs or {}).get("content")
                self.tokens += tokens if isinstance(tokens, list) else []
            case ThinkingDelta(_, text, signature, redacted):
                self.thought = (self.thought or "") + text
                self.signature = signature or self.signature
                self.redacted = redacted or self.redacted
            case RefusalDelta(_, text):
                self.refusal += text
            case ToolCallBegan(_, index, call_id, name, signature):
                assert index not in self.calls
                self.calls[index] = ToolCall(call_id, name, "", signature)
            case ToolCallDelta(_, index, more):
                call = self.calls[index]
                whole = call.arguments + more
                self.calls[index] = ToolCall(call.id, call.name, whole, call.signature)
            case Finished(_, finish, stop_sequence):
                self.finish, self.stop_sequence = finish, stop_sequence
            case _:
                message = f"no choice's: {delta}"
                raise AssertionError(message)

    def whole(self) -> Choice:
        parts: list[Part] = []
        if self.thought is not None:
            parts.append(Thinking(self.thought, self.signature, self.redacted))
        parts += [Text(self.text)] if self.text else []
        parts += [Refusal(self.refusal)] if self.refusal else []
        parts += [self.calls[index] for index in sorted(self.calls)]
        logprobs = {"content": self.tokens} if self.tokens else None
        return Choice(tuple(parts), self.finish, logprobs, self.stop_sequence)


class _Folded:
    def __init__(self) -> None:
        self._began: Began | None = None
        self._usage: Usage | None = None
        self._choices: dict[int, _Choice] = {}

    def add(self, delta: Delta) -> None:
        if isinstance(delta, Began):
            assert self._began is None, "a stream begins once"
            self._began = delta
            self._usage = delta.usage
        elif isinstance(delta, Used):
            self._usage = delta.usage
        else:
            self._choices.setdefault(delta.choice, _Choice()).add(delta)

    def whole(self) -> GenerationResponse:
        began = self._began
        assert began is not None, "a stream begins"
        choices = tuple(self._choices[number].whole() for number in sorted(self._choices))
        return GenerationResponse(began.id, began.model, choices, self._usage, began.created_s)
