"""Answers of Google's, whole and in streams, as it really sends them and as its clients read them."""

from typing import Any

import pytest

from shared.dialects.bridge import Bridge
from shared.dialects.gemini.translator import GEMINI
from shared.dialects.translator import Head
from shared.inference.conversation import Media, MediaKind, Refusal, Text, Thinking, ToolCall
from shared.inference.dialect import Dialect
from shared.inference.generation import (
    Choice,
    Delta,
    Finish,
    Finished,
    GenerationResponse,
    ToolCallBegan,
    ToolCallDelta,
)
from shared.inference.usage import Usage

HEAD = Head("job", "their-name", 1)
USAGE = {
    "promptTokenCount": 10,
    "candidatesTokenCount": 3,
    "thoughtsTokenCount": 4,
    "toolUsePromptTokenCount": 2,
    "cachedContentTokenCount": 5,
    "totalTokenCount": 19,
}
THINKING: dict[str, Any] = {"generation_config": {"thinking_config": {"include_thoughts": True}}}


def answer(*parts: Any, reason: str = "STOP", **rest: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": list(parts)}
    candidate = {"content": content, "finishReason": reason, **rest}
    return {"candidates": [candidate], "responseId": "abc-_1", "modelVersion": "gemini-3"}


def choice(*parts: Any, reason: str = "STOP", **rest: Any) -> Choice:
    return GEMINI.read_answer(answer(*parts, reason=reason, **rest)).choices[0]


def test_an_answer_of_many_parts() -> None:
    call = {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "c2ln"}
    body = answer({"text": "hm", "thought": True}, {"text": "hi"}, call, {"executableCode": {}})

    assert GEMINI.read_answer({**body, "usageMetadata": USAGE}) == GenerationResponse(
        id="abc-_1",
        model="gemini-3",
        choices=(
            Choice(
                (
                    Thinking("hm", dialect=Dialect.GEMINI),
                    Text("hi"),
                    ToolCall("call_abc-_1_0_2", "f", '{"x":1}', "c2ln"),
                ),
                Finish.TOOL_CALLS,
            ),
        ),
        usage=Usage(12, 7, 5, reasoning_tokens=4),
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", Finish.STOP),
        ("MAX_TOKENS", Finish.LENGTH),
        ("SAFETY", Finish.CONTENT_FILTER),
        ("PROHIBITED_CONTENT", Finish.CONTENT_FILTER),
        ("RECITATION", Finish.CONTENT_FILTER),
        ("OTHER", Finish.STOP),
        ("OF_THE_FUTURE", Finish.STOP),
    ],
)
def test_why_an_answer_ended(reason: str, finish: Finish) -> None:
    assert choice({"text": "a"}, reason=reason).finish is finish


def test_a_blocked_prompt_is_an_answer_that_was_filtered() -> None:
    found = GEMINI.read_answer({"promptFeedback": {"blockReason": "SAFETY"}})

    assert found.choices == (Choice((), Finish.CONTENT_FILTER),)


def test_a_candidate_without_content_says_nothing() -> None:
    found = GEMINI.read_answer({"candidates": [{"finishReason": "MAX_TOKENS"}]})

    assert found.choices == (Choice((), Finish.LENGTH),)


def test_pictures_and_probabilities_are_read() -> None:
    chosen = [{"token": "a", "tokenId": 1, "logProbability": -0.5}]
    tops = [{"candidates": [{"token": "b", "logProbability": -1.5}]}]
    found = choice(
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        logprobsResult={"chosenCandidates": chosen, "topCandidates": tops},
    )

    other = {"token": "b", "logprob": -1.5, "bytes": None}
    assert found.parts == (Media(MediaKind.IMAGE, "image/png", "AA=="),)
    assert found.logprobs == {
        "content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": [other]}]
    }


@pytest.mark.parametrize("wrong", [{}, {"promptTokenCount": -1}, {"promptTokenCount": "9"}, []])
def test_usage_that_is_none_is_unknown(wrong: Any) -> None:
    assert GEMINI.read_answer({**answer(), "usageMetadata": wrong}).usage is None


def test_what_a_client_hears() -> None:
    said = GenerationResponse(
        "theirs",
        "their-model",
        (
            Choice((Thinking("hm", "sig", dialect=Dialect.MESSAGES), Refusal("no")), Finish.STOP),
            Choice((ToolCall("c1", "f", ""), Text("")), Finish.TOOL_CALLS),
            Choice((), Finish.LENGTH),
        ),
        Usage(10, 7, 5, 0, 4),
    )

    def candidate(index: int, reason: str, *parts: Any) -> dict[str, Any]:
        content = {"parts": list(parts), "role": "model"}
        return {"content": content, "finishReason": reason, "index": index}

    thought = {"text": "hm", "thought": True}
    call = {"functionCall": {"id": "c1", "name": "f"}}
    assert GEMINI.write_answer(said, HEAD, THINKING) == {
        "candidates": [
            candidate(0, "STOP", thought, {"text": "no"}),
            candidate(1, "STOP", call),
            candidate(2, "MAX_TOKENS", {"text": ""}),
        ],
        "usageMetadata": {
            "promptTokenCount": 10,
            "candidatesTokenCount": 3,
            "totalTokenCount": 17,
            "cachedContentTokenCount": 5,
            "thoughtsTokenCount": 4,
        },
        "modelVersion": "their-name",
        "responseId": "job",
    }
    unasked = GEMINI.write_answer(said, HEAD, {})["candidates"][0]
    assert unasked == candidate(0, "STOP", {"text": "no"})


@pytest.mark.parametrize(
    ("finish", "reason"),
    [(Finish.TOOL_CALLS, "MALFORMED_FUNCTION_CALL"), (Finish.LENGTH, "MAX_TOKENS")],
)
def test_a_call_that_broke_off_is_not_told_as_one(finish: Finish, reason: str) -> None:
    call = ToolCall("c1", "f", '{"x": ')
    said = GenerationResponse("1", "m", (Choice((call,), finish),), None)
    encoder = GEMINI.encoder(HEAD, {})

    whole = GEMINI.write_answer(said, HEAD, {})["candidates"][0]
    deltas: list[Delta] = [
        ToolCallBegan(0, 0, "c1", "f"),
        ToolCallDelta(0, 0, '{"x": '),
        Finished(0, finish),
    ]
    streamed = [event for delta in deltas for event in encoder.write(delta)] + [*encoder.end()]

    assert (whole["finishReason"], whole["content"]["parts"]) == (reason, [{"text": ""}])
    assert [event["candidates"][0].get("finishReason") for event in streamed] == [reason]


def test_chats_and_google_understand_each_other() -> None:
    asked = {"model": "alias", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
    bridge = Bridge(Dialect.CHAT, Dialect.GEMINI)

    written = bridge.request(asked)
    said = bridge.answer(answer({"text": "hi"}), HEAD, asked)

    assert written.body == {
        "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
        "generationConfig": {"maxOutputTokens": 5},
    }
    assert said["choices"][0]["message"]["content"] == "hi"
