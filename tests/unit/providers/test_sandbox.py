"""The sandbox's own ways: what its options and its models' names make it do."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import orjson
import pytest
from pydantic import JsonValue

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk
from shared.inference.sandbox_options import (
    SandboxOptions,
    check_model,
    for_model,
    read_options,
)
from shared.providers import errors
from shared.providers.sandbox import Sandbox


def chat(model: str = "echo", text: str = "hello", **body: JsonValue) -> InferenceRequest:
    messages: list[JsonValue] = [{"role": "user", "content": text}]
    return InferenceRequest(model, {"messages": messages, **body})


def embed(**body: JsonValue) -> InferenceRequest:
    return InferenceRequest("echo", body, Dialect.EMBEDDINGS)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("echo", SandboxOptions()),
        ("anything-at-all", SandboxOptions()),
        ("slow-500ms", SandboxOptions(latency_ms=500)),
        ("sandbox/slow-500ms", SandboxOptions(latency_ms=500)),
        ("error-503", SandboxOptions(status=503)),
        ("reject-400", SandboxOptions(status=400)),
        ("flaky-20", SandboxOptions(error_rate=0.2)),
        ("limit-60rpm", SandboxOptions(rpm=60)),
        ("context-100", SandboxOptions(context_tokens=100)),
        ("chunks-5ms+slow-9ms", SandboxOptions(chunk_ms=5, latency_ms=9)),
        ("error-200", SandboxOptions()),
        ("slow-500", SandboxOptions()),
    ],
)
def test_a_models_name_says_how_to_behave(model: str, options: SandboxOptions) -> None:
    assert for_model(SandboxOptions(), model) == options


def test_options_come_from_the_deployment_and_the_name_wins() -> None:
    given = read_options({"latency_ms": 10, "rpm": 5, "error_rate": 0.5, "status": 500})

    assert given == SandboxOptions(latency_ms=10, rpm=5, error_rate=0.5, status=500)
    assert for_model(given, "slow-70ms").latency_ms == 70


async def test_every_answer_is_labelled() -> None:
    value = orjson.loads((await Sandbox().generate(chat())).body)

    assert value["system_fingerprint"] == "sandbox"
    assert value["id"].startswith("chatcmpl-sandbox-")
    assert value["choices"][0]["message"]["content"] == "[sandbox] You said: hello"


async def test_the_output_limit_is_kept() -> None:
    answer = await Sandbox().generate(chat(text="hello " * 50, max_tokens=5))
    value = orjson.loads(answer.body)

    assert value["choices"][0]["finish_reason"] == "length"
    assert value["usage"]["completion_tokens"] == 5


async def test_a_share_of_the_calls_fails_and_always_the_same_ones() -> None:
    async def outcomes() -> list[bool]:
        sandbox, good = Sandbox(SandboxOptions(error_rate=0.3)), []
        for _ in range(100):
            try:
                await sandbox.generate(chat())
            except errors.Overloaded:
                good.append(False)
            else:
                good.append(True)
        return good

    first = await outcomes()

    assert first == await outcomes()
    assert 15 < first.count(False) < 45


async def test_the_limit_is_kept_and_told() -> None:
    now = 0.0
    sandbox = Sandbox(SandboxOptions(rpm=2), monotonic=lambda: now)

    first = await sandbox.generate(chat())
    now = 10.0
    await sandbox.generate(chat())
    with pytest.raises(errors.RateLimited) as raised:
        await sandbox.generate(chat())
    now = 60.0
    await sandbox.generate(chat())

    assert first.feedback is not None
    assert (first.feedback.limit_requests, first.feedback.remaining_requests) == (2, 1)
    assert raised.value.retry_after_s == pytest.approx(50)


async def test_it_takes_its_time() -> None:
    calls = [Sandbox().generate(chat("slow-30ms")) for _ in range(50)]
    loop = asyncio.get_running_loop()
    start = loop.time()

    await asyncio.gather(*calls)

    assert 0.03 <= loop.time() - start < 1


async def test_the_last_document_is_what_answers_are_drawn_from() -> None:
    schema: JsonValue = {"type": "object", "properties": {"total": {"type": "number"}}}
    wanted: JsonValue = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    document = 'Extract.\n<document name="a.txt">\nTotal: 42.50\n</document>'
    request = chat(text=document, response_format=wanted)

    value = orjson.loads((await Sandbox().generate(request)).body)

    content = orjson.loads(value["choices"][0]["message"]["content"])
    assert content["total"] == 42.5


async def test_like_texts_are_near_each_other() -> None:
    texts: list[JsonValue] = ["the cat sat on the mat", "the cat sat on a mat", "invoices for rent"]
    value = orjson.loads((await Sandbox().embed(embed(input=texts))).body)
    first, second, third = (one["embedding"] for one in value["data"])

    def likeness(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert likeness(first, second) > 0.7
    assert likeness(first, third) < 0.4


@pytest.mark.parametrize(
    "body",
    [
        {"input": ""},
        {"input": []},
        {"input": ["a", ""]},
        {},
        {"input": "a", "dimensions": 0},
        {"input": "a", "dimensions": True},
        {"input": "a", "dimensions": 1.5},
        {"input": "a", "dimensions": 100_000},
    ],
)
async def test_an_impossible_embedding_is_refused(body: dict[str, JsonValue]) -> None:
    with pytest.raises(errors.BadRequest):
        await Sandbox().embed(embed(**body))


async def test_token_lists_are_one_input_each() -> None:
    one = orjson.loads((await Sandbox().embed(embed(input=[1, 2, 3]))).body)
    two = orjson.loads((await Sandbox().embed(embed(input=[[1, 2, 3], [4]]))).body)

    assert len(one["data"]) == 1
    assert one["data"][0]["embedding"] == two["data"][0]["embedding"]
    assert len(two["data"]) == 2


async def test_a_chat_without_messages_is_refused() -> None:
    with pytest.raises(errors.BadRequest):
        await Sandbox().generate(InferenceRequest("echo", {}))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": {"a": 1}},
        {"type": [["string"]]},
        {"type": ""},
        {"type": 2**64 - 1},
        {"type": "\x00"},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": [[]]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": [{}]},
        {"type": "object", "properties": {"a": {"type": {}}}, "required": ["a"]},
    ],
)
@pytest.mark.parametrize("how", ["format", "tool"])
async def test_a_schema_that_is_none_is_refused_or_answered(
    schema: dict[str, JsonValue], how: str
) -> None:
    form: JsonValue = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    tool: JsonValue = {"type": "function", "function": {"name": "f", "parameters": schema}}
    if how == "format":
        request = chat(response_format=form)
    else:
        request = chat(tools=[tool], tool_choice="required")

    for call in (Sandbox().generate(request), _drained(Sandbox().stream(request))):
        with suppress(errors.BadRequest):
            assert await call


async def _drained(stream: AsyncGenerator[InferenceChunk, None]) -> list[InferenceChunk]:
    return [chunk async for chunk in stream]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("slow-500", "does not know what `slow-500` is"),
        ("slow-fast", "slow-500ms"),
        ("error-200", "does not know what `error-200` is"),
        ("any/slow-5ms+reject-600", "does not know what `reject-600` is"),
        ("flaky-101", "may be 100 at most"),
        ("limit-99999999999rpm", "may be 2147483647 at most"),
    ],
)
def test_a_name_that_asks_for_what_there_is_not_is_refused(model: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_model(model)


@pytest.mark.parametrize(
    "model",
    ["echo", "reader", "gpt-4o", "slow", "slow-500ms+flaky-100", "a/error-503", "context-0"],
)
def test_any_other_name_is_a_plain_model(model: str) -> None:
    check_model(model)
