"""Whole answers as Mistral's clients take them: with every member that they insist on; pure."""

from typing import Any

import orjson

from shared.ids import new_id

NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def chat_told(answer: bytes) -> bytes:
    """Return a chat completion with its usage and a reason for each choice's end."""
    whole = orjson.loads(answer)
    lacking = [each for each in whole.get("choices") or () if not each.get("finish_reason")]
    if not lacking and whole.get("usage") is not None:
        return answer
    for each in lacking:
        each["finish_reason"] = "stop"
    return orjson.dumps({**whole, "usage": whole.get("usage") or NO_USAGE})


def embeddings_told(answer: bytes) -> bytes:
    """Return a list of embeddings with its id and usage."""
    whole: dict[str, Any] = orjson.loads(answer)
    usage = {**NO_USAGE, **(whole.get("usage") or {})}
    return orjson.dumps({"id": new_id("embd"), **whole, "usage": usage})
