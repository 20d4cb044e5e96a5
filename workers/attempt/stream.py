"""Reading a provider's stream to its end, into the one object that the job keeps."""

from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import orjson

from shared.inference.response import InferenceChunk, InferenceResponse, LimitFeedback
from shared.inference.usage import Usage

OK = 200


async def read_stream(chunks: AsyncIterator[InferenceChunk]) -> InferenceResponse:
    """Join the chunks into a `chat.completion`, with the time to the first token in milliseconds.

    Raises:
        ProviderError: what the stream raised; a part of an answer is never a result.
    """
    began = monotonic()
    first_token_ms: int | None = None
    completion = _Completion()
    usage: Usage | None = None
    feedback: LimitFeedback | None = None
    async for chunk in chunks:
        if first_token_ms is None and chunk.data.get("choices"):
            first_token_ms = round((monotonic() - began) * 1000)
        usage = chunk.usage or usage
        feedback = chunk.feedback or feedback
        completion.add(chunk.data)
    return InferenceResponse(OK, orjson.dumps(completion.whole()), usage, feedback, first_token_ms)


class _Completion:
    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        rest = {k: v for k, v in chunk.items() if k != "choices" and v is not None}
        self._head.update(rest)
        for part in chunk.get("choices") or ():
            choice = self._choices.setdefault(
                part["index"],
                {"index": part["index"], "message": {"role": "assistant", "content": None}},
            )
            _join(choice["message"], part.get("delta") or {})
            if part.get("finish_reason") is not None:
                choice["finish_reason"] = part["finish_reason"]
            _join_logprobs(choice, part.get("logprobs"))

    def whole(self) -> dict[str, Any]:
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            choice.setdefault("logprobs", None)
            choice.setdefault("finish_reason", None)
            calls = choice["message"].get("tool_calls")
            if calls is not None:
                choice["message"]["tool_calls"] = [calls[index] for index in sorted(calls)]
        return {**self._head, "object": "chat.completion", "choices": choices}


def _join(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            calls = message.setdefault("tool_calls", {})
            for piece in value or ():
                _join_call(calls.setdefault(piece["index"], {}), piece)
        elif isinstance(value, str) and name != "role":
            message[name] = (message.get(name) or "") + value
        elif value is not None:
            message[name] = value


def _join_call(call: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        if name == "function":
            function = call.setdefault("function", {"name": "", "arguments": ""})
            for key, text in value.items():
                function[key] = (function.get(key) or "") + (text or "")
        elif name != "index" and value is not None:
            call[name] = value


def _join_logprobs(choice: dict[str, Any], piece: dict[str, Any] | None) -> None:
    if piece is None:
        return
    whole = choice.setdefault("logprobs", {})
    for name, tokens in piece.items():
        if isinstance(tokens, list):
            whole[name] = (whole.get(name) or []) + tokens
        else:
            whole.setdefault(name, tokens)
