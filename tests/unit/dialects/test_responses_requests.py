"""Requests to OpenAI's Responses: what clients send, and what cannot be said elsewhere."""

from typing import Any

import pytest

from shared.dialects.responses.translator import RESPONSES
from shared.dialects.translator import Head, Unreadable, Unsupported
from shared.inference.conversation import (
    Format,
    Media,
    MediaKind,
    Message,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from shared.inference.dialect import Dialect
from shared.inference.generation import (
    GenerationRequest,
    Tuning,
)
from shared.inference.usage import Usage

HEAD = Head("1", "team/model", 1_700_000_000)
HELLO = (Message(Role.USER, (Text("hello"),)),)
USAGE = Usage(9, 5, 4, 1, 2)


def read(**body: Any) -> GenerationRequest:
    return RESPONSES.read_request({"model": "m", "input": "hello", **body})


def turns(*items: dict[str, Any]) -> tuple[Message, ...]:
    return read(input=list(items)).messages


def test_a_text_is_what_a_user_says() -> None:
    assert read() == GenerationRequest(HELLO)
    system = Message(Role.SYSTEM, (Text("Be brief."),))
    assert read(instructions="Be brief.").messages == (system, *HELLO)


def test_messages_may_leave_out_their_type_and_their_parts() -> None:
    assert turns(
        {"role": "developer", "content": "a"},
        {"role": "user", "content": [{"type": "input_text", "text": "b"}]},
        {"type": "message", "role": "assistant", "content": "c"},
    ) == (
        Message(Role.SYSTEM, (Text("a"),)),
        Message(Role.USER, (Text("b"),)),
        Message(Role.ASSISTANT, (Text("c"),)),
    )


def test_what_a_model_said_in_several_items_is_one_turn_and_so_are_the_results() -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}", "id": "fc_1"}
    result = {"type": "function_call_output", "output": "7"}
    assert turns(
        {"role": "user", "content": "?"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {**call, "call_id": "a"},
        {**call, "call_id": "b", "penstock_signature": "s"},
        {**result, "call_id": "a"},
        {**result, "call_id": "b", "output": [{"type": "input_text", "text": "8"}]},
        {"role": "user", "content": "and?"},
    ) == (
        Message(Role.USER, (Text("?"),)),
        Message(
            Role.ASSISTANT,
            (
                Thinking("hm", dialect=Dialect.RESPONSES),
                ToolCall("a", "f", "{}"),
                ToolCall("b", "f", "{}", "s"),
            ),
        ),
        Message(
            Role.USER,
            (ToolResult("a", (Text("7"),), name="f"), ToolResult("b", (Text("8"),), name="f")),
        ),
        Message(Role.USER, (Text("and?"),)),
    )


def test_pictures_and_files_come_in_all_their_forms() -> None:
    (message,) = turns(
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
                {"type": "input_image", "image_url": "https://example.com/a.png"},
                {"type": "input_image", "file_id": "file-1"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "AAAA"},
                {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            ],
        }
    )
    image, file = MediaKind.IMAGE, MediaKind.DOCUMENT
    assert message.parts == (
        Media(image, "image/png", "AAAA", detail="low"),
        Media(image, url="https://example.com/a.png"),
        Media(image, file_id="file-1"),
        Media(file, "application/pdf", "AAAA", name="a.pdf"),
        Media(file, url="https://example.com/a.pdf"),
    )


def test_everything_else_of_a_request_is_read() -> None:
    schema = {"type": "object"}
    asked = read(
        tools=[{"type": "function", "name": "f", "parameters": schema, "strict": True}],
        tool_choice={
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "f"}],
        },
        text={
            "verbosity": "low",
            "format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True},
        },
        reasoning={"effort": "high", "summary": "auto"},
        include=["message.output_text.logprobs"],
        max_output_tokens=10,
        temperature=0.5,
        parallel_tool_calls=False,
        safety_identifier="u",
        truncation="auto",
        stream=True,
        background=True,
        store=False,
        metadata={"a": "b"},
        novel=1,
        penstock_inherited=0,
        previous_response_id="resp_0",
    )
    assert asked == GenerationRequest(
        HELLO,
        tools=(Tool("f", None, schema, strict=True),),
        tool_choice=ToolChoice(ToolMode.REQUIRED, ("f",)),
        format=Format(schema, "n", None, strict=True),
        max_tokens=10,
        logprobs=0,
        tuning=Tuning(
            temperature=0.5, effort="high", verbosity="low", user="u", parallel_tool_calls=False
        ),
        unknown=("novel", "truncation", "reasoning.summary"),
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": 7}, "input"),
        ({"input": [7]}, "input[0]"),
        ({"input": [{"role": "king", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "function_call", "call_id": "a"}]}, "input[0].name"),
        ({"instructions": ["x"]}, "instructions"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "never"}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
        ({"temperature": "hot"}, "temperature"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"previous_response_id": "resp_0"}, "previous_response_id"),
    ],
)
def test_what_cannot_be_read_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read(**body)
    assert raised.value.param == param
    assert param in raised.value.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"tool_choice": {"type": "file_search"}}, "file_search"),
        ({"input": [{"type": "computer_call"}]}, "computer_call"),
        ({"input": [{"role": "user", "content": [{"type": "input_video"}]}]}, "input_video"),
    ],
)
def test_what_only_its_own_providers_have_is_unsupported(body: dict[str, Any], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        read(**body)


def test_what_cannot_be_written_is_named_and_tuning_is_left_out() -> None:
    tuned = GenerationRequest(HELLO, tuning=Tuning(top_k=3, seed=7, top_p=0.5))
    body = RESPONSES.write_request(tuned)
    assert body.dropped == ("top_k", "seed")
    assert body.body["top_p"] == 0.5
    thinks = RESPONSES.write_request(GenerationRequest(HELLO, tuning=Tuning(thinking_tokens=9000)))
    assert thinks.body["reasoning"] == {"effort": "medium"}
    assert thinks.dropped == ("thinking_tokens=medium",)
    for asked in (GenerationRequest(HELLO, stop=("x",)), GenerationRequest(HELLO, choices=2)):
        with pytest.raises(Unsupported):
            RESPONSES.write_request(asked)
    loud = Message(Role.USER, (Media(MediaKind.AUDIO, "audio/wav", "AAAA"),))
    with pytest.raises(Unsupported, match="audio"):
        RESPONSES.write_request(GenerationRequest((loud,)))
