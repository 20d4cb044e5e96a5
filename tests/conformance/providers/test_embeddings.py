"""Embeddings, from every provider: the asked size, the asked encoding, the asked order."""

import base64
import math
import struct
from typing import Any

import orjson
import pytest
from pydantic import JsonValue

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceResponse
from shared.inference.usage import Usage
from tests.conformance.providers.conftest import SANDBOX, Subject

pytestmark = pytest.mark.parametrize("subject", [SANDBOX, "openai_compatible"], indirect=True)


def embed(**body: JsonValue) -> InferenceRequest:
    return InferenceRequest("embedder", body, Dialect.EMBEDDINGS)


def decoded(response: InferenceResponse) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(response.body)
    return value


async def test_embeddings_are_unit_vectors_of_the_asked_size(subject: Subject) -> None:
    response = await subject.provider.embed(embed(input=["one", "two"], dimensions=16))

    value = decoded(response)
    assert (value["object"], value["model"]) == ("list", "embedder")
    assert [one["index"] for one in value["data"]] == [0, 1]
    for one in value["data"]:
        assert len(one["embedding"]) == 16
        assert math.hypot(*one["embedding"]) == pytest.approx(1, abs=1e-5)
    assert response.usage == Usage(value["usage"]["prompt_tokens"], 0)
    assert value["data"][0]["embedding"] != value["data"][1]["embedding"]


async def test_embeddings_in_base64_are_the_same_vectors(subject: Subject) -> None:
    plain = decoded(await subject.provider.embed(embed(input="one", encoding_format="float")))
    packed = decoded(await subject.provider.embed(embed(input="one", encoding_format="base64")))

    raw = base64.b64decode(packed["data"][0]["embedding"])
    vector = struct.unpack(f"<{len(raw) // 4}f", raw)
    assert vector == pytest.approx(plain["data"][0]["embedding"], abs=1e-6)
