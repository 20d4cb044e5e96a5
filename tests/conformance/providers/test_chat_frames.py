"""What a stream of chat chunks looks like, beyond what it says."""

from typing import Any

import pytest
from pydantic import JsonValue

from shared.inference.response import InferenceChunk
from tests.conformance.providers.conftest import SANDBOX, Subject

pytestmark = pytest.mark.parametrize("subject", [SANDBOX, "openai_compatible"], indirect=True)


def choices_of(chunks: list[InferenceChunk]) -> list[dict[str, Any]]:
    found: list[Any] = [choice for chunk in chunks for choice in listed(chunk.data["choices"])]
    return found


def listed(value: JsonValue) -> list[JsonValue]:
    assert isinstance(value, list)
    return value


async def test_a_stream_is_made_of_chunks_of_one_completion(subject: Subject) -> None:
    chunks = await subject.collect(subject.ask("some-model"))

    frames = {(c.data["object"], c.data["id"], c.data["model"]) for c in chunks}
    assert [(kind, model) for kind, _, model in frames] == [("chat.completion.chunk", "some-model")]
    choices = choices_of(chunks)
    assert choices[0]["delta"]["role"] == "assistant"
    finishes = [choice["finish_reason"] for choice in choices]
    assert finishes == [None] * (len(finishes) - 1) + ["stop"]


async def test_the_usage_comes_last_without_choices(subject: Subject) -> None:
    whole = await subject.provider.generate(subject.ask())
    chunks = await subject.collect(subject.ask())

    assert whole.usage is not None
    assert [chunk.usage for chunk in chunks] == [None] * (len(chunks) - 1) + [whole.usage]
    assert chunks[-1].data["choices"] == []


async def test_a_stream_of_many_choices_ends_them_all(subject: Subject) -> None:
    chunks = await subject.collect(subject.ask(choices=2))

    ended = [each["index"] for each in choices_of(chunks) if each["finish_reason"] == "stop"]
    assert ended == [0, 1]


async def test_a_call_comes_with_its_type_and_place(subject: Subject) -> None:
    tool: JsonValue = {"type": "function", "function": {"name": "record", "parameters": {}}}
    request = subject.ask()
    body = {**request.body, "tools": [tool], "tool_choice": "required"}

    choices = choices_of(await subject.collect(type(request)("echo", body)))

    calls = [each["delta"]["tool_calls"] for each in choices if "tool_calls" in each["delta"]]
    assert {name: calls[0][0][name] for name in ("index", "type")} == {
        "index": 0,
        "type": "function",
    }
