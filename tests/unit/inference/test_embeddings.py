"""The two forms of an embedding, and that a body which is right is not touched."""

import base64
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.inference.embeddings import encoded_as

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
VECTORS = st.lists(st.lists(FLOATS, min_size=1, max_size=8), min_size=1, max_size=4)


def answer(*embeddings: Any) -> bytes:
    data = [
        {"object": "embedding", "index": index, "embedding": embedding}
        for index, embedding in enumerate(embeddings)
    ]
    body = {"object": "list", "data": data, "model": "embedding", "usage": {"prompt_tokens": 3}}
    return orjson.dumps(body)


def packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


@settings(deadline=None)
@given(VECTORS)
def test_there_and_back_again(vectors: list[list[float]]) -> None:
    floats, texts = answer(*vectors), answer(*map(packed, vectors))

    assert orjson.loads(encoded_as(floats, "base64")) == orjson.loads(texts)
    assert orjson.loads(encoded_as(texts, "float")) == orjson.loads(floats)
    assert encoded_as(encoded_as(floats, "base64"), None) == encoded_as(texts, None)


@settings(deadline=None)
@given(VECTORS)
def test_what_is_right_already_is_the_same_object(vectors: list[list[float]]) -> None:
    floats, texts = answer(*vectors), answer(*map(packed, vectors))

    assert encoded_as(floats, "float") is floats
    assert encoded_as(floats, None) is floats
    assert encoded_as(texts, "base64") is texts


def test_a_body_that_is_right_is_not_even_parsed() -> None:
    unreadable = answer([1.0])[:-1]

    assert encoded_as(unreadable, None) is unreadable


def test_spaces_and_mixed_forms_are_seen() -> None:
    body = b'{"data": [{"embedding" : [1, 2]}, {"embedding":\n "AACAPwAAAEA="}], "model": "m"}'

    floats = orjson.loads(encoded_as(body, "float"))
    texts = orjson.loads(encoded_as(body, "base64"))

    assert [item["embedding"] for item in floats["data"]] == [[1, 2], [1, 2]]
    assert [item["embedding"] for item in texts["data"]] == ["AACAPwAAAEA=", "AACAPwAAAEA="]


def test_a_text_that_only_looks_like_an_embedding_is_none() -> None:
    body = orjson.dumps({"data": [{"embedding": [1]}], "model": 'say "embedding":"x"'})

    assert encoded_as(body, None) is body


@pytest.mark.parametrize(
    ("embedding", "wanted"),
    [
        (["x"], "base64"),
        ([None], "base64"),
        ([[1.0]], "base64"),
        ("no base64!", "float"),
        (base64.b64encode(b"12345").decode(), "float"),
        (packed([float("nan")]), "float"),
        (packed([float("inf")]), "float"),
    ],
)
def test_what_the_other_form_cannot_say_is_an_error(embedding: Any, wanted: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whatever it says of the vector
        encoded_as(answer(embedding), wanted)


def test_an_embedding_of_no_form_beside_one_to_convert_is_an_error() -> None:
    with pytest.raises(ValueError, match="neither"):
        encoded_as(answer([1.0], 7), "base64")
