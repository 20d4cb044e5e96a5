"""The guess of a call's cost: never too low, never refuses a body."""

from math import ceil

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from shared.inference.dialect import Operation
from shared.limiter.buckets import Bucket, Cost, Lane
from shared.limiter.estimate import MEDIA_TOKENS, estimate, never_fits

texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def _chat(content: JsonValue, **more: JsonValue) -> dict[str, JsonValue]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


@given(st.lists(texts, min_size=1), texts)
def test_input_counts_a_token_for_three_characters(contents: list[str], tool: str) -> None:
    """All messages and tools count, a third of a token for each of their bytes, or more."""
    messages: list[JsonValue] = [{"role": "user", "content": content} for content in contents]
    body: dict[str, JsonValue] = {"messages": messages, "tools": [{"description": tool}]}

    cost = estimate(body, default_output_tokens=1)

    length = sum(len(text.encode()) for text in (*contents, tool))
    assert cost.input_tokens >= ceil(length / 3)
    assert cost.input_tokens <= ceil(len(orjson.dumps(body)) / 3) + 1


@given(
    st.dictionaries(
        st.sampled_from(
            READ := [
                "messages",
                "input",
                "tools",
                "n",
                "max_tokens",
                "max_completion_tokens",
                "response_format",
                "prompt",
                "functions",
                "other",
            ]
        ),
        json_values,
    )
)
def test_any_body_has_an_estimate(body: dict[str, JsonValue]) -> None:
    """Whatever a client sends, refusing it is not the estimate's business."""
    cost = estimate(body, default_output_tokens=100)

    assert cost.requests == 1
    assert cost.input_tokens >= 1
    assert cost.output_tokens >= 0


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, 700),
        ({"max_tokens": 50}, 50),
        ({"max_completion_tokens": 60, "max_tokens": 50}, 60),
        ({"max_tokens": 50, "n": 3}, 150),
        ({"n": 2}, 1_400),
        ({"max_tokens": None}, 700),
        ({"max_tokens": "many"}, 700),
        ({"max_tokens": True}, 700),
        ({"max_tokens": -5}, 700),
        ({"max_tokens": 50, "n": 0}, 50),
    ],
)
def test_output_is_the_ceiling_of_the_body(keys: dict[str, JsonValue], expected: int) -> None:
    """The body's own ceiling for each choice; without one, the caller's default."""
    assert estimate(_chat("hi", **keys), default_output_tokens=700).output_tokens == expected


def test_schema_counts() -> None:
    """A schema is read by the model too."""
    schema: JsonValue = {"type": "json_schema", "json_schema": {"schema": {"title": "x" * 3_000}}}

    plain = estimate(_chat("hi"), default_output_tokens=1)
    with_schema = estimate(_chat("hi", response_format=schema), default_output_tokens=1)

    assert with_schema.input_tokens >= plain.input_tokens + 1_000


@pytest.mark.parametrize(
    "url", ["https://example.com/a.png", "data:image/png;base64," + "A" * 900_000]
)
def test_picture_costs_a_picture(url: str) -> None:
    """The length of an image's base64 says nothing of its tokens."""
    picture: JsonValue = {"type": "image_url", "image_url": {"url": url}}
    content: JsonValue = [{"type": "text", "text": "What is it?"}, picture, picture]

    tokens = estimate(_chat(content), default_output_tokens=1).input_tokens

    assert 2 * MEDIA_TOKENS < tokens < 2 * MEDIA_TOKENS + 60


PICTURE = "A" * 900_000


@pytest.mark.parametrize("kind", [["image"], {"a": 1}, None, 5, True])
def test_a_part_of_no_kind_is_no_picture(kind: JsonValue) -> None:
    part: JsonValue = {"type": kind, "text": "hi"}
    body: dict[str, JsonValue] = {"messages": [{"role": "user", "content": [part]}]}

    assert estimate(body, default_output_tokens=0).input_tokens < 40


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [{"type": "image", "source": PICTURE}]}]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "content": [{"type": "image", "d": PICTURE}]}
                    ],
                }
            ]
        },
        {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": PICTURE}}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": PICTURE}]}]},
    ],
)
def test_a_picture_is_one_in_every_dialect(body: dict[str, JsonValue]) -> None:
    tokens = estimate(body, default_output_tokens=1).input_tokens

    assert MEDIA_TOKENS < tokens < MEDIA_TOKENS + 60


@pytest.mark.parametrize(
    "body",
    [
        {"system": "x" * 3000, "messages": [{"role": "user", "content": "hi"}]},
        {"systemInstruction": {"parts": [{"text": "x" * 3000}]}, "contents": []},
        {"contents": [{"role": "user", "parts": [{"text": "x" * 3000}]}]},
        {"generateContentRequest": {"contents": [{"parts": [{"text": "x" * 3000}]}]}},
        {"input": "x" * 3000},
        {"input": [{"role": "user", "content": "x" * 3000}]},
        {"instructions": "x" * 3000, "input": "hi"},
        {"prompt": "x" * 3000},
    ],
)
def test_what_is_read_counts_in_every_dialect(body: dict[str, JsonValue]) -> None:
    cost = estimate(body, default_output_tokens=700)

    assert 1000 <= cost.input_tokens < 1060
    assert cost.output_tokens == 700
    assert estimate(body, default_output_tokens=700, operation=Operation.COUNT).output_tokens == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_output_tokens": 60}, 60),
        ({"generationConfig": {"maxOutputTokens": 60, "candidateCount": 2}}, 120),
        ({"generation_config": {"max_output_tokens": 60}}, 60),
        ({"generationConfig": "none"}, 700),
    ],
)
def test_the_ceiling_has_many_names(body: dict[str, JsonValue], expected: int) -> None:
    assert estimate(body, default_output_tokens=700).output_tokens == expected


@pytest.mark.parametrize(
    "body",
    [
        {"content": {"parts": [{"text": "x" * 300}]}},
        {"requests": [{"content": {"parts": [{"text": "x" * 300}]}}]},
    ],
)
def test_googles_embeddings_count(body: dict[str, JsonValue]) -> None:
    cost = estimate(body, default_output_tokens=700, operation=Operation.EMBED)

    assert 100 <= cost.input_tokens < 120
    assert cost.output_tokens == 0


@pytest.mark.parametrize(
    ("given_input", "expected"),
    [("a" * 298, 100), (["a" * 28, "b" * 28], 20), ([1, 2, 3], 3), ([[1, 2], [3]], 3), ([], 1)],
)
def test_embeddings_have_input_only(given_input: JsonValue, expected: int) -> None:
    """Texts are guessed, tokens given as numbers are counted, nothing is written."""
    body: dict[str, JsonValue] = {"model": "m", "input": given_input}
    cost = estimate(body, default_output_tokens=700, operation=Operation.EMBED)

    assert cost == Cost(1, expected, 0)


def test_never_fits_names_the_bucket() -> None:
    """What no amount of waiting lets through, by the first bucket that is too small."""
    lane = Lane(
        "k",
        (Bucket("requests", 1, 1), Bucket("input_tokens", 100, 1), Bucket("tokens", 150, 1)),
        1,
    )

    assert never_fits(lane, Cost(1, 100, 50)) is None
    assert never_fits(lane, Cost(1, 100, 51)) == "tokens"
    assert never_fits(lane, Cost(1, 101, 0)) == "input_tokens"
    assert never_fits(lane, Cost(2, 0, 0)) == "requests"
    assert never_fits(Lane("k", (), 1), Cost(9, 9_999_999, 9_999_999)) is None
