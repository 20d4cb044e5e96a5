"""Chat requests, read as clients really write them."""

from typing import Any

import pytest

from shared.dialects.chat.translator import CHAT
from shared.dialects.translator import Unreadable, Unsupported
from shared.inference.conversation import (
    Format,
    Media,
    MediaKind,
    Message,
    Part,
    Refusal,
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
from shared.inference.generation import GenerationRequest, Tuning

HI = {"role": "user", "content": "hi"}
PNG = "data:image/png;base64,iVBORw0="


def read(*messages: Any, **body: Any) -> GenerationRequest:
    return CHAT.read_request({"model": "m", "messages": list(messages) or [HI], **body})


def parts_of(message: Any) -> tuple[Part, ...]:
    return read(message).messages[0].parts


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        (HI, (Text("hi"),)),
        ({"role": "developer", "content": "be brief"}, (Text("be brief"),)),
        ({"role": "system", "content": [{"type": "text", "text": "a"}]}, (Text("a"),)),
        ({"role": "user", "content": ""}, ()),
        ({"role": "assistant", "content": None, "refusal": "no"}, (Refusal("no"),)),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            (Refusal("no"),),
        ),
        (
            {"role": "assistant", "content": "4", "reasoning_content": "2+2"},
            (Thinking("2+2", dialect=Dialect.CHAT), Text("4")),
        ),
        (
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}],
            },
            (Thinking("hm", dialect=Dialect.CHAT),),
        ),
        (
            user({"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}),
            (Media(MediaKind.IMAGE, "image/png", "iVBORw0=", detail="low"),),
        ),
        (
            user({"type": "image_url", "image_url": "https://a/b.png"}),
            (Media(MediaKind.IMAGE, url="https://a/b.png"),),
        ),
        (
            user({"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}}),
            (Media(MediaKind.AUDIO, "audio/mpeg", "AA=="),),
        ),
        (
            user(
                {
                    "type": "file",
                    "file": {
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;name=a.pdf;base64,JVBE",
                    },
                }
            ),
            (Media(MediaKind.DOCUMENT, "application/pdf", "JVBE", name="a.pdf"),),
        ),
        (
            user({"type": "file", "file": {"file_data": "JVBE"}}),
            (Media(MediaKind.DOCUMENT, "application/pdf", "JVBE"),),
        ),
        (
            user({"type": "file", "file": {"file_id": "file-1"}}),
            (Media(MediaKind.DOCUMENT, file_id="file-1"),),
        ),
        (
            user({"type": "document_url", "document_url": "https://a/b.pdf"}),
            (Media(MediaKind.DOCUMENT, url="https://a/b.pdf"),),
        ),
        (
            user({"type": "video_url", "video_url": {"url": "https://a/b.mp4"}}),
            (Media(MediaKind.VIDEO, url="https://a/b.mp4"),),
        ),
    ],
)
def test_every_content_is_read(message: dict[str, Any], parts: tuple[Part, ...]) -> None:
    assert parts_of(message) == parts


def test_calls_and_results_are_read_with_their_signatures() -> None:
    function = {"name": "add", "arguments": '{"a":1}'}
    extra = {"google": {"thought_signature": "c2ln"}}
    calls = [
        {"id": "c1", "type": "function", "function": function, "extra_content": extra},
        {"id": "c2", "type": "function", "function": {"name": "now", "arguments": ""}},
    ]

    request = read(
        HI,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "noon"}]},
        HI,
    )

    assert request.messages[1:] == (
        Message(
            Role.ASSISTANT, (ToolCall("c1", "add", '{"a":1}', "c2ln"), ToolCall("c2", "now", ""))
        ),
        Message(Role.USER, (ToolResult("c1", (Text("1"),)), ToolResult("c2", (Text("noon"),)))),
        Message(Role.USER, (Text("hi"),)),
    )


