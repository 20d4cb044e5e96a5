"""How Vertex wants to be asked what Google's other service takes as well, and what it answers; pure.

It knows no ids of calls, wants every turn to say whose it is, counts fewer fields, and embeds by
three methods, of which each model has its own.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import JsonValue

from shared.inference.dialect import Dialect
from shared.providers.errors import CannotDo
from shared.providers.failures import malformed

COUNTED = frozenset({"contents", "systemInstruction", "tools", "generationConfig", "model"})
CALLS = ("functionCall", "functionResponse")
NEWER = ("gemini", "maas")
"""Models with this in their name embed contents, as Google's other service does; all others predict."""
CONFIG = ("taskType", "title", "outputDimensionality", "autoTruncate")
OF_ALL = ("outputDimensionality", "autoTruncate")
"""What is said once for all texts to predict from."""
Body = Mapping[str, Any]


def generating(body: Body) -> dict[str, JsonValue]:
    """Return a request to generate, with whose every turn is and without ids."""
    contents = body.get("contents")
    if not isinstance(contents, list):
        return dict(body)
    return {**body, "contents": [_turn(each) for each in contents]}


def counting(body: Body) -> dict[str, JsonValue]:
    """Return a request to count, without what is not counted."""
    return {name: value for name, value in generating(body).items() if name in COUNTED}


def predicts(model: str) -> bool:
    """Tell whether a model embeds by `predict`."""
    name = model.rpartition("/")[2]
    return not any(each in name for each in NEWER)


def embedding(dialect: Dialect, body: Body) -> dict[str, JsonValue]:
    """Return a request to embed one content, or several, as the newer models take it."""
    if dialect is Dialect.GEMINI_EMBEDDING:
        return _embedded(body)
    return {"requests": [_embedded(each) for each in _requests(dialect, body)]}


def predicting(dialect: Dialect, body: Body, *, provider: str) -> dict[str, JsonValue]:
    """Return a request to embed as `predict` takes it.

    Raises:
        CannotDo: it is to embed what is no text, or in several sizes at once.
    """
    asked = [_config(each) for each in _requests(dialect, body)]
    parameters = [{name: each[name] for name in OF_ALL if name in each} for each in asked]
    if any(each != parameters[0] for each in parameters):
        message = f"{provider} cannot do this: embeddings of several sizes at once"
        raise CannotDo(message, provider=provider, sent=False, param="requests")
    instances: list[JsonValue] = []
    for request, config in zip(_requests(dialect, body), asked, strict=True):
        more = {"task_type": config.get("taskType"), "title": config.get("title")}
        said = {name: value for name, value in more.items() if value is not None}
        instances.append({**_others(request), "content": _text(request, provider), **said})
    wanted = parameters[0] if parameters else {}
    return {"instances": instances, **({"parameters": wanted} if wanted else {})}


def predicted(dialect: Dialect, raw: bytes, *, provider: str) -> bytes:
    """Return what was predicted as the answer that the dialect has.

    Raises:
        Malformed: it is none.
    """
    try:
        found = [each["embeddings"] for each in orjson.loads(raw)["predictions"]]
        vectors: list[Any] = [{"values": each["values"]} for each in found]
        tokens = sum(int(each.get("statistics", {}).get("token_count", 0)) for each in found)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise malformed("sent no embeddings", raw, provider=provider) from error
    usage = {"usageMetadata": {"promptTokenCount": tokens, "totalTokenCount": tokens}}
    if dialect is Dialect.GEMINI_EMBEDDINGS:
        return orjson.dumps({"embeddings": vectors, **usage})
    if len(vectors) != 1:
        raise malformed("sent not one embedding", raw, provider=provider)
    return orjson.dumps({"embedding": vectors[0], **usage})


def _turn(content: Any) -> Any:
    if not isinstance(content, dict):
        return content
    parts = content.get("parts")
    said = [_part(each) for each in parts] if isinstance(parts, list) else parts
    return {**content, "role": content.get("role") or "user", "parts": said}


def _part(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    called = {name: _nameless(part[name]) for name in CALLS if isinstance(part.get(name), dict)}
    return {**part, **called} if called else part


def _nameless(call: Body) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "id"}


def _requests(dialect: Dialect, body: Body) -> list[Body]:
    if dialect is Dialect.GEMINI_EMBEDDING:
        return [body]
    return [each for each in body.get("requests") or [] if isinstance(each, dict)]


def _config(request: Body) -> dict[str, Any]:
    given = {name: request[name] for name in CONFIG if request.get(name) is not None}
    inner = request.get("embedContentConfig")
    return {**(inner if isinstance(inner, dict) else {}), **given}


def _others(request: Body) -> dict[str, Any]:
    # What nobody here knows is for Vertex to judge.
    apart = {*CONFIG, "embedContentConfig", "model", "content"}
    return {name: value for name, value in request.items() if name not in apart}


def _embedded(request: Body) -> dict[str, JsonValue]:
    config = _config(request)
    said = {"content": _turn(request.get("content")), **_others(request)}
    return {**said, "embedContentConfig": config} if config else said


def _text(request: Body, provider: str) -> str:
    content = request.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    texts = [each.get("text") for each in parts or [] if isinstance(each, dict)]
    if not texts or not all(isinstance(text, str) for text in texts):
        message = f"{provider} cannot do this: embeddings of what is no text"
        raise CannotDo(message, provider=provider, sent=False, param="content")
    return "\n".join(map(str, texts))
