"""Whole answers of Google's in neutral words, and back. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from shared.dialects.gemini.calls import read_arguments, signature_of, written_call
from shared.dialects.gemini.fields import Fields, fields, listed
from shared.dialects.gemini.logprobs import read_logprobs, written_logprobs
from shared.dialects.gemini.media import read_file, read_inline, written_media
from shared.dialects.gemini.usage import read_usage, written_usage
from shared.dialects.translator import Head, Json, Unsupported
from shared.inference.conversation import Media, Part, Refusal, Text, Thinking, ToolCall
from shared.inference.dialect import Dialect
from shared.inference.generation import Choice, Finish, GenerationResponse

FILTERED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
    }
)
FINISHES = {
    Finish.STOP: "STOP",
    Finish.LENGTH: "MAX_TOKENS",
    Finish.TOOL_CALLS: "STOP",
    Finish.CONTENT_FILTER: "SAFETY",
}
MALFORMED_CALL = "MALFORMED_FUNCTION_CALL"
NOT_FOR_IDS = re.compile(r"[^A-Za-z0-9_-]")


def read_answer(body: Json) -> GenerationResponse:
    """Read an answer; one without candidates, as of a blocked prompt, is one that was filtered."""
    given = fields(dict(body), "the answer")
    response_id = str(given.get("responseId") or "")
    found = [
        fields(each, "candidates") for each in listed(given.get("candidates", []), "candidates")
    ]
    ordered = sorted(found, key=index_of)
    choices = tuple(_choice(candidate, response_id) for candidate in ordered)
    return GenerationResponse(
        id=response_id,
        model=str(given.get("modelVersion") or ""),
        choices=choices or (Choice((), Finish.CONTENT_FILTER),),
        usage=read_usage(given),
    )


def write_answer(answer: GenerationResponse, head: Head, asked: Json) -> dict[str, Any]:
    """Write an answer; thoughts are told to who asked for them."""
    thoughts = wants_thoughts(asked)
    candidates = [
        _candidate(choice, number, thoughts=thoughts)
        for number, choice in enumerate(answer.choices)
    ]
    written: dict[str, Any] = {"candidates": candidates}
    if answer.usage is not None:
        written["usageMetadata"] = written_usage(answer.usage)
    return {**written, "modelVersion": head.model, "responseId": head.id}


def read_finish(reason: object, *, called: bool) -> Finish:
    """Return what a `finishReason` means; an end after calls is one for them."""
    if reason in FILTERED:
        return Finish.CONTENT_FILTER
    if reason == "MAX_TOKENS":
        return Finish.LENGTH
    return Finish.TOOL_CALLS if called else Finish.STOP


def index_of(candidate: Fields) -> int:
    """Return which candidate it is; the first one need not say."""
    index = candidate.get("index")
    return index if isinstance(index, int) else 0


def parts_of(candidate: Fields) -> list[Fields]:
    """Return a candidate's parts, none where it has none."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return [fields(part, "parts") for part in parts or []]


def read_call_of_answer(part: Fields, response_id: str, place: str) -> ToolCall:
    """Read a call; one without an id gets one that no other answer has."""
    call = fields(part["functionCall"], "functionCall")
    made = NOT_FOR_IDS.sub("", response_id)[:32]
    call_id = str(call.get("id") or f"call_{made}_{place}")
    arguments = read_arguments(call, "functionCall")
    return ToolCall(call_id, str(call.get("name", "")), arguments, signature_of(part))


def wants_thoughts(asked: Json) -> bool:
    """Tell whether a request asks to see thoughts."""
    config = asked.get("generationConfig") or asked.get("generation_config") or {}
    thinking = config.get("thinkingConfig") or config.get("thinking_config") or {}
    return bool(thinking.get("includeThoughts") or thinking.get("include_thoughts"))


def written_part(part: Part, *, thoughts: bool) -> dict[str, Any] | None:
    """Write a part of an answer, None where it is not to be told.

    Raises:
        Unsupported: it is a call whose arguments are no object.
    """
    if isinstance(part, Thinking):
        return _thought(part) if thoughts and (part.text or part.signature) else None
    if isinstance(part, Text | Refusal):
        return {"text": part.text} if part.text else None
    if isinstance(part, ToolCall):
        return written_call(part)
    return written_media(part) if isinstance(part, Media) else None


def _thought(part: Thinking) -> dict[str, Any]:
    written: dict[str, Any] = {"text": part.text, "thought": True}
    if part.signature and part.dialect is Dialect.GEMINI:
        written["thoughtSignature"] = part.signature
    return written


def _choice(candidate: Fields, response_id: str) -> Choice:
    parts: list[Part] = []
    number = index_of(candidate)
    for place, part in enumerate(parts_of(candidate)):
        found = _part(part, response_id, f"{number}_{place}")
        if found is not None:
            parts.append(found)
    called = any(isinstance(part, ToolCall) for part in parts)
    finish = read_finish(candidate.get("finishReason"), called=called)
    return Choice(tuple(parts), finish, read_logprobs(candidate))


def _part(part: Fields, response_id: str, place: str) -> Part | None:
    if part.get("thought") is True and isinstance(part.get("text"), str):
        return Thinking(part["text"], signature_of(part), dialect=Dialect.GEMINI)
    if isinstance(part.get("text"), str):
        return Text(part["text"]) if part["text"] else None
    if "functionCall" in part:
        return read_call_of_answer(part, response_id, place)
    if "inlineData" in part:
        return read_inline(part["inlineData"], "inlineData")
    # What Google's own tools did is no one else's to understand.
    return read_file(part["fileData"], "fileData") if "fileData" in part else None


def _candidate(choice: Choice, number: int, *, thoughts: bool) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    reason = FINISHES[choice.finish]
    for part in choice.parts:
        try:
            written = written_part(part, thoughts=thoughts)
        except Unsupported:
            # A call that broke off in the middle of its arguments.
            reason = reason if choice.finish is Finish.LENGTH else MALFORMED_CALL
            continue
        if written is not None:
            parts.append(written)
    return candidate(number, parts or [{"text": ""}], reason, choice.logprobs)


def candidate(
    number: int,
    parts: list[dict[str, Any]],
    reason: str | None = None,
    logprobs: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a candidate, whole or of a stream."""
    written: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if reason is not None:
        written["finishReason"] = reason
    written["index"] = number
    told = written_logprobs(logprobs)
    return written if told is None else {**written, "logprobsResult": told}
