"""Whole answers of the Responses API, in neutral words and back. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from shared.dialects.responses.items import COMPLETED, SIGNATURE, output_of
from shared.dialects.responses.items import INCOMPLETE as CUT
from shared.dialects.responses.resource import INCOMPLETE, resource
from shared.dialects.responses.thoughts import thinking_of
from shared.dialects.translator import Head, Json
from shared.inference.conversation import Media, MediaKind, Part, Refusal, Text, ToolCall
from shared.inference.generation import Choice, Finish, GenerationResponse
from shared.inference.usage import Usage

_FINISHES = {reason: finish for finish, reason in INCOMPLETE.items()}


def write_answer(answer: GenerationResponse, head: Head, asked: Json) -> dict[str, Any]:
    """Return the response object; of several choices the first."""
    choice = answer.choices[0]
    reason = INCOMPLETE.get(choice.finish)
    status = COMPLETED if reason is None else CUT
    return resource(
        asked,
        head,
        status=status,
        output=output_of(choice.parts, head.id, status, choice.logprobs),
        usage=answer.usage,
        reason=reason,
    )


def read_answer(body: Json) -> GenerationResponse:
    """Read a response object; items that nobody here knows are no part of what the model says.

    Raises:
        ValueError: it failed, or is no response.
    """
    output = body.get("output")
    if not isinstance(output, list):
        message = "there is no `output`"
        raise ValueError(message)  # noqa: TRY004 - what a provider said, not what we were given
    parts = tuple(part for item in output if isinstance(item, dict) for part in parts_of(item))
    created = body.get("created_at")
    return GenerationResponse(
        id=str(body.get("id") or ""),
        model=str(body.get("model") or ""),
        choices=(Choice(parts, finish_of(body, parts), _logprobs(output)),),
        usage=read_usage(body.get("usage")),
        created_s=int(created) if isinstance(created, int | float) else 0,
    )


def parts_of(item: Json) -> Iterator[Part]:
    """Yield what an item of an output says."""
    kind = item.get("type")
    if kind == "message":
        yield from _said(item.get("content") or ())
    elif kind == "reasoning":
        yield thinking_of(item)
    elif kind == "function_call":
        yield call_of(item)
    elif kind == "image_generation_call" and isinstance(item.get("result"), str):
        yield Media(MediaKind.IMAGE, "image/png", item["result"])


def call_of(item: Json) -> ToolCall:
    """Read a function call.

    Raises:
        KeyError: it lacks its name.
    """
    identity = item.get("call_id") or item.get("id") or ""
    return ToolCall(
        str(identity), str(item["name"]), str(item.get("arguments") or ""), item.get(SIGNATURE)
    )


def finish_of(body: Json, parts: Iterable[Part]) -> Finish:
    """Tell why a response ended.

    Raises:
        ValueError: it failed.
    """
    if body.get("status") in {"failed", "cancelled"}:
        message = f"the response is {body['status']}"
        raise ValueError(message)
    if body.get("status") == CUT:
        details = body.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return _FINISHES.get(str(reason), Finish.LENGTH)
    calls = any(isinstance(part, ToolCall) for part in parts)
    return Finish.TOOL_CALLS if calls else Finish.STOP


def read_usage(said: object) -> Usage | None:
    """Read a usage; None if there is none."""
    if not isinstance(said, dict):
        return None
    inputs, outputs = said.get("input_tokens"), said.get("output_tokens")
    if not isinstance(inputs, int) or not isinstance(outputs, int):
        return None
    read, thought = said.get("input_tokens_details"), said.get("output_tokens_details")
    return Usage(
        inputs,
        outputs,
        _count(read, "cached_tokens"),
        _count(read, "cache_write_tokens"),
        _count(thought, "reasoning_tokens"),
    )


def _said(content: Iterable[object]) -> Iterator[Part]:
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, dict) and kind == "output_text":
            yield Text(str(part.get("text") or ""))
        elif isinstance(part, dict) and kind == "refusal":
            yield Refusal(str(part.get("refusal") or ""))


def _count(details: object, name: str) -> int:
    value = details.get(name) if isinstance(details, dict) else None
    return value if isinstance(value, int) else 0


def _logprobs(output: Iterable[Any]) -> Mapping[str, JsonValue] | None:
    tokens: list[JsonValue] = []
    for item in output:
        content = item.get("content") if isinstance(item, dict) else None
        for part in content if isinstance(content, list) else ():
            said = part.get("logprobs") if isinstance(part, dict) else None
            tokens += [_token(each) for each in said] if isinstance(said, list) else []
    return {"content": tokens} if tokens else None


def _token(token: JsonValue) -> JsonValue:
    if not isinstance(token, dict):
        return token
    tops = token.get("top_logprobs")
    told = {**token, "bytes": token.get("bytes") or None}
    return {**told, "top_logprobs": [*map(_token, tops)]} if isinstance(tops, list) else told
