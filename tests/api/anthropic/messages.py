"""What a client asks and a provider says in Anthropic's dialect."""

from typing import Any

import orjson

Json = dict[str, Any]
PATH = "/v1/messages"
ASKED: Json = {
    "model": "sandbox/echo",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hi"}],
}
MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
ANSWER = orjson.dumps(MESSAGE)
BEGUN: list[Json] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "hel"},
    },
]


def events(raw: bytes) -> list[Json]:
    """Return a stream's events; anything but an event with its name fails."""
    found = []
    assert raw.isascii()
    for block in raw.split(b"\n\n")[:-1]:
        name, data = block.split(b"\n")
        value = orjson.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + value["type"].encode()
        found.append(value)
    return found


def text_of(raw: bytes) -> str:
    """Return what a stream's deltas say."""
    return "".join(each.get("delta", {}).get("text", "") for each in events(raw))
