"""Chat answers as vendors really send them, and as OpenAI's clients take them."""

from typing import Any

import pytest

from shared.dialects.chat.translator import CHAT
from shared.dialects.translator import Head, Unreadable
from shared.inference.conversation import Part, Text, Thinking, ToolCall
from shared.inference.dialect import Dialect
from shared.inference.generation import (
    Choice,
    Finish,
    GenerationResponse,
)
from shared.inference.usage import Usage

HEAD = Head("a1", "best", 1_700_000_000)
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def answer(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "chatcmpl-x", "model": "m", "created": 7, "choices": [choice], **more}


def choice_of(message: dict[str, Any], finish: str | None = "stop") -> Choice:
    return CHAT.read_answer(answer(message, finish)).choices[0]


def call(name: str, arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "hi"}, (Text("hi"),)),
        ({"content": ""}, ()),
        ({"content": None}, ()),
        (
            {"content": "4", "reasoning": "2+2"},
            (Thinking("2+2", dialect=Dialect.CHAT), Text("4")),
        ),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "2+2"}]},
                    {"type": "text", "text": "4"},
                ]
            },
            (Thinking("2+2", dialect=Dialect.CHAT), Text("4")),
        ),
        ({"content": None, "tool_calls": [call("f", id="c")]}, (ToolCall("c", "f", "{}"),)),
        (
            {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
            (ToolCall("call_chatcmpl-x_0_0", "f", "{}"),),
        ),
    ],
)
def test_every_message_is_read(message: dict[str, Any], parts: tuple[Part, ...]) -> None:
    assert choice_of(message).parts == parts


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        ("stop", Finish.STOP),
        ("length", Finish.LENGTH),
        ("model_length", Finish.LENGTH),
        ("content_filter", Finish.CONTENT_FILTER),
        ("function_call", Finish.TOOL_CALLS),
        ("eos", Finish.STOP),
        (None, Finish.STOP),
    ],
)
def test_every_reason_is_understood(said: str | None, finish: Finish) -> None:
    assert choice_of({"content": "x"}, said).finish is finish


def test_a_stop_with_calls_means_the_calls() -> None:
    assert choice_of({"tool_calls": [call("f", id="c")]}).finish is Finish.TOOL_CALLS


def test_choices_are_in_their_order() -> None:
    body = answer({"content": "a"})
    body["choices"] = [
        {"index": 1, "message": {"content": "b"}, "finish_reason": "stop"},
        *body["choices"],
    ]

    assert [each.parts for each in CHAT.read_answer(body).choices] == [(Text("a"),), (Text("b"),)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": [1]},
        {"choices": [{"index": 0}]},
        answer({"tool_calls": [1]}),
    ],
)
def test_what_is_no_answer_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        CHAT.read_answer(body)


def test_an_answer_has_every_member_that_clients_read() -> None:
    parts = (Thinking("hm"), Text("hi"), ToolCall("c", "f", "", "c2ln"))
    response = GenerationResponse(
        "x", "theirs", (Choice(parts, Finish.TOOL_CALLS),), Usage(3, 4, 1, 0, 2)
    )

    assert CHAT.write_answer(response, HEAD, {}) == {
        "id": "chatcmpl-a1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "best",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "hi",
                    "refusal": None,
                    "reasoning_content": "hm",
                    "tool_calls": [
                        {
                            "id": "c",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                            "extra_content": {"google": {"thought_signature": "c2ln"}},
                        }
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            **USAGE,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }
