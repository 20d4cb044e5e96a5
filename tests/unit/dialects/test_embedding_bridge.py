"""Embeddings from one dialect to another: every text its vector, in the form and size that was asked for."""

import base64
import math
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dialects.embedding import TRANSLATORS, EmbeddingBridge, spoken_for_embeddings
from shared.dialects.translator import Unreadable, Unsupported
from shared.inference.dialect import EMBEDDING_DIALECTS, Dialect
from shared.inference.embeddings import EmbeddingRequest, Embeddings

OPENAI, ONE, MANY = Dialect.EMBEDDINGS, Dialect.GEMINI_EMBEDDING, Dialect.GEMINI_EMBEDDINGS
texts = st.text(max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


def told(bridge: EmbeddingBridge, answer: dict[str, Any], asked: dict[str, Any]) -> Any:
    return orjson.loads(bridge.answer(orjson.dumps(answer), asked))


@pytest.mark.parametrize("dialect", sorted(EMBEDDING_DIALECTS))
@given(data=st.data())
def test_requests_come_back_as_they_were(dialect: Dialect, data: st.DataObject) -> None:
    most = 1 if dialect is ONE else 4
    asked = data.draw(
        st.builds(
            EmbeddingRequest,
            st.lists(texts, min_size=1, max_size=most).map(tuple),
            st.none() | st.integers(1, 4096),
        )
    )
    translator = TRANSLATORS[dialect]

    assert translator.read_request(translator.write_request(asked)) == asked


@pytest.mark.parametrize("dialect", sorted(EMBEDDING_DIALECTS))
@given(data=st.data())
def test_answers_come_back_as_they_were(dialect: Dialect, data: st.DataObject) -> None:
    vectors = st.lists(numbers, min_size=1, max_size=3)
    most = 1 if dialect is ONE else 4
    found = data.draw(
        st.builds(
            Embeddings,
            st.lists(vectors, min_size=1, max_size=most).map(tuple),
            st.integers(0, 9),
        )
    )
    translator = TRANSLATORS[dialect]

    assert translator.read_answer(translator.write_answer(found, {})) == found


def test_an_openai_client_hears_google() -> None:
    bridge = EmbeddingBridge(OPENAI, MANY)
    asked = {"model": "e", "input": ["a", "b"], "dimensions": 2, "user": "u", "penstock": {}}

    written = bridge.request(asked)
    answer = told(bridge, {"embeddings": [{"values": [3, 4]}, {"values": [0, 2]}]}, asked)

    assert written.dropped == ("user",)
    assert written.body == {
        "requests": [
            {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2},
            {"content": {"parts": [{"text": "b"}]}, "outputDimensionality": 2},
        ]
    }
    assert answer == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.6, 0.8]},
            {"object": "embedding", "index": 1, "embedding": [0.0, 1.0]},
        ],
        "model": "e",
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }


def test_base64_is_honoured_whoever_answers() -> None:
    asked = {"model": "e", "input": "a", "encoding_format": "base64"}
    answer = {"embeddings": [{"values": [0.5, -0.25]}], "usageMetadata": {"promptTokenCount": 3}}

    said = told(EmbeddingBridge(OPENAI, MANY), answer, asked)

    raw = base64.b64decode(said["data"][0]["embedding"])
    assert struct.unpack("<2f", raw) == (0.5, -0.25)
    assert said["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


@pytest.mark.parametrize("nested", [False, True])
def test_a_google_client_hears_openai(nested: bool) -> None:
    settings = {"task_type": "RETRIEVAL_QUERY", "output_dimensionality": 2}
    inner = {"embedContentConfig": settings} if nested else settings
    bridge = EmbeddingBridge(ONE, OPENAI)
    asked = {"model": "e", "content": {"parts": [{"text": "a"}, {"text": "b"}]}, **inner}
    packed = base64.b64encode(struct.pack("<2f", 1, 0)).decode()

    written = bridge.request(asked)
    answer = told(bridge, {"data": [{"embedding": packed}], "usage": {"prompt_tokens": 5}}, asked)

    assert written.body == {"input": ["a\nb"], "dimensions": 2}
    assert written.dropped == ("taskType",)
    assert answer == {
        "embedding": {"values": [1, 0]},
        "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
    }


def test_vectors_stand_in_the_order_of_their_texts() -> None:
    bridge = EmbeddingBridge(MANY, OPENAI)
    asked = {"requests": [{"content": {"parts": [{"text": each}]}} for each in "ab"]}
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]

    assert told(bridge, {"data": data}, asked) == {
        "embeddings": [{"values": [1.0]}, {"values": [2.0]}]
    }


