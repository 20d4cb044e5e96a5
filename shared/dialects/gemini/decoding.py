"""A stream of Google's in neutral words. Pure."""

from collections.abc import Iterator, Sequence

from shared.dialects.gemini.answers import index_of, parts_of, read_call_of_answer, read_finish
from shared.dialects.gemini.calls import signature_of
from shared.dialects.gemini.fields import Fields, fields, listed
from shared.dialects.gemini.logprobs import read_logprobs
from shared.dialects.gemini.usage import read_usage
from shared.dialects.translator import Json
from shared.inference.dialect import Dialect
from shared.inference.generation import (
    Began,
    Delta,
    Finish,
    Finished,
    TextDelta,
    ThinkingDelta,
    ToolCallBegan,
    ToolCallDelta,
    Used,
)


class GeminiDecoder:
    """Reads chunks, each of which is a whole `GenerateContentResponse`; calls come whole in one."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._calls: dict[int, int] = {}

    def read(self, event: Json) -> Sequence[Delta]:
        """Return what a chunk says; its usage stands for the stream so far."""
        chunk = fields(dict(event), "the chunk")
        usage = read_usage(chunk)
        deltas: list[Delta] = []
        if self._id is None:
            self._id = str(chunk.get("responseId") or "")
            deltas.append(Began(self._id, str(chunk.get("modelVersion") or ""), usage=usage))
        candidates = listed(chunk.get("candidates", []), "candidates")
        for each in candidates:
            deltas += self._candidate(fields(each, "candidates"))
        if not candidates and _blocked(chunk):
            deltas.append(Finished(0, Finish.CONTENT_FILTER))
        if usage is not None:
            deltas.append(Used(usage))
        return deltas

    def _candidate(self, candidate: Fields) -> Iterator[Delta]:
        number = index_of(candidate)
        logprobs = read_logprobs(candidate)
        for part in parts_of(candidate):
            for delta in self._part(part, number):
                if isinstance(delta, TextDelta) and logprobs is not None:
                    yield TextDelta(number, delta.text, logprobs)
                    logprobs = None
                else:
                    yield delta
        if logprobs is not None:
            yield TextDelta(number, "", logprobs)
        if candidate.get("finishReason") is not None:
            called = number in self._calls
            yield Finished(number, read_finish(candidate["finishReason"], called=called))

    def _part(self, part: Fields, number: int) -> Iterator[Delta]:
        said = part.get("text")
        if isinstance(said, str):
            if part.get("thought") is True:
                signature = signature_of(part)
                yield ThinkingDelta(
                    number, said, signature, dialect=Dialect.GEMINI if signature else None
                )
            elif said:
                yield TextDelta(number, said)
        elif "functionCall" in part:
            index = self._calls.get(number, 0)
            self._calls[number] = index + 1
            call = read_call_of_answer(part, self._id or "", f"{number}_{index}")
            yield ToolCallBegan(number, index, call.id, call.name, call.signature)
            if call.arguments:
                yield ToolCallDelta(number, index, call.arguments)


def _blocked(chunk: Fields) -> bool:
    feedback = chunk.get("promptFeedback")
    return isinstance(feedback, dict) and bool(feedback.get("blockReason"))
