"""What a Google client asks and hears."""

from collections.abc import Callable
from typing import Any

import orjson

from tests.api.openai.exchange import Exchange

HELLO: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
Ask = Callable[..., Exchange]


def act(name: str, model: str = "sandbox/echo", prefix: str = "/v1beta") -> str:
    return f"{prefix}/models/{model}:{name}"


def answer(text: str, *, finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [{**candidate, "index": 0}], **more}


def events(raw: bytes) -> list[Any]:
    """Return the events of a stream that has nothing but `data: ` lines."""
    blocks = raw.split(b"\r\n\r\n")
    assert blocks.pop() == b""
    assert all(each.startswith(b"data: {") for each in blocks)
    assert not any(b"\n" in each or b"\r" in each for each in blocks)
    return [orjson.loads(each.removeprefix(b"data: ")) for each in blocks]
