"""A whole answer of OpenAI's chat, read and written; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.dialects.chat.calls import old_call, read_call, signed, write_call
from shared.dialects.chat.fields import wrong
from shared.dialects.chat.messages import read_parts, thoughts_of
from shared.dialects.chat.usage import read_usage, write_usage
from shared.dialects.translator import Head, Json
from shared.inference.conversation import Part, Refusal, Text, Thinking, ToolCall
from shared.inference.generation import Choice, Finish, GenerationResponse

PREFIX = "chatcmpl-"
FINISHES: Mapping[Any, Finish] = {
    "length": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "tool_calls": Finish.TOOL_CALLS,
    "function_call": Finish.TOOL_CALLS,
    "content_filter": Finish.CONTENT_FILTER,
}
"""What vendors say besides `stop`, which is also what their other inventions are taken for."""


def read_answer(body: Json) -> GenerationResponse:
    """Read an answer.

    Raises:
        Unreadable: it has not this dialect's form.
    """
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise wrong("choices", "a list of choices")
    answer_id = str(body.get("id") or "")
    read = [_choice(each, number, answer_id) for number, each in enumerate(_in_order(choices))]
    created = body.get("created")
    return GenerationResponse(
        answer_id,
        str(body.get("model") or ""),
        tuple(read),
        read_usage(body),
        created if isinstance(created, int) else 0,
    )


def write_answer(answer: GenerationResponse, head: Head, _asked: Json) -> dict[str, Any]:
    """Write an answer as OpenAI's clients take it."""
    written: dict[str, Any] = {
        "id": PREFIX + head.id,
        "object": "chat.completion",
        "created": head.created_s,
        "model": head.model,
        "choices": [_written(each, number) for number, each in enumerate(answer.choices)],
    }
    if answer.usage is not None:
        written["usage"] = write_usage(answer.usage)
    return written


def finish_of(said: object, *, calls: bool) -> Finish:
    """Read why an answer ended; some vendors call it `stop` when tools are to be called."""
    finish = FINISHES.get(said, Finish.STOP)
    return Finish.TOOL_CALLS if finish is Finish.STOP and calls else finish


def made_up_id(answer_id: str, choice: int, number: int) -> str:
    """Return an id for a call that came without one; whole and streamed answers agree on it."""
    return f"call_{answer_id[-24:]}_{choice}_{number}"


def read_logprobs(value: object) -> dict[str, Any] | None:
    """Return the tokens' probabilities, None where there are none."""
    if not isinstance(value, dict):
        return None
    return {name: each for name, each in value.items() if each} or None


def _in_order(choices: Sequence[Any]) -> list[dict[str, Any]]:
    for number, each in enumerate(choices):
        if not isinstance(each, dict):
            raise wrong(f"choices[{number}]", "an object")
    places = [each.get("index") for each in choices]
    if all(isinstance(place, int) for place in places):
        return sorted(choices, key=lambda each: int(each["index"]))
    return list(choices)


def _choice(choice: dict[str, Any], number: int, answer_id: str) -> Choice:
    message = choice.get("message")
    if not isinstance(message, dict):
        raise wrong(f"choices[{number}].message", "an object")
    where = f"choices[{number}].message"
    parts: list[Part] = [*thoughts_of(message), *read_parts(message, where)]
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        parts.append(Refusal(message["refusal"]))
    calls = _calls(message, where, number, answer_id)
    finish = finish_of(choice.get("finish_reason"), calls=bool(calls))
    return Choice((*parts, *calls), finish, read_logprobs(choice.get("logprobs")))


def _calls(message: Json, where: str, number: int, answer_id: str) -> list[ToolCall]:
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(isinstance(each, dict) for each in calls):
        raise wrong(f"{where}.tool_calls", "a list of calls")
    read = [
        read_call(each, f"{where}.tool_calls[{place}]", made_up_id(answer_id, number, place))
        for place, each in enumerate(calls)
    ]
    old = message.get("function_call")
    if isinstance(old, dict) and not read:
        read.append(old_call(old, f"{where}.function_call", made_up_id(answer_id, number, 0)))
    return read


def _written(choice: Choice, number: int) -> dict[str, Any]:
    return {
        "index": number,
        "message": _message(choice.parts),
        "logprobs": write_logprobs(choice.logprobs),
        "finish_reason": choice.finish.value,
    }


def write_logprobs(logprobs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Write the tokens' probabilities."""
    return None if logprobs is None else {"content": None, "refusal": None, **logprobs}


def _message(parts: Sequence[Part]) -> dict[str, Any]:
    text = "".join(part.text for part in parts if isinstance(part, Text))
    refusal = "".join(part.text for part in parts if isinstance(part, Refusal))
    thought = "".join(part.text for part in parts if isinstance(part, Thinking))
    calls = [
        signed(write_call(part), part.signature) for part in parts if isinstance(part, ToolCall)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": refusal or None}
    if not text and (refusal or calls):
        message["content"] = None
    if thought:
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    return message
