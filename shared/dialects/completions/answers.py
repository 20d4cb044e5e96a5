"""A whole legacy completion, read and written; pure."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from shared.dialects.chat.answers import finish_of
from shared.dialects.chat.fields import needed_text, objects_of, wrong
from shared.dialects.chat.joined import objects
from shared.dialects.chat.usage import read_usage, write_usage
from shared.dialects.translator import Head, Json
from shared.inference.conversation import Part, Refusal, Text
from shared.inference.generation import Choice, Finish, GenerationResponse

PREFIX = "cmpl-"
KIND = "text_completion"


def read_answer(body: Json) -> GenerationResponse:
    """Read an answer.

    Raises:
        Unreadable: it has not this dialect's form.
    """
    choices = [_choice(each, where) for where, each in objects_of(body, "choices")]
    if not choices:
        raise wrong("choices", "a list of choices")
    created = body.get("created")
    return GenerationResponse(
        str(body.get("id") or ""),
        str(body.get("model") or ""),
        tuple(choices),
        read_usage(body),
        created if isinstance(created, int) else 0,
    )


def write_answer(answer: GenerationResponse, head: Head, _asked: Json) -> dict[str, Any]:
    """Write an answer; of what a model thought there is nothing in it."""
    written = {
        **head_of(head),
        "choices": [_written(each, number) for number, each in enumerate(answer.choices)],
    }
    if answer.usage is not None:
        written["usage"] = write_usage(answer.usage)
    return written


def head_of(head: Head) -> dict[str, Any]:
    """Return what an answer and each of its chunks begin with."""
    return {"id": PREFIX + head.id, "object": KIND, "created": head.created_s, "model": head.model}


def written_finish(finish: Finish) -> str:
    """Return why a text ended."""
    return Finish.STOP.value if finish is Finish.TOOL_CALLS else finish.value


def read_logprobs(value: object) -> dict[str, Any] | None:
    """Read the tokens' probabilities, which stand here in columns."""
    if not isinstance(value, dict) or not value.get("tokens"):
        return None
    tokens: list[str] = value["tokens"]
    own = value.get("token_logprobs") or [None] * len(tokens)
    top = value.get("top_logprobs") or [None] * len(tokens)
    rows = [
        {**_row(token, logprob), "top_logprobs": [_row(*each) for each in (others or {}).items()]}
        for token, logprob, others in zip(tokens, own, top, strict=False)
    ]
    return {"content": rows}


def write_logprobs(logprobs: Mapping[str, Any] | None, offset: int = 0) -> dict[str, Any] | None:
    """Write the tokens' probabilities; `offset` counts the characters before them."""
    rows = list(objects((logprobs or {}).get("content")))
    if not rows:
        return None
    tokens = [str(row.get("token") or "") for row in rows]
    return {
        "tokens": tokens,
        "token_logprobs": [row.get("logprob") for row in rows],
        "top_logprobs": [_others(row) for row in rows],
        "text_offset": list(accumulate(map(len, tokens[:-1]), initial=offset)),
    }


def _row(token: str, logprob: float | None) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": None}


def _others(row: Mapping[str, Any]) -> dict[str, Any]:
    found = objects(row.get("top_logprobs"))
    return {str(each.get("token")): each.get("logprob") for each in found}


def _choice(choice: Json, where: str) -> Choice:
    text = needed_text(choice, "text", where)
    parts = (Text(text),) if text else ()
    finish = finish_of(choice.get("finish_reason"), calls=False)
    return Choice(parts, finish, read_logprobs(choice.get("logprobs")))


def _written(choice: Choice, number: int) -> dict[str, Any]:
    return {
        "index": number,
        "text": _text(choice.parts),
        "logprobs": write_logprobs(choice.logprobs),
        "finish_reason": written_finish(choice.finish),
    }


def _text(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text | Refusal))
