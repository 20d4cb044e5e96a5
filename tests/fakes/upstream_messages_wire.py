"""The fake provider in Anthropic's dialect: `/v1/messages` and `/v1/messages/count_tokens`."""

from collections.abc import Mapping
from typing import Any

import orjson

from tests.fakes.upstream_answers import fill, text_of, tokens

Body = Mapping[str, Any]

NEWEST = "2026-10-21"
VERSIONS = ("2023-06-01", NEWEST)
SAMPLING = ("temperature", "top_p", "top_k")
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
PIECE = 8
SEAL = "sealed-by-the-fake"
"""The signature of its thoughts; any other is refused."""


class MessagesWire:
    """Anthropic's dialect, as strict as the real one about versions and what is required."""

    terminator = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    broken_event = (
        b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": \n\n'
    )

    def owns(self, path: str) -> bool:
        """Claim messages and their counting under any prefix."""
        return path.endswith(("/messages", "/messages/count_tokens"))

    def streams(self, _path: str, body: Body) -> bool:
        """Go by the body."""
        return bool(body.get("stream"))

    def model(self, _path: str, body: Body) -> str:
        """Go by the body."""
        return str(body.get("model"))

    def marker(self, body: Body) -> str:
        """Return the beginning of the last user turn that says something."""
        for message in reversed(body.get("messages") or []):
            said = text_of(message.get("content")) if message.get("role") == "user" else ""
            if said:
                return said[:200]
        return ""

    def key(self, headers: Mapping[str, str]) -> str:
        """Return `x-api-key`, or the bearer token."""
        given = headers.get("x-api-key") or headers.get("authorization", "")
        return given.removeprefix("Bearer ")

    def refusal(self, path: str, headers: Mapping[str, str], body: Body) -> str | None:
        """Refuse what the real one refuses."""
        version = headers.get("anthropic-version")
        if version not in VERSIONS:
            return f"anthropic-version: {version!r} is not a valid version"
        if version == NEWEST and any(name in body for name in SAMPLING):
            return f"sampling parameters are not supported under {NEWEST}"
        if path.endswith("/messages") and not isinstance(body.get("max_tokens"), int):
            return "max_tokens: Field required"
        return _wrong_messages(body.get("messages"))

    def answer(
        self, path: str, body: Body, *, call: str, content: str | None, output_tokens: int | None
    ) -> dict[str, Any]:
        """Return a message, or the count of the request's tokens."""
        if path.endswith("/count_tokens"):
            return {"input_tokens": input_tokens(body)}
        tool = _tool(body) if content is None else None
        said = answer_text(body) if content is None else content
        block = {"type": "text", "text": said, "citations": None} if tool is None else tool
        thoughts = [_thought(body)] if _thinks(body) and content is None else []
        return {
            "id": f"msg_{call}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model"),
            "content": [*thoughts, block],
            "stop_reason": "end_turn" if tool is None else "tool_use",
            "stop_sequence": None,
            "usage": messages_usage(body, output_tokens=output_tokens),
        }

    def events(self, answer: Body, _body: Body) -> list[bytes]:
        """Return what a stream says before `message_stop`; of an emptied answer only noise."""
        if answer["content"] is None:
            return [_framed({"type": "ping"})]
        usage = answer["usage"]
        opening = {**answer, "content": [], "stop_reason": None}
        opening["usage"] = {**usage, "output_tokens": 1} if usage else None
        rows: list[dict[str, Any]] = [{"type": "message_start", "message": opening}]
        rows.append({"type": "ping"})
        for index, block in enumerate(answer["content"]):
            rows += _block_events(index, block)
        ended = {name: answer[name] for name in ("stop_reason", "stop_sequence")}
        last: dict[str, Any] = {"type": "message_delta", "delta": ended}
        if usage:
            last["usage"] = {"output_tokens": usage["output_tokens"]}
        return [_framed(row) for row in (*rows, last)]

    def usage(self, answer: Body) -> Any:
        """Return `usage`."""
        return answer.get("usage")

    def set_usage(self, answer: dict[str, Any], usage: Any) -> None:
        """Set `usage`."""
        answer["usage"] = usage

    def empty(self, answer: dict[str, Any]) -> None:
        """Leave no content: an empty list of it would still be an answer."""
        answer["content"] = None

    def unfinish(self, answer: dict[str, Any]) -> None:
        """Set `stop_reason` to null."""
        answer["stop_reason"] = None

    def error(self, message: str, *, status: int | None = None) -> dict[str, Any]:
        """Return Anthropic's error body."""
        kind = TYPES.get(status or 500, "api_error" if (status or 500) > 499 else TYPES[400])
        return {"type": "error", "error": {"type": kind, "message": message}}

    def error_event(self, error: Any, _after: int) -> bytes:
        """Return `event: error`."""
        return b"event: error\ndata: " + orjson.dumps(error) + b"\n\n"