def test_functions_of_old_are_tools() -> None:
    request = read(
        HI,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "done"},
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )

    call, result = request.messages[1].parts[0], request.messages[2].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert call.id == result.call_id != ""
    assert request.tools == (Tool("f", schema={"type": "object"}),)
    assert request.tool_choice == ToolChoice(ToolMode.REQUIRED, ("f",))


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ("auto", ToolChoice(ToolMode.AUTO)),
        ("none", ToolChoice(ToolMode.NONE)),
        ("required", ToolChoice(ToolMode.REQUIRED)),
        ("any", ToolChoice(ToolMode.REQUIRED)),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(ToolMode.REQUIRED, ("f",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            ToolChoice(ToolMode.AUTO, ("f",)),
        ),
    ],
)
def test_every_choice_of_tools_is_read(said: Any, choice: ToolChoice) -> None:
    assert read(tool_choice=said).tool_choice == choice


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_tokens": 5}, GenerationRequest((), max_tokens=5)),
        ({"max_tokens": 5, "max_completion_tokens": 7}, GenerationRequest((), max_tokens=7)),
        ({"stop": "x"}, GenerationRequest((), stop=("x",))),
        ({"stop": ["x", "y"]}, GenerationRequest((), stop=("x", "y"))),
        ({"n": 3}, GenerationRequest((), choices=3)),
        ({"logprobs": True}, GenerationRequest((), logprobs=0)),
        ({"logprobs": True, "top_logprobs": 4}, GenerationRequest((), logprobs=4)),
        ({"logprobs": False, "top_logprobs": None}, GenerationRequest(())),
        ({"response_format": {"type": "text"}}, GenerationRequest(())),
        ({"response_format": {"type": "json_object"}}, GenerationRequest((), format=Format())),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": {}},
                }
            },
            GenerationRequest((), format=Format({}, "a")),
        ),
        ({"seed": 1, "top_k": 2}, GenerationRequest((), tuning=Tuning(seed=1, top_k=2))),
        ({"random_seed": 3}, GenerationRequest((), tuning=Tuning(seed=3))),
        ({"safety_identifier": "u"}, GenerationRequest((), tuning=Tuning(user="u"))),
        ({"user": "v", "logit_bias": {}}, GenerationRequest((), tuning=Tuning(user="v"))),
        (
            {"reasoning_effort": "low", "verbosity": "high", "service_tier": "flex"},
            GenerationRequest(
                (), tuning=Tuning(effort="low", verbosity="high", service_tier="flex")
            ),
        ),
        ({"prediction": {"type": "content"}}, GenerationRequest((), unknown=("prediction",))),
        ({"temperature": None, "future": None, "tools": None}, GenerationRequest(())),
        (
            {"metadata": {"a": "b"}, "store": True, "stream": True, "prompt_cache_key": "k"},
            GenerationRequest(()),
        ),
        ({"penstock_mistral": {"safe_prompt": True}}, GenerationRequest(())),
    ],
)
def test_every_key_has_its_place(body: dict[str, Any], expected: GenerationRequest) -> None:
    request = read(**body)

    assert request.messages == (Message(Role.USER, (Text("hi"),)),)
    for name in ("max_tokens", "stop", "choices", "logprobs", "format", "tuning", "unknown"):
        assert getattr(request, name) == getattr(expected, name), name


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [user({"type": "smell"})]}, "messages[0].content[0].type"),
        ({"messages": [user({"type": "text"})]}, "messages[0].content[0].text"),
        (
            {"messages": [user({"type": "image_url", "image_url": {"url": "data:image/png,x"}})]},
            "messages[0].content[0]",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        ({"stop": 1}, "stop"),
        ({"temperature": "hot"}, "temperature"),
        ({"n": 1.5}, "n"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(Unreadable) as raised:
        CHAT.read_request({"messages": [HI], **body})

    assert raised.value.param == param
    assert param in raised.value.message


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "custom"),
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"web_search_options": {}}, "web search"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, "audio"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "audio"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"type": "custom"}]}]}, "custom"),
    ],
)
def test_what_only_openai_has_is_named(body: dict[str, Any], word: str) -> None:
    with pytest.raises(Unsupported, match=word):
        CHAT.read_request({"messages": [HI], **body})
