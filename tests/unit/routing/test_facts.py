"""What a request needs, read off its body in every dialect."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.inference.dialect import Dialect
from shared.routing.facts import facts_of
from shared.routing.model import Capability, Difficulty

VISION, TOOLS, STRUCTURED = Capability.VISION, Capability.TOOLS, Capability.STRUCTURED
AUDIO, FILES, EMBEDDINGS = Capability.AUDIO, Capability.FILES, Capability.EMBEDDINGS


def chat(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}], **more}


@pytest.mark.parametrize(
    ("dialect", "body", "needs"),
    [
        (Dialect.CHAT, {"messages": [{"role": "user", "content": "hello"}]}, set()),
        (Dialect.CHAT, chat({"type": "text", "text": "hello"}), set()),
        (Dialect.CHAT, chat({"type": "image_url", "image_url": {"url": "data:"}}), {VISION}),
        (Dialect.CHAT, chat({"type": "input_audio", "input_audio": {}}), {AUDIO}),
        (Dialect.CHAT, chat({"type": "file", "file": {}}), {FILES}),
        (Dialect.CHAT, chat(tools=[{"type": "function"}]), {TOOLS}),
        (Dialect.CHAT, chat(tools=[]), set()),
        (Dialect.CHAT, chat(functions=[{}]), {TOOLS}),
        (Dialect.CHAT, chat(response_format={"type": "json_schema"}), {STRUCTURED}),
        (Dialect.CHAT, chat(response_format={"type": "text"}), set()),
        (Dialect.CHAT, chat(modalities=["text", "audio"]), {AUDIO}),
        (Dialect.COMPLETIONS, {"prompt": ["one", "two"]}, set()),
        (Dialect.RESPONSES, {"input": "hello"}, set()),
        (
            Dialect.RESPONSES,
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            {VISION},
        ),
        (
            Dialect.RESPONSES,
            {"input": [{"type": "function_call_output", "output": [{"type": "input_file"}]}]},
            {FILES},
        ),
        (
            Dialect.RESPONSES,
            {"input": "x", "text": {"format": {"type": "json_schema"}}},
            {STRUCTURED},
        ),
        (Dialect.MESSAGES, chat({"type": "image", "source": {}}), {VISION}),
        (Dialect.MESSAGES, chat({"type": "document", "source": {}}), {FILES}),
        (
            Dialect.MESSAGES,
            chat({"type": "tool_result", "content": [{"type": "image"}]}, tools=[{"name": "t"}]),
            {VISION, TOOLS},
        ),
        (
            Dialect.MESSAGES,
            chat(output_config={"format": {"type": "json_schema", "schema": {}}}),
            {STRUCTURED},
        ),
        (
            Dialect.GEMINI,
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}]},
            {VISION},
        ),
        (
            Dialect.GEMINI,
            {"contents": [{"parts": [{"fileData": {"mimeType": "audio/wav"}}]}]},
            {AUDIO},
        ),
        (
            Dialect.GEMINI,
            {
                "contents": [{"parts": [{"inline_data": {"mime_type": "application/pdf"}}]}],
                "generationConfig": {"responseMimeType": "application/json"},
                "tools": [{"functionDeclarations": []}],
            },
            {FILES, STRUCTURED, TOOLS},
        ),
        (Dialect.EMBEDDINGS, {"input": [[1, 2, 3]]}, {EMBEDDINGS}),
        (Dialect.GEMINI_EMBEDDING, {"content": {"parts": [{"text": "x"}]}}, {EMBEDDINGS}),
    ],
)
def test_needs(dialect: Dialect, body: dict[str, Any], needs: set[Capability]) -> None:
    assert facts_of(dialect, body).needs == needs


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6, "max_tokens": 5}, 6),
        ({"max_output_tokens": 7}, 7),
        ({"generationConfig": {"maxOutputTokens": 8}}, 8),
        ({"max_tokens": "many"}, 0),
        ({"max_tokens": True}, 0),
        ({}, 0),
    ],
)
def test_the_longest_answer_that_is_asked_for(body: dict[str, Any], tokens: int) -> None:
    assert facts_of(Dialect.CHAT, body).output_tokens == tokens


def test_characters_and_streams() -> None:
    body = chat({"type": "text", "text": "four"}, {"type": "text", "text": "two"}, stream=True)

    facts = facts_of(Dialect.CHAT, {**body, "system": "abc"}, regions=["eu"], tier="gold")

    assert (facts.chars, facts.streams, facts.hard) == (10, True, None)
    assert (facts.regions, facts.tier) == (frozenset({"eu"}), "gold")


@pytest.mark.parametrize(
    ("body", "hard"),
    [
        (chat({"type": "text", "text": "a" * 20}), False),
        (chat({"type": "text", "text": "a" * 21}), True),
        (chat({"type": "text", "text": "Please PROVE it"}), True),
        (chat({"type": "text", "text": "hi"}, {"type": "image_url"}), True),
        (chat({"type": "text", "text": "hi"}, tools=[{}]), True),
    ],
)
def test_the_rule_of_difficulty(body: dict[str, Any], hard: bool) -> None:
    rule = Difficulty(("a",), ("b",), max_chars=20, hard_words=("prove",))

    assert facts_of(Dialect.CHAT, body, difficulty=rule).hard is hard


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "content", "parts", "text", "inlineData", "image_url"]), inner
        )
    ),
    max_leaves=10,
)


@given(
    st.sampled_from(list(Dialect)),
    st.dictionaries(
        st.sampled_from(
            ["messages", "input", "contents", "system", "tools", "text", "generationConfig"]
        ),
        JSON,
    ),
)
def test_whatever_comes_is_read(dialect: Dialect, body: dict[str, Any]) -> None:
    rule = Difficulty(("a",), ("b",), hard_words=("x",))

    assert facts_of(dialect, body, difficulty=rule).chars >= 0