def test_a_vector_too_few_is_no_answer() -> None:
    asked = {"model": "e", "input": ["a", "b"]}

    with pytest.raises(ValueError, match="1 embeddings of 2 texts"):
        told(EmbeddingBridge(OPENAI, MANY), {"embeddings": [{"values": [1]}]}, asked)


def test_a_vector_of_nothing_stays_one() -> None:
    asked = {"model": "e", "input": "a", "dimensions": 2}

    said = told(EmbeddingBridge(OPENAI, MANY), {"embeddings": [{"values": [0, 0]}]}, asked)

    assert math.hypot(*said["data"][0]["embedding"]) == 0


@pytest.mark.parametrize(
    ("client", "provider", "body", "feature"),
    [
        (OPENAI, MANY, {"input": [1, 2]}, "token numbers"),
        (OPENAI, ONE, {"input": ["a", "b"]}, "several texts"),
        (ONE, OPENAI, {"content": {"parts": [{"inlineData": {}}]}}, "no text"),
        (
            MANY,
            OPENAI,
            {
                "requests": [
                    {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2},
                    {"content": {"parts": [{"text": "a"}]}},
                ]
            },
            "several sizes",
        ),
    ],
)
def test_what_cannot_be_said_is_named(
    client: Dialect, provider: Dialect, body: dict[str, Any], feature: str
) -> None:
    with pytest.raises(Unsupported, match=feature):
        EmbeddingBridge(client, provider).request(body)


@pytest.mark.parametrize(
    ("client", "body", "param"),
    [
        (OPENAI, {"input": []}, "input"),
        (OPENAI, {"input": "a", "dimensions": 0}, "dimensions"),
        (ONE, {"content": "a"}, "content"),
        (MANY, {"requests": [{"content": {"parts": [{"text": 1}]}}]}, "requests[0].content"),
        (MANY, {"requests": [3]}, "requests[0]"),
        (MANY, {"requests": []}, "requests"),
    ],
)
def test_a_wrong_request_is_told_where(client: Dialect, body: dict[str, Any], param: str) -> None:
    other = MANY if client is OPENAI else OPENAI

    with pytest.raises(Unreadable) as raised:
        EmbeddingBridge(client, other).request(body)

    assert raised.value.param is not None
    assert raised.value.param.startswith(param)
    assert raised.value.param in raised.value.message


def test_a_provider_is_asked_in_the_clients_dialect_or_in_one_that_takes_many() -> None:
    assert spoken_for_embeddings(ONE, {ONE, MANY}) is ONE
    assert spoken_for_embeddings(OPENAI, {ONE, MANY}) is MANY
    assert spoken_for_embeddings(OPENAI, {ONE}) is ONE
    with pytest.raises(Unsupported, match="embeddings"):
        spoken_for_embeddings(OPENAI, {Dialect.MESSAGES})


def test_in_one_dialect_nothing_is_rewritten() -> None:
    body = {"model": "e", "requests": [{"future": 1}]}
    raw = b'{"embeddings": [{"values": [1], "future": 2}]}'
    bridge = EmbeddingBridge(MANY, MANY)

    assert bridge.request(body).body == body
    assert bridge.answer(raw, body) is raw
