"""Vectors come back in the encoding that was asked for, whatever the provider made of it."""

import orjson
import pytest

from api.direct.serve import Body
from api.openai.embeddings import in_encoding

FLOATS = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1.0]}]}'
PACKED = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AAAAPwAAgL8="}]}'


@pytest.mark.parametrize("asked", [{}, {"encoding_format": "float"}])
def test_floats_are_what_is_given_unless_asked_otherwise(asked: Body) -> None:
    assert in_encoding(FLOATS, asked) is FLOATS
    assert orjson.loads(in_encoding(PACKED, asked)) == orjson.loads(FLOATS)


def test_base64_is_little_endian_float32() -> None:
    asked: Body = {"encoding_format": "base64"}

    assert in_encoding(PACKED, asked) is PACKED
    assert orjson.loads(in_encoding(FLOATS, asked)) == orjson.loads(PACKED)


@pytest.mark.parametrize("answer", [b"{}", b'{"data": []}'])
def test_what_holds_no_vector_is_left_alone(answer: bytes) -> None:
    assert in_encoding(answer, {"encoding_format": "base64"}) is answer
