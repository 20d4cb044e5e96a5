"""What every provider promises, whoever it is."""

import asyncio
from contextlib import aclosing
from typing import Any

import orjson
import pytest
from pydantic import JsonValue

from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk, InferenceResponse
from shared.inference.usage import Usage
from shared.providers import errors
from tests.conformance.providers.conftest import Subject

SCHEMA: JsonValue = {
    "type": "object",
    "properties": {"number": {"type": "string"}, "total": {"type": "number"}},
    "required": ["number", "total"],
    "additionalProperties": False,
}
TOOL: JsonValue = {"type": "function", "function": {"name": "record", "parameters": SCHEMA}}


def chat(model: str = "echo", text: str = "hello there", **body: JsonValue) -> InferenceRequest:
    messages: list[JsonValue] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": text}]},
    ]
    return InferenceRequest(model, {"messages": messages, **body})


def decoded(response: InferenceResponse) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(response.body)
    return value


async def collect(subject: Subject, request: InferenceRequest) -> list[InferenceChunk]:
    return [chunk async for chunk in subject.provider.stream(request)]


def deltas(chunks: list[InferenceChunk], index: int = 0) -> list[dict[str, Any]]:
    choices: list[Any] = [choice for chunk in chunks for choice in list_of(chunk.data["choices"])]
    return [choice["delta"] for choice in choices if choice["index"] == index]


def list_of(value: JsonValue) -> list[JsonValue]:
    assert isinstance(value, list)
    return value