def messages_usage(body: Body, *, output_tokens: int | None = None) -> dict[str, int]:
    """Return the usage that the default answer to this body reports."""
    said = answer_text(body)
    outputs = tokens(said) if output_tokens is None else output_tokens
    return {"input_tokens": input_tokens(body), "output_tokens": outputs}


def input_tokens(body: Body) -> int:
    """Return how many tokens a body's system prompt and messages have."""
    contents = [body.get("system"), *(one.get("content") for one in body.get("messages") or [])]
    return sum(tokens(text_of(content)) for content in contents)


def answer_text(body: Body) -> str:
    """Return what the assistant says: JSON where a schema was given, else an echo."""
    wanted = (body.get("output_config") or {}).get("format") or {}
    if wanted.get("type") == "json_schema":
        return orjson.dumps(fill(wanted.get("schema", {}))).decode()
    return "" if _tool(body) is not None else f"echo: {MessagesWire().marker(body)}"


def _tool(body: Body) -> dict[str, Any] | None:
    choice, tools = body.get("tool_choice") or {}, body.get("tools") or []
    named = choice.get("name")
    if choice.get("type") not in ("any", "tool"):
        return None
    tool = next((one for one in tools if named in (None, one["name"])), None)
    if tool is None:
        return None
    arguments = fill(tool.get("input_schema") or {})
    return {"type": "tool_use", "id": "toolu_fake", "name": tool["name"], "input": arguments}


def _thinks(body: Body) -> bool:
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def _thought(body: Body) -> dict[str, Any]:
    thinking = f"thinking of {MessagesWire().marker(body)}"
    return {"type": "thinking", "thinking": thinking, "signature": SEAL}


def _block_events(index: int, block: Body) -> list[dict[str, Any]]:
    if block["type"] == "tool_use":
        opened = {**block, "input": {}}
        raw = orjson.dumps(block["input"]).decode()
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *cut(raw))]
    elif block["type"] == "thinking":
        opened = {**block, "thinking": "", "signature": ""}
        pieces = cut(block["thinking"])
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    else:
        opened = {**block, "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in cut(block["text"])]
    return [
        {"type": "content_block_start", "index": index, "content_block": opened},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def cut(text: str) -> list[str]:
    """Return a text in the pieces in which it is streamed."""
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def _framed(event: Body) -> bytes:
    name = str(event["type"]).encode()
    return b"event: " + name + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def _wrong_messages(messages: Any) -> str | None:
    if not isinstance(messages, list) or not messages:
        return "messages: Field required"
    for index, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant"):
            return f"messages.{index}.role: Input should be 'user' or 'assistant'"
        if not message.get("content"):
            return f"messages.{index}: all messages must have non-empty content"
        blocks = message["content"] if isinstance(message["content"], list) else []
        if any(block["type"] == "thinking" and block["signature"] != SEAL for block in blocks):
            return f"messages.{index}: Invalid `signature` in `thinking` block"
        if any(name.startswith("penstock") for block in blocks for name in block):
            return f"messages.{index}: Extra inputs are not permitted"
    return None
