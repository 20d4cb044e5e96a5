"""Embeddings in neutral words, as lists of numbers, and as base64 of little-endian float32; pure."""

import base64
import math
import re
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from pydantic import JsonValue

EMBEDDING = re.compile(rb'"embedding"\s*:\s*(["\[])')
BASE64, FLOAT = "base64", "float"
OPENS = {BASE64: b'"', FLOAT: b"["}


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Texts to embed; `dimensions` None: as many as the model gives. `unknown` are keys without a place here."""

    texts: tuple[str, ...]
    dimensions: int | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A vector for each text, in the order of the texts; `input_tokens` None: nobody tells."""

    vectors: tuple[Sequence[float], ...]
    input_tokens: int | None = None


def encoded_as(body: bytes, encoding_format: JsonValue) -> bytes:
    """Return an embeddings answer with its vectors in the form that a request asked for.

    `encoding_format` is the request's own: `base64`, or `float`, which anything else counts as.
    A body that is right already comes back as the same object, unparsed. Numbers become float32
    in base64; back from there they are exactly those float32.

    Raises:
        ValueError: a vector is neither form, or holds what the other form cannot say.
    """
    wanted = BASE64 if encoding_format == BASE64 else FLOAT
    if all(opens == OPENS[wanted] for opens in EMBEDDING.findall(body)):
        return body
    answer = orjson.loads(body)
    for item in answer["data"]:
        item["embedding"] = _converted(item["embedding"], wanted)
    return orjson.dumps(answer)


def _converted(vector: object, wanted: str) -> object:
    if isinstance(vector, list):
        return vector if wanted == FLOAT else packed(vector)
    if isinstance(vector, str):
        return vector if wanted == BASE64 else unpacked(vector)
    raise ValueError("an embedding is neither a list nor base64")


def packed(vector: Sequence[float]) -> str:
    """Return a vector as base64 of float32.

    Raises:
        ValueError: it holds what is no such number.
    """
    try:
        # A provider's list may hold anything: the array says itself what is no number.
        numbers = array("f", vector)
    except (TypeError, OverflowError) as error:
        raise ValueError("an embedding holds what is no float32") from error
    return base64.b64encode(_little_endian(numbers).tobytes()).decode()


def unpacked(text: str) -> list[float]:
    """Return the vector that base64 holds.

    Raises:
        ValueError: it is no base64, or holds what JSON does not know.
    """
    numbers = array("f")
    numbers.frombytes(base64.b64decode(text, validate=True))
    vector = _little_endian(numbers).tolist()
    if not all(map(math.isfinite, vector)):
        raise ValueError("an embedding holds a number that JSON does not know")
    return vector


def _little_endian(numbers: "array[float]") -> "array[float]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
