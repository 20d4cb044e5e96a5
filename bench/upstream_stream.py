"""What the upstream says in a stream: the same chunks each time, at once or in time."""

import asyncio
from asyncio import Transport

import orjson

CHUNKS = 100
TEXT = b"tok-"
FIRST = b"tok-000"
"""What the first text of a stream holds: a client that sees it has its first token."""
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
END = b"0\r\n\r\n"


def _event(delta: dict[str, str], *, finish: str | None = None) -> bytes:
    chunk = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_767_225_600,
        "model": "bench",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        "usage": None,
    }
    return _framed(b"data: " + orjson.dumps(chunk) + b"\n\n")


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


def _usage() -> bytes:
    usage = {"prompt_tokens": 230, "completion_tokens": CHUNKS, "total_tokens": 230 + CHUNKS}
    chunk = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_767_225_600,
        "model": "bench",
        "choices": [],
        "usage": usage,
    }
    return _framed(b"data: " + orjson.dumps(chunk) + b"\n\n")


TEXTS = [_event({"content": f"tok-{number:03d} "}) for number in range(CHUNKS - 2)]
TEXTS = [_event({"role": "assistant", "content": ""}), *TEXTS, _event({}, finish="stop")]
DONE = _framed(b"data: [DONE]\n\n") + END
WHOLE = HEAD + b"".join(TEXTS)
USAGE = _usage()


def stream(transport: Transport, *, usage: bool, pause_s: float) -> asyncio.Task[None] | None:
    """Send a whole stream; with a pause between its chunks, in a task."""
    last = (USAGE if usage else b"") + DONE
    if not pause_s:
        transport.write(WHOLE + last)
        return None
    return asyncio.get_running_loop().create_task(_paced(transport, last, pause_s))


async def _paced(transport: Transport, last: bytes, pause_s: float) -> None:
    transport.write(HEAD + TEXTS[0])
    for text in TEXTS[1:]:
        transport.write(text)
        await asyncio.sleep(pause_s)
        if transport.is_closing():
            return
    transport.write(last)
