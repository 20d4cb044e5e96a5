"""Google's embeddings, one text at a time and many, in neutral words and back. Pure."""

from typing import Any

from shared.dialects.embedding_openai import read_dimensions
from shared.dialects.gemini.fields import Fields, fields, listed, text
from shared.dialects.translator import Json, Unreadable, Unsupported
from shared.inference.embeddings import EmbeddingRequest, Embeddings

KNOWN = frozenset({"model", "content", "outputDimensionality", "embedContentConfig"})
OWN_KEYS = "penstock"


def read_google_request(body: Json) -> EmbeddingRequest:
    """Read an `embedContent`.

    Raises:
        Unreadable: it is not what Google documents.
        Unsupported: it has more than text to embed.
    """
    return _one(body, "")


def read_google_requests(body: Json) -> EmbeddingRequest:
    """Read a `batchEmbedContents`.

    Raises:
        Unreadable: it is not what Google documents.
        Unsupported: it has more than text to embed, or asks for vectors of several sizes.
    """
    requests = listed(body.get("requests"), "requests")
    if not requests:
        message = "`requests` must not be empty"
        raise Unreadable(message, "requests")
    read = [_one(each, f"requests[{number}].") for number, each in enumerate(requests)]
    if len({each.dimensions for each in read}) > 1:
        raise Unsupported("embeddings of several sizes at once", "requests")
    unknown = tuple(dict.fromkeys(name for each in read for name in each.unknown))
    texts = tuple(each.texts[0] for each in read)
    return EmbeddingRequest(texts, read[0].dimensions, unknown)


def write_google_request(request: EmbeddingRequest) -> dict[str, Any]:
    """Write an `embedContent`.

    Raises:
        Unsupported: there is more than one text.
    """
    if len(request.texts) != 1:
        raise Unsupported("embeddings of several texts in one call")
    return _written(request.texts[0], request.dimensions)


def write_google_requests(request: EmbeddingRequest) -> dict[str, Any]:
    """Write a `batchEmbedContents`; whoever sends it names the model in each."""
    return {"requests": [_written(each, request.dimensions) for each in request.texts]}


def read_google_answer(answer: Json) -> Embeddings:
    """Read the answer to either.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    found = [answer["embedding"]] if "embedding" in answer else answer["embeddings"]
    usage = answer.get("usageMetadata")
    tokens = usage.get("promptTokenCount") if isinstance(usage, dict) else None
    return Embeddings(tuple(each["values"] for each in found), tokens)


def write_google_answer(found: Embeddings, _asked: Json) -> dict[str, Any]:
    """Write the answer to an `embedContent`."""
    return {"embedding": {"values": found.vectors[0]}, **_usage(found)}


def write_google_answers(found: Embeddings, _asked: Json) -> dict[str, Any]:
    """Write the answer to a `batchEmbedContents`."""
    return {"embeddings": [{"values": each} for each in found.vectors], **_usage(found)}


def _one(value: Any, prefix: str) -> EmbeddingRequest:
    given = fields(value, prefix.removesuffix(".") or "the body")
    config = fields(given.get("embedContentConfig", {}), f"{prefix}embedContentConfig")
    said = {**config, **given}
    where = f"{prefix}content"
    parts = listed(fields(given.get("content"), where).get("parts"), f"{where}.parts")
    texts = [_text(each, f"{where}.parts[{number}]") for number, each in enumerate(parts)]
    sizes = read_dimensions(said.get("outputDimensionality"), f"{prefix}outputDimensionality")
    unknown = [name for name in said if name not in KNOWN and not name.startswith(OWN_KEYS)]
    return EmbeddingRequest(("\n".join(texts),), sizes, tuple(unknown))


def _text(value: object, where: str) -> str:
    part: Fields = fields(value, where)
    if "text" not in part:
        raise Unsupported("embeddings of what is no text", where)
    return text(part, "text", where) or ""


def _written(said: str, dimensions: int | None) -> dict[str, Any]:
    written: dict[str, Any] = {"content": {"parts": [{"text": said}]}}
    if dimensions is not None:
        written["outputDimensionality"] = dimensions
    return written


def _usage(found: Embeddings) -> dict[str, Any]:
    if found.input_tokens is None:
        return {}
    tokens = found.input_tokens
    return {"usageMetadata": {"promptTokenCount": tokens, "totalTokenCount": tokens}}
