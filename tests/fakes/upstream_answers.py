"""What the fake provider says: derived from the request alone, so an oracle can compute it again."""

import base64
import hashlib
import math
import struct
from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson

Body: TypeAlias = Mapping[str, Any]

CREATED = 1_767_225_600
FINGERPRINT = "fake-upstream"


def tokens(text: str) -> int:
    """Return the fake provider's token count of a text: a quarter of its characters, rounded up."""
    return math.ceil(len(text) / 4)


def text_of(content: object) -> str:
    """Return the text of a message's content, which is a string, a list of parts or null."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def marker(body: Body) -> str:
    """Return the first 200 characters of the last user message, or of the embeddings' input."""
    for message in reversed(body.get("messages") or []):
        if isinstance(message, dict) and message.get("role") == "user":
            return text_of(message.get("content"))[:200]
    return _inputs(body)[0][:200] if "input" in body else ""


def chat_usage(body: Body, *, output_tokens: int | None = None) -> dict[str, int]:
    """Return the usage that the default answer to this chat body reports."""
    texts = [text_of(message.get("content")) for message in body.get("messages") or []]
    inputs = sum(tokens(text) for text in texts)
    outputs = tokens(answer_text(body)) if output_tokens is None else output_tokens
    if output_tokens is None:
        outputs *= int(body.get("n") or 1)
    return {
        "prompt_tokens": inputs,
        "completion_tokens": outputs,
        "total_tokens": inputs + outputs,
    }


def embeddings_usage(body: Body) -> dict[str, int]:
    """Return the usage that the default answer to this embeddings body reports."""
    inputs = sum(tokens(text) for text in _inputs(body))
    return {"prompt_tokens": inputs, "total_tokens": inputs}


def answer_text(body: Body) -> str:
    """Return what the assistant says: JSON where JSON was asked for, else an echo."""
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return orjson.dumps(fill(wanted.get("json_schema", {}).get("schema", {}))).decode()
    if wanted.get("type") == "json_object":
        return orjson.dumps({"echo": marker(body)}).decode()
    if _tool(body) is not None:
        return ""
    return f"echo: {marker(body)}"


def fill(schema: Mapping[str, Any]) -> Any:
    """Return the plainest value of a JSON schema."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            return fill(schema[union][0])
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: fill(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [fill(schema.get("items", {"type": "string"}))] * int(schema.get("minItems", 0))
    plain: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True}
    return plain.get(kind)


def chat(
    body: Body, *, call: str, content: str | None, output_tokens: int | None
) -> dict[str, Any]:
    """Return the `chat.completion` object for a body."""
    said = answer_text(body) if content is None else content
    tool = _tool(body) if content is None else None
    message: dict[str, Any] = {"role": "assistant", "content": said, "refusal": None}
    if tool is not None:
        message |= {"content": None, "tool_calls": [tool]}
    finish = "tool_calls" if tool is not None else "stop"
    return {
        "id": f"chatcmpl-{call}",
        "object": "chat.completion",
        "created": CREATED,
        "model": body.get("model"),
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": finish}
            for index in range(int(body.get("n") or 1))
        ],
        "usage": chat_usage(body, output_tokens=output_tokens),
        "system_fingerprint": FINGERPRINT,
    }


def chunks(completion: Body, *, include_usage: bool) -> list[dict[str, Any]]:
    """Return a completion as the `chat.completion.chunk` objects of a stream."""
    rows: list[tuple[int, dict[str, Any], str | None]] = []
    for choice in completion["choices"]:
        index, message = choice["index"], choice["message"]
        rows.append((index, {"role": "assistant", "content": ""}, None))
        rows.extend((index, {"content": piece}, None) for piece in _pieces(message["content"]))
        if message.get("tool_calls"):
            calls = [{"index": 0, **call} for call in message["tool_calls"]]
            rows.append((index, {"tool_calls": calls}, None))
        rows.append((index, {}, choice["finish_reason"]))
    frame = {name: completion[name] for name in ("id", "created", "model", "system_fingerprint")}
    frame["object"] = "chat.completion.chunk"
    if include_usage:
        frame["usage"] = None
    out = [
        {**frame, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}
        for index, delta, finish in rows
    ]
    if include_usage:
        out.append({**frame, "choices": [], "usage": completion.get("usage")})
    return out


def embeddings(body: Body) -> dict[str, Any]:
    """Return the embeddings `list` object for a body, 8 dimensions unless it names others."""
    size = int(body.get("dimensions") or 8)
    encoded = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(_inputs(body)):
        vector = _vector(text, size)
        packed = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        value: object = packed if encoded else vector
        data.append({"object": "embedding", "index": index, "embedding": value})
    usage = embeddings_usage(body)
    return {"object": "list", "model": body.get("model"), "data": data, "usage": usage}


def _inputs(body: Body) -> list[str]:
    given = body.get("input")
    if isinstance(given, str):
        return [given]
    if isinstance(given, list) and given and isinstance(given[0], int):
        return [str(given)]
    return [str(one) for one in given or [""]]


def _pieces(text: str | None) -> list[str]:
    return [text[start : start + 8] for start in range(0, len(text), 8)] if text else []


def _vector(text: str, size: int) -> list[float]:
    raw = hashlib.shake_256(text.encode()).digest(size)
    floats = [byte / 128 - 1 for byte in raw]
    norm = math.sqrt(sum(value * value for value in floats)) or 1.0
    return [value / norm for value in floats]


def _tool(body: Body) -> dict[str, Any] | None:
    choice, tools = body.get("tool_choice"), body.get("tools")
    if not tools or choice in (None, "none", "auto"):
        return None
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    functions = [tool["function"] for tool in tools if tool.get("type") == "function"]
    function = next(f for f in functions if named in (None, f["name"]))
    arguments = orjson.dumps(fill(function.get("parameters") or {})).decode()
    return {
        "id": "call_fake",
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }
