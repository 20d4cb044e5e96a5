"""OpenAI's embeddings in neutral words, and back. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from shared.dialects.translator import Json, Unreadable, Unsupported
from shared.inference.embeddings import BASE64, EmbeddingRequest, Embeddings, packed, unpacked

KNOWN = frozenset({"model", "input", "dimensions", "encoding_format"})
OWN_KEYS = "penstock"


def read_openai_request(body: Json) -> EmbeddingRequest:
    """Read a request.

    Raises:
        Unreadable: it is not what OpenAI documents.
        Unsupported: its texts are token numbers, which mean something to one tokenizer only.
    """
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        message = "`input` must be a text or a list of texts"
        raise Unreadable(message, "input")
    if not all(isinstance(each, str) for each in texts):
        raise Unsupported("embeddings of token numbers: send texts", "input")
    unknown = [each for each in body if each not in KNOWN and not each.startswith(OWN_KEYS)]
    return EmbeddingRequest(tuple(texts), read_dimensions(body.get("dimensions")), tuple(unknown))


def read_dimensions(value: object, param: str = "dimensions") -> int | None:
    """Return how many dimensions are asked for, None where that is not said.

    Raises:
        Unreadable: it is no such number.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        message = f"`{param}` must be a whole number, at least 1"
        raise Unreadable(message, param)
    return value


def write_openai_request(request: EmbeddingRequest) -> dict[str, Any]:
    """Write a request."""
    written: dict[str, Any] = {"input": list(request.texts)}
    if request.dimensions is not None:
        written["dimensions"] = request.dimensions
    return written


def read_openai_answer(answer: Json) -> Embeddings:
    """Read an answer, its vectors in either form.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    data: list[Mapping[str, Any]] = sorted(answer["data"], key=lambda each: each.get("index", 0))
    usage = answer.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return Embeddings(tuple(_vector(each["embedding"]) for each in data), tokens)


def write_openai_answer(found: Embeddings, asked: Json) -> dict[str, Any]:
    """Write an answer as it was asked for; vectors that were shortened have the length 1, as OpenAI's have.

    Raises:
        ValueError: a vector cannot be written so.
    """
    vectors = found.vectors
    if asked.get("dimensions") is not None:
        vectors = tuple(_unit(vector) for vector in vectors)
    base64 = asked.get("encoding_format") == BASE64
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": packed(vector) if base64 else vector,
        }
        for index, vector in enumerate(vectors)
    ]
    # Its clients read the usage unasked: nothing where nobody told, rather than no such key.
    tokens = found.input_tokens or 0
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": asked.get("model"), "usage": usage}


def _vector(value: object) -> Sequence[float]:
    if isinstance(value, str):
        return unpacked(value)
    if isinstance(value, list):
        return value
    message = "an embedding is neither a list nor base64"
    raise TypeError(message)


def _unit(vector: Sequence[float]) -> Sequence[float]:
    length = math.hypot(*vector)
    if not length or not math.isfinite(length):
        return vector
    return [each / length for each in vector]
