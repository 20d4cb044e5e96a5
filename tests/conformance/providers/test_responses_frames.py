"""What OpenAI's responses look like, whole and streamed, beyond what they say, and what its server refuses."""

from typing import Any

import pytest
from pydantic import JsonValue

from shared.dialects.responses.thoughts import reasoning_item
from shared.inference.conversation import (
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
from shared.inference.generation import Tuning
from shared.inference.request import InferenceRequest
from shared.inference.usage import Usage
from shared.providers import errors
from tests.conformance.providers.conftest import Subject
from tests.conformance.providers.vocabulary import text_of
from tests.fakes.upstream_client import Upstream, rule
from tests.fakes.upstream_responses_asked import SEAL

pytestmark = pytest.mark.parametrize("subject", ["responses"], indirect=True)
TOOL = Tool("f", None, {"type": "object", "properties": {"number": {"type": "integer"}}})


async def test_events_come_in_their_order_and_by_their_numbers(subject: Subject) -> None:
    events = [chunk.data for chunk in await subject.collect(subject.ask())]

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"] for event in events]
    texts = [kind for kind in kinds if kind == "response.output_text.delta"]
    assert len(texts) > 1
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *texts,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


async def test_only_the_end_tells_a_usage(subject: Subject, upstream: Upstream) -> None:
    used = {
        "input_tokens": 123,
        "input_tokens_details": {"cached_tokens": 100},
        "output_tokens": 37,
        "output_tokens_details": {"reasoning_tokens": 30},
        "total_tokens": 160,
    }
    upstream.script(rule("ok", usage=used))

    whole = await subject.provider.generate(subject.ask())
    chunks = await subject.collect(subject.ask())

    expected = Usage(123, 37, cached_tokens=100, reasoning_tokens=30)
    assert whole.usage == expected
    assert [chunk.usage for chunk in chunks] == [*[None] * (len(chunks) - 1), expected]


async def test_tokens_are_counted_as_the_provider_counts_them(subject: Subject) -> None:
    request = subject.ask("echo", "x" * 400, max_tokens=20, logprobs=2)

    assert await subject.provider.count(request) == 100 + 3


async def test_its_own_thoughts_go_back_to_it_and_others_do_not(subject: Subject) -> None:
    asked = subject.ask(tuning=Tuning(effort="low"))
    body: dict[str, JsonValue] = {**asked.body, "include": ["reasoning.encrypted_content"]}
    request = InferenceRequest("echo", body, asked.dialect)

    whole = subject.words.read(await subject.provider.generate(request)).choices[0]
    streamed = subject.words.joined(await subject.collect(request)).choices[0]

    for said in (whole, streamed):
        thought, text = said.parts
        assert isinstance(thought, Thinking)
        assert thought.text == "thinking of hello there"
        assert (thought.redacted or "").startswith(SEAL)
        assert (thought.dialect, text) == (Dialect.RESPONSES, Text("echo: hello there"))
    foreign = reasoning_item("rs_1_0", Thinking("hm", "sig", None, Dialect.MESSAGES))
    turns = (
        Message(Role.USER, (Text("hi"),)),
        Message(Role.ASSISTANT, whole.parts),
        Message(Role.USER, (Text("more"),)),
    )
    again = subject.ask(messages=turns)
    items: Any = again.body["input"]
    more = InferenceRequest("echo", {**again.body, "input": [foreign, *items]}, again.dialect)
    answer = subject.words.read(await subject.provider.generate(more))
    assert "more" in text_of(answer.choices[0])


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_conversation_with_a_call_is_understood(subject: Subject, streaming: bool) -> None:
    request = subject.ask(tools=(TOOL,), tool_choice=ToolChoice(ToolMode.REQUIRED))
    if streaming:
        first = subject.words.joined(await subject.collect(request))
    else:
        first = subject.words.read(await subject.provider.generate(request))
    (call,) = first.choices[0].parts
    assert isinstance(call, ToolCall)

    turns = (
        *(Message(Role.USER, (Text("which one?"),)), Message(Role.ASSISTANT, (call,))),
        Message(Role.USER, (ToolResult(call.id, (Text("it is paid"),)), Text("and then?"))),
    )
    answer = await subject.provider.generate(subject.ask(messages=turns, tools=(TOOL,)))

    assert text_of(subject.words.read(answer).choices[0]) == "echo: and then?"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"inputs": "x"}, "Unknown parameter: 'inputs'"),
        ({"input": []}, "Missing required parameter: 'input'"),
        ({"max_output_tokens": 3}, "Invalid 'max_output_tokens'"),
        ({"temperature": 3}, "Invalid 'temperature'"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": {"type": "function", "name": "g"}}, "Tool choice 'g' not found"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name"),
        ({"input": [{"role": "tool", "content": "x"}]}, "Invalid value: 'tool'"),
        ({"input": [{"type": "reasoning", "id": "rs_1", "content": [{}]}]}, "not found"),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
            "No tool call found",
        ),
        (
            {"input": [{"type": "message", "role": "user", "content": [{"type": "text"}]}]},
            "Invalid value: 'text'",
        ),
    ],
)
async def test_what_its_server_refuses_comes_back_in_its_words(
    subject: Subject, body: dict[str, JsonValue], said: str
) -> None:
    request = InferenceRequest("echo", {**subject.ask().body, **body}, Dialect.RESPONSES)

    for attempt in (subject.provider.generate(request), subject.collect(request)):
        with pytest.raises(errors.BadRequest) as raised:
            await attempt
        assert said in raised.value.message
