"""What the sandbox says: answers in OpenAI's shapes, made from the request alone; pure."""

import base64
import hashlib
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence

import orjson
from pydantic import JsonValue

from shared.providers import sandbox_parts
from shared.providers.sandbox_answers import answer

CREATED = 1_767_225_600
FINGERPRINT = "sandbox"
ECHO_CHARS = 2000
PIECE_CHARS = 12
DIMENSIONS = 256
MAX_DIMENSIONS = 4096

Json = dict[str, JsonValue]


def tokens(text: str) -> int:
    """Count tokens the sandbox's way: a quarter of the characters, rounded up."""
    return math.ceil(len(text) / 4)


def input_tokens(body: Mapping[str, JsonValue]) -> int:
    """Count a chat body's tokens: the text of its messages."""
    return sum(tokens(content_text(message.get("content"))) for message in messages(body))


def messages(body: Mapping[str, JsonValue]) -> list[Json]:
    """Return the messages that are objects."""
    given = body.get("messages")
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def content_text(content: JsonValue) -> str:
    """Return the text of a message: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def completion(model: str, body: Mapping[str, JsonValue]) -> Json:
    """Return the `chat.completion` object for a body."""
    count = _whole(body.get("n"), otherwise=1)
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    choices = [_choice(index, body, limit) for index in range(count)]
    outputs = sum(_output_tokens(choice) for choice in choices)
    inputs = input_tokens(body)
    listed: list[JsonValue] = list(choices)
    return {
        "id": f"chatcmpl-sandbox-{_digest(model, body)}",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": listed,
        "usage": {
            "prompt_tokens": inputs,
            "completion_tokens": outputs,
            "total_tokens": inputs + outputs,
        },
        "system_fingerprint": FINGERPRINT,
    }


def chunks(whole: Json) -> Iterator[Json]:
    """Yield a completion as `chat.completion.chunk` objects, the usage in the last."""
    names = ("id", "created", "model", "system_fingerprint")
    frame: Json = {name: whole[name] for name in names}
    frame["object"] = "chat.completion.chunk"
    frame["usage"] = None
    choices = whole["choices"]
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict):
            for delta, finish in _deltas(choice):
                part: Json = {"index": choice["index"], "delta": delta, "finish_reason": finish}
                yield {**frame, "choices": [part]}
    yield {**frame, "choices": [], "usage": whole["usage"]}


def embeddings(model: str, texts: Sequence[str], *, dimensions: int, encoded: bool) -> Json:
    """Return the embeddings `list` object: unit vectors, near each other for like texts."""
    data: list[JsonValue] = []
    for index, text in enumerate(texts):
        packed = struct.pack(f"<{dimensions}f", *_vector(text, dimensions))
        vector: JsonValue = list(struct.unpack(f"<{dimensions}f", packed))
        value = base64.b64encode(packed).decode() if encoded else vector
        data.append({"object": "embedding", "index": index, "embedding": value})
    used = sum(tokens(text) for text in texts)
    usage: Json = {"prompt_tokens": used, "total_tokens": used}
    return {"object": "list", "model": model, "data": data, "usage": usage}


def _choice(index: int, body: Mapping[str, JsonValue], limit: JsonValue) -> Json:
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    call = _tool_call(body)
    if call is not None:
        message["tool_calls"] = [call]
        return {"index": index, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
    said = _said(body) + (f" (answer {index + 1})" if index and not _schema(body) else "")
    finish = "stop"
    if isinstance(limit, int) and tokens(said) > limit:
        said, finish = said[: limit * 4], "length"
    message["content"] = said
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}


def _said(body: Mapping[str, JsonValue]) -> str:
    schema, text = _schema(body), _asked(body)
    if schema is None:
        return f"[sandbox] You said: {text[:ECHO_CHARS]}"
    settled = sandbox_parts.reply(schema, text)
    value = answer(schema, text) if settled is None else settled
    if schema == {"type": "object"} and not value:
        value = {"sandbox": True, "text": text[:ECHO_CHARS]}
    return orjson.dumps(value).decode()


def _schema(body: Mapping[str, JsonValue]) -> Json | None:
    wanted = body.get("response_format")
    if not isinstance(wanted, dict):
        return None
    if wanted.get("type") == "json_object":
        return {"type": "object"}
    named = wanted.get("json_schema")
    if wanted.get("type") != "json_schema" or not isinstance(named, dict):
        return None
    schema = named.get("schema")
    return schema if isinstance(schema, dict) else {"type": "object"}


def _asked(body: Mapping[str, JsonValue]) -> str:
    """Return the text to answer from: the newest document that a user gave, else the last message."""
    said = [content_text(one.get("content")) for one in messages(body) if one.get("role") == "user"]
    for text in reversed(said):
        found = sandbox_parts.between(text, "<document", "</document>")
        if found is not None and ">" in found:
            return found.partition(">")[2].removeprefix("\n").removesuffix("\n")
    return said[-1] if said else ""


def _tool_call(body: Mapping[str, JsonValue]) -> Json | None:
    tools, choice = body.get("tools"), body.get("tool_choice")
    if not isinstance(tools, list) or choice in (None, "auto", "none"):
        return None
    named = choice.get("function") if isinstance(choice, dict) else None
    wanted = named.get("name") if isinstance(named, dict) else None
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and wanted in (None, function.get("name")):
            return _called(function, _asked(body))
    return None


def _called(function: Json, text: str) -> Json:
    schema = function.get("parameters")
    arguments = answer(schema if isinstance(schema, dict) else {"type": "object"}, text)
    name = str(function.get("name"))
    digest = hashlib.sha256(f"{name}\0{text}".encode()).hexdigest()[:16]
    called: Json = {"name": name, "arguments": orjson.dumps(arguments).decode()}
    return {"id": f"call_sandbox_{digest}", "type": "function", "function": called}


def _deltas(choice: Json) -> Iterator[tuple[Json, JsonValue]]:
    message = choice["message"]
    message = message if isinstance(message, dict) else {}
    yield {"role": "assistant", "content": ""}, None
    said = message.get("content")
    for start in range(0, len(said) if isinstance(said, str) else 0, PIECE_CHARS):
        yield {"content": str(said)[start : start + PIECE_CHARS]}, None
    calls = message.get("tool_calls")
    for number, call in enumerate(calls if isinstance(calls, list) else []):
        if isinstance(call, dict):
            yield {"tool_calls": [{"index": number, **call}]}, None
    yield {}, choice["finish_reason"]


def _output_tokens(choice: Json) -> int:
    message = choice["message"]
    if not isinstance(message, dict):
        return 0
    calls = message.get("tool_calls")
    spoken = orjson.dumps(calls).decode() if calls else content_text(message.get("content"))
    return tokens(spoken)


def _vector(text: str, size: int) -> list[float]:
    vector = [0.0] * size
    for word in re.findall(r"\w+", text.lower()) or [text]:
        digest = hashlib.blake2b(word.encode(), digest_size=64).digest()
        for place, sign in struct.iter_unpack("<Ii", digest):
            vector[place % size] += 1.0 if sign >= 0 else -1.0
    norm = math.sqrt(sum(value * value for value in vector))
    if not norm:
        return [1.0] + [0.0] * (size - 1)
    return [value / norm for value in vector]


def _digest(model: str, body: Mapping[str, JsonValue]) -> str:
    raw = orjson.dumps([model, dict(body)], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(raw).hexdigest()[:24]


def _whole(value: JsonValue, *, otherwise: int) -> int:
    return value if isinstance(value, int) and value > 0 else otherwise