async def test_a_chat_is_answered(subject: Subject) -> None:
    response = await subject.provider.generate(chat("some-model"))

    value = decoded(response)
    assert response.status_code == 200
    assert value["object"] == "chat.completion"
    assert value["model"] == "some-model"
    choice = value["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert "hello there" in choice["message"]["content"]


async def test_the_usage_is_the_one_in_the_body(subject: Subject) -> None:
    response = await subject.provider.generate(chat())

    said = decoded(response)["usage"]
    assert response.usage == Usage(said["prompt_tokens"], said["completion_tokens"])
    assert said["prompt_tokens"] > 0
    assert said["completion_tokens"] > 0


async def test_the_model_named_by_the_request_wins(subject: Subject) -> None:
    body: dict[str, JsonValue] = {"messages": [{"role": "user", "content": "x"}], "model": "alias"}

    response = await subject.provider.generate(InferenceRequest("real", body))

    assert decoded(response)["model"] == "real"


async def test_unknown_keys_disturb_nothing(subject: Subject) -> None:
    response = await subject.provider.generate(chat(future={"deep": [1]}, penstock={"x": 1}))

    assert decoded(response)["choices"]


async def test_the_same_request_has_the_same_answer(subject: Subject) -> None:
    first = await subject.provider.generate(chat())
    second = await subject.provider.generate(chat())

    assert decoded(first)["choices"] == decoded(second)["choices"]


async def test_as_many_choices_as_asked(subject: Subject) -> None:
    value = decoded(await subject.provider.generate(chat(n=3)))

    assert [choice["index"] for choice in value["choices"]] == [0, 1, 2]


async def test_a_stream_says_what_the_whole_answer_says(subject: Subject) -> None:
    whole = await subject.provider.generate(chat())
    chunks = await collect(subject, chat(stream=True))

    text = "".join(delta.get("content") or "" for delta in deltas(chunks))
    assert text == decoded(whole)["choices"][0]["message"]["content"]
    assert deltas(chunks)[0]["role"] == "assistant"
    assert len(chunks) > 3


async def test_a_stream_is_made_of_chunks_of_one_completion(subject: Subject) -> None:
    chunks = await collect(subject, chat("some-model"))

    frames = {(c.data["object"], c.data["id"], c.data["model"]) for c in chunks}
    assert [(kind, model) for kind, _, model in frames] == [("chat.completion.chunk", "some-model")]
    finishes = [
        choice["finish_reason"]
        for chunk in chunks
        for choice in list_of(chunk.data["choices"])
        if isinstance(choice, dict)
    ]
    assert finishes == [None] * (len(finishes) - 1) + ["stop"]


async def test_a_stream_ends_with_its_usage_though_nobody_asked(subject: Subject) -> None:
    whole = await subject.provider.generate(chat())
    chunks = await collect(subject, chat())

    assert whole.usage is not None
    assert [chunk.usage for chunk in chunks] == [None] * (len(chunks) - 1) + [whole.usage]
    assert chunks[-1].data["choices"] == []


async def test_a_stream_of_many_choices_ends_them_all(subject: Subject) -> None:
    chunks = await collect(subject, chat(n=2))

    finished = [
        choice["index"]
        for chunk in chunks
        for choice in list_of(chunk.data["choices"])
        if isinstance(choice, dict) and choice["finish_reason"] == "stop"
    ]
    assert finished == [0, 1]


async def test_a_required_tool_is_called(subject: Subject) -> None:
    request = chat(tools=[TOOL], tool_choice="required")

    choice = decoded(await subject.provider.generate(request))["choices"][0]
    streamed = [delta for delta in deltas(await collect(subject, request)) if "tool_calls" in delta]

    call = choice["message"]["tool_calls"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert (call["type"], call["function"]["name"]) == ("function", "record")
    assert set(orjson.loads(call["function"]["arguments"])) == {"number", "total"}
    assert streamed[0]["tool_calls"] == [{"index": 0, **call}]


async def test_a_named_tool_is_the_one_called(subject: Subject) -> None:
    other: JsonValue = {"type": "function", "function": {"name": "other", "parameters": {}}}
    wanted: JsonValue = {"type": "function", "function": {"name": "record"}}

    value = decoded(await subject.provider.generate(chat(tools=[other, TOOL], tool_choice=wanted)))

    assert value["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "record"


async def test_a_tool_that_may_be_called_need_not_be(subject: Subject) -> None:
    value = decoded(await subject.provider.generate(chat(tools=[TOOL])))

    assert value["choices"][0]["message"]["content"]


async def test_structured_output_has_the_structure(subject: Subject) -> None:
    wanted: JsonValue = {
        "type": "json_schema",
        "json_schema": {"name": "invoice", "schema": SCHEMA, "strict": True},
    }
    text = 'Extract.\n<document name="i.txt">\nInvoice number A-17\nTotal: 42.50\n</document>'

    value = decoded(await subject.provider.generate(chat(text=text, response_format=wanted)))

    found = orjson.loads(value["choices"][0]["message"]["content"])
    assert set(found) == {"number", "total"}
    assert isinstance(found["number"], str)
    assert isinstance(found["total"], int | float)


async def test_json_mode_gives_an_object(subject: Subject) -> None:
    request = chat(response_format={"type": "json_object"})

    value = decoded(await subject.provider.generate(request))

    assert isinstance(orjson.loads(value["choices"][0]["message"]["content"]), dict)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (401, errors.AuthFailed),
        (404, errors.ModelNotFound),
        (408, errors.Timeout),
        (429, errors.RateLimited),
        (500, errors.Unavailable),
        (503, errors.Overloaded),
        (529, errors.Overloaded),
    ],
)
async def test_a_failure_has_its_place_whole_or_streamed(
    subject: Subject, status: int, kind: type[errors.ProviderError]
) -> None:
    model = subject.failing(status)

    for attempt in (subject.provider.generate(chat(model)), collect(subject, chat(model))):
        with pytest.raises(kind) as raised:
            await attempt
        assert (type(raised.value), raised.value.status) == (kind, status)
        assert raised.value.provider == subject.provider.name
        assert raised.value.sent
        assert raised.value.body is not None
        assert "error" in orjson.loads(raised.value.body)


async def test_a_request_longer_than_the_context_is_refused_for_good(subject: Subject) -> None:
    with pytest.raises(errors.ContextTooLong) as raised:
        await subject.provider.generate(chat(subject.short(), text="word " * 50))

    assert not raised.value.transient


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_cancelled_call_stops_at_once(subject: Subject, streaming: bool) -> None:
    request = chat(subject.hanging(), text=f"cancel me {streaming}")
    call = collect(subject, request) if streaming else subject.provider.generate(request)
    task = asyncio.ensure_future(call)
    if subject.upstream is not None:
        await asyncio.to_thread(subject.upstream.wait, lambda now: now["in_flight"] == 1)
    else:
        await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    if subject.upstream is not None:
        await asyncio.to_thread(subject.upstream.wait, lambda now: now["in_flight"] == 0)
        assert subject.upstream.calls(marker="cancel me")[-1]["client_gone"]
    assert decoded(await subject.provider.generate(chat()))["choices"]


async def test_a_stream_may_be_left_in_the_middle(subject: Subject) -> None:
    stream = subject.provider.stream(chat(subject.dawdling(), text="leave me " * 20))

    async with aclosing(stream) as chunks:
        async for _ in chunks:
            break

    if subject.upstream is not None:
        await asyncio.to_thread(subject.upstream.wait, lambda now: now["in_flight"] == 0)
        assert subject.upstream.calls(marker="leave me")[-1]["client_gone"]
    assert decoded(await subject.provider.generate(chat()))["choices"]


async def test_many_calls_at_once_keep_their_own_answers(subject: Subject) -> None:
    requests = [chat(text=f"number {number}.") for number in range(200)]

    answers = await asyncio.gather(*map(subject.provider.generate, requests))

    for number, answer in enumerate(answers):
        assert f"number {number}." in decoded(answer)["choices"][0]["message"]["content"]


async def test_closing_twice_does_no_harm(subject: Subject) -> None:
    await subject.provider.aclose()
    await subject.provider.aclose()
