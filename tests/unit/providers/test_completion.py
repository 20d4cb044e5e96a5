"""What counts as an answer, and what it used."""

import orjson
import pytest
from pydantic import JsonValue

from shared.inference.dialect import Dialect
from shared.inference.usage import Usage
from shared.providers import errors
from shared.providers.completion import check, usage_of

CHOICES: list[JsonValue] = [{"index": 0, "message": {"role": "assistant", "content": "hi"}}]
USAGE: dict[str, JsonValue] = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (USAGE, Usage(3, 4)),
        ({"prompt_tokens": 3, "total_tokens": 3}, Usage(3, 0)),
        ({"prompt_tokens": 3, "completion_tokens": 4}, Usage(3, 4)),
        # Reasoning counted in the total only.
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 107}, Usage(3, 104)),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": 2}}, Usage(3, 4, 2)),
        ({**USAGE, "prompt_cache_hit_tokens": 1}, Usage(3, 4, 1)),
        ({**USAGE, "prompt_tokens_details": {"cached_tokens": 99}}, Usage(3, 4, 3)),
        ({**USAGE, "prompt_tokens_details": None}, Usage(3, 4)),
        ({"prompt_tokens": "3", "completion_tokens": 4}, None),
        ({"prompt_tokens": -1, "completion_tokens": 4}, None),
        ({"prompt_tokens": True, "completion_tokens": 4}, None),
        ({"prompt_tokens": 3}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_usage_is_read_or_unknown(said: JsonValue, usage: Usage | None) -> None:
    assert usage_of({"usage": said}) == usage


def test_groq_hides_the_usage_of_its_streams() -> None:
    assert usage_of({"x_groq": {"id": "r", "usage": USAGE}}) == Usage(3, 4)


@pytest.mark.parametrize(
    ("dialect", "value"),
    [
        (Dialect.CHAT, {"choices": CHOICES, "usage": USAGE}),
        (Dialect.CHAT, {"choices": CHOICES, "usage": USAGE, "error": None, "more": 1}),
        (Dialect.EMBEDDINGS, {"data": [{"index": 0, "embedding": [0.5]}], "usage": USAGE}),
        (Dialect.EMBEDDINGS, {"data": [{"index": 0, "embedding": "AAAA"}], "usage": USAGE}),
    ],
)
def test_an_answer_passes(dialect: Dialect, value: JsonValue) -> None:
    assert check(dialect, orjson.dumps(value), provider="p") == Usage(3, 4)


@pytest.mark.parametrize(
    ("dialect", "raw"),
    [
        (Dialect.CHAT, b""),
        (Dialect.CHAT, b"<html>"),
        (Dialect.CHAT, b'{"choices": ['),
        (Dialect.CHAT, b"[]"),
        (Dialect.CHAT, b"{}"),
        (Dialect.CHAT, b'{"choices": []}'),
        (Dialect.CHAT, b'{"choices": null}'),
        (Dialect.CHAT, b'{"choices": ["x"]}'),
        (Dialect.CHAT, b'{"error": {"message": "who knows"}}'),
        (Dialect.EMBEDDINGS, b'{"data": []}'),
        (Dialect.EMBEDDINGS, b'{"data": {}}'),
        (Dialect.EMBEDDINGS, b'{"data": [{"index": 0}]}'),
    ],
)
def test_what_is_no_answer_is_malformed_and_shown(dialect: Dialect, raw: bytes) -> None:
    with pytest.raises(errors.Malformed) as raised:
        check(dialect, raw, provider="p")

    assert raised.value.body == raw
    assert raised.value.sent


def test_an_empty_answer_may_still_have_cost_something() -> None:
    with pytest.raises(errors.Malformed) as raised:
        check(Dialect.CHAT, orjson.dumps({"choices": [], "usage": USAGE}), provider="p")

    assert raised.value.usage == Usage(3, 4)


def test_an_error_in_a_choice_is_an_error() -> None:
    broken = {"choices": [{"index": 0, "error": {"code": 429, "message": "slow"}}], "usage": USAGE}

    with pytest.raises(errors.RateLimited) as raised:
        check(Dialect.CHAT, orjson.dumps(broken), provider="p")

    assert raised.value.usage == Usage(3, 4)
