"""Counting tokens without a provider: by the tokenizer, or by experience."""

import sys
from pathlib import Path
from typing import Any

import pytest

from shared.inference.usage import Usage
from shared.limiter.estimate import MEDIA_TOKENS
from shared.limiter.tokens import BYTES_A_TOKEN, LONGEST, O200K, TokenCounter

RANKS = next(
    (Path(sys.prefix) / "sdks" / "long-tail").glob("lib/*/site-packages/litellm/*/tokenizers")
)
TEXT = "The quick brown fox jumps over the lazy dog. " * 20


def chat(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


@pytest.fixture(scope="module")
async def exact() -> TokenCounter:
    counter = TokenCounter(RANKS)
    await counter.load()
    return counter


async def test_the_tokenizer_counts(exact: TokenCounter) -> None:
    assert exact.exact
    assert exact.count("hello world", "gpt-5") == 2
    assert exact.count(TEXT, "gpt-5") == 201
    assert exact.count("<|endoftext|>", "gpt-5") > 1, "a client's text is never a command"


@pytest.mark.parametrize(
    ("model", "factor"),
    [
        ("gemini-3", 1.0),
        ("claude-sonnet-4-5", 1.15),
        ("anthropic/claude-opus-4.7", 1.5),
        ("claude-sonnet-5", 1.5),
    ],
)
async def test_others_are_told_by_a_factor(exact: TokenCounter, model: str, factor: float) -> None:
    assert exact.count(TEXT, model) == round(201 * factor)


async def test_a_text_beyond_all_measure_is_not_tokenized(exact: TokenCounter) -> None:
    text = "x" * (LONGEST + 1)

    assert exact.count(text, "gpt-5") == round(len(text) / BYTES_A_TOKEN)


async def test_without_ranks_it_is_an_estimate(tmp_path: Path) -> None:
    counter = TokenCounter(tmp_path)
    await counter.load()

    assert not counter.exact
    assert counter.count("x" * 360, "m") == 100


async def test_broken_ranks_are_left_alone(tmp_path: Path) -> None:
    broken = tmp_path / O200K
    broken.write_bytes((RANKS / O200K).read_bytes()[:-100])
    counter = TokenCounter(tmp_path)
    await counter.load()

    assert not counter.exact
    assert broken.exists()


def test_experience_corrects_the_estimate() -> None:
    counter = TokenCounter()
    text = "x" * 4000
    for _ in range(800):
        counter.learn(chat(text), "dense", Usage(2000, 1))

    assert counter.count(text, "dense") == pytest.approx(2000, rel=0.02)
    assert counter.count(text, "another") == round(4000 / BYTES_A_TOKEN)


@pytest.mark.parametrize(
    ("body", "usage"),
    [(chat(""), Usage(10, 1)), (chat("x"), Usage(0, 1)), ({"messages": []}, Usage(5, 1))],
)
def test_nothing_is_learned_of_nothing(body: dict[str, Any], usage: Usage) -> None:
    counter = TokenCounter()
    counter.learn(body, "m", usage)

    assert counter.count("x" * 36, "m") == 10


@pytest.mark.parametrize(
    "body",
    [
        chat(TEXT),
        {"messages": [{"role": "user", "content": [{"type": "text", "text": TEXT}]}]},
        {"system": "", "messages": [{"role": "user", "content": TEXT}]},
        {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]},
        {"input": TEXT},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": TEXT}]}]},
        {"prompt": TEXT},
    ],
)
async def test_a_request_counts_alike_in_every_dialect(
    exact: TokenCounter, body: dict[str, Any]
) -> None:
    assert exact.count_request(body, "m") == pytest.approx(201, abs=6)


async def test_pictures_and_tools_count(exact: TokenCounter) -> None:
    tool = {"name": "weather", "description": TEXT, "input_schema": {"type": "object"}}
    picture = {"type": "image", "source": {"type": "base64", "data": "A" * 9000}}
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": [picture]}],
        "tools": [tool],
    }

    assert exact.count_request(body, "m") == pytest.approx(201 + MEDIA_TOKENS, abs=20)
