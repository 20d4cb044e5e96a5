"""What every provider promises, whoever it is."""

import asyncio
from contextlib import aclosing

import orjson
import pytest
from pydantic import JsonValue

from shared.dialects.translator import Unsupported
from shared.inference.conversation import (
    Format,
    Media,
    MediaKind,
    Tool,
    ToolChoice,
    ToolMode,
)
from shared.inference.generation import Finish
from shared.inference.request import InferenceRequest
from shared.providers import errors
from tests.conformance.providers.conftest import Subject, decoded
from tests.conformance.providers.vocabulary import calls_of, text_of

SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"number": {"type": "string"}, "total": {"type": "number"}},
    "required": ["number", "total"],
    "additionalProperties": False,
}
TOOL = Tool("record", "Records an invoice.", SCHEMA)
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


async def test_a_request_is_answered(subject: Subject) -> None:
    response = await subject.provider.generate(subject.ask("some-model"))

    said = subject.words.read(response)
    assert response.status_code == 200
    assert decoded(response).items() >= subject.words.marks.items()
    assert said.model == "some-model"
    assert said.choices[0].finish is Finish.STOP
    assert "hello there" in text_of(said.choices[0])


async def test_the_usage_is_the_one_in_the_body(subject: Subject) -> None:
    response = await subject.provider.generate(subject.ask())

    said = subject.words.read(response).usage
    assert said is not None
    assert response.usage == said
    assert said.input_tokens > 0
    assert said.output_tokens > 0


async def test_the_model_named_by_the_request_wins(subject: Subject) -> None:
    asked = subject.ask()
    request = InferenceRequest("real", {**asked.body, "model": "alias"}, asked.dialect)

    response = await subject.provider.generate(request)

    assert subject.words.read(response).model == "real"


async def test_unknown_keys_disturb_nothing(subject: Subject) -> None:
    asked = subject.ask()
    body: dict[str, JsonValue] = {**asked.body, "future": {"deep": [1]}, "penstock": {"x": 1}}

    response = await subject.provider.generate(InferenceRequest("echo", body, asked.dialect))

    assert subject.words.read(response).choices


async def test_the_same_request_has_the_same_answer(subject: Subject) -> None:
    first = await subject.provider.generate(subject.ask())
    second = await subject.provider.generate(subject.ask())

    assert subject.words.read(first).choices == subject.words.read(second).choices


async def test_as_many_choices_as_asked(subject: Subject) -> None:
    if not subject.words.many_choices:
        with pytest.raises(Unsupported):
            subject.ask(choices=3)
        return

    response = await subject.provider.generate(subject.ask(choices=3))
    chunks = await subject.collect(subject.ask(choices=3))

    assert len(subject.words.read(response).choices) == 3
    assert len(subject.words.joined(chunks).choices) == 3


async def test_an_image_may_be_shown(subject: Subject) -> None:
    image = Media(MediaKind.IMAGE, "image/png", data=DOT)

    response = await subject.provider.generate(subject.ask("echo", "what is it?", image))

    assert "what is it?" in text_of(subject.words.read(response).choices[0])


async def test_a_stream_says_what_the_whole_answer_says(subject: Subject) -> None:
    whole = await subject.provider.generate(subject.ask("some-model"))
    chunks = await subject.collect(subject.ask("some-model"))

    joined, said = subject.words.joined(chunks), subject.words.read(whole)
    assert joined.choices == said.choices
    assert joined.model == said.model
    assert len(chunks) > 3


async def test_a_stream_tells_its_usage_though_nobody_asked(subject: Subject) -> None:
    whole = await subject.provider.generate(subject.ask())
    chunks = await subject.collect(subject.ask())

    assert whole.usage is not None
    assert [chunk.usage for chunk in chunks if chunk.usage is not None][-1] == whole.usage


async def test_a_required_tool_is_called(subject: Subject) -> None:
    request = subject.ask(tools=(TOOL,), tool_choice=ToolChoice(ToolMode.REQUIRED))

    choice = subject.words.read(await subject.provider.generate(request)).choices[0]
    streamed = subject.words.joined(await subject.collect(request)).choices[0]

    (name, arguments), *others = calls_of(choice)
    assert (name, others) == ("record", [])
    assert choice.finish is Finish.TOOL_CALLS
    assert set(arguments) == {"number", "total"}
    assert calls_of(streamed) == calls_of(choice)


async def test_a_named_tool_is_the_one_called(subject: Subject) -> None:
    wanted = ToolChoice(ToolMode.REQUIRED, ("record",))
    request = subject.ask(tools=(Tool("other"), TOOL), tool_choice=wanted)

    said = subject.words.read(await subject.provider.generate(request))

    assert [name for name, _ in calls_of(said.choices[0])] == ["record"]


async def test_a_tool_that_may_be_called_need_not_be(subject: Subject) -> None:
    said = subject.words.read(await subject.provider.generate(subject.ask(tools=(TOOL,))))

    assert text_of(said.choices[0])


async def test_structured_output_has_the_structure(subject: Subject) -> None:
    text = 'Extract.\n<document name="i.txt">\nInvoice number A-17\nTotal: 42.50\n</document>'
    request = subject.ask("echo", text, format=Format(SCHEMA, "invoice", strict=True))

    said = subject.words.read(await subject.provider.generate(request))

    found = orjson.loads(text_of(said.choices[0]))
    assert set(found) == {"number", "total"}
    assert isinstance(found["number"], str)
    assert isinstance(found["total"], int | float)


async def test_json_mode_gives_an_object(subject: Subject) -> None:
    if not subject.words.json_mode:
        with pytest.raises(Unsupported):
            subject.ask(format=Format())
        return

    said = subject.words.read(await subject.provider.generate(subject.ask(format=Format())))

    assert isinstance(orjson.loads(text_of(said.choices[0])), dict)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (401, errors.AuthFailed),
        (402, errors.QuotaExhausted),
        (403, errors.AuthFailed),
        (404, errors.ModelNotFound),
        (408, errors.Timeout),
        (413, errors.BadRequest),
        (429, errors.RateLimited),
        (500, errors.Unavailable),
        (502, errors.Unavailable),
        (503, errors.Overloaded),
        (529, errors.Overloaded),
    ],
)
async def test_a_failure_has_its_place_whole_or_streamed(
    subject: Subject, status: int, kind: type[errors.ProviderError]
) -> None:
    request = subject.ask(subject.failing(status))

    for attempt in (subject.provider.generate(request), subject.collect(request)):
        with pytest.raises(kind) as raised:
            await attempt
        assert (type(raised.value), raised.value.status) == (kind, status)
        assert raised.value.provider == subject.provider.name
        assert raised.value.sent
        assert raised.value.body is not None
        assert "error" in orjson.loads(raised.value.body)


async def test_a_request_longer_than_the_context_is_refused_for_good(subject: Subject) -> None:
    with pytest.raises(errors.ContextTooLong) as raised:
        await subject.provider.generate(subject.ask(subject.short(), "word " * 50))

    assert not raised.value.transient


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_cancelled_call_stops_at_once(subject: Subject, streaming: bool) -> None:
    request = subject.ask(subject.hanging(), f"cancel me {streaming}")
    call = subject.collect(request) if streaming else subject.provider.generate(request)
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
    assert subject.words.read(await subject.provider.generate(subject.ask())).choices


async def test_a_stream_may_be_left_in_the_middle(subject: Subject) -> None:
    stream = subject.provider.stream(subject.ask(subject.dawdling(), "leave me " * 20))

    async with aclosing(stream) as chunks:
        async for _ in chunks:
            break

    if subject.upstream is not None:
        await asyncio.to_thread(subject.upstream.wait, lambda now: now["in_flight"] == 0)
        assert subject.upstream.calls(marker="leave me")[-1]["client_gone"]
    assert subject.words.read(await subject.provider.generate(subject.ask())).choices


async def test_many_calls_at_once_keep_their_own_answers(subject: Subject) -> None:
    requests = [subject.ask("echo", f"number {number}.") for number in range(200)]

    answers = await asyncio.gather(*map(subject.provider.generate, requests))

    for number, answer in enumerate(answers):
        assert f"number {number}." in text_of(subject.words.read(answer).choices[0])


async def test_tokens_are_counted_or_not_at_all(subject: Subject) -> None:
    counted = await subject.provider.count(subject.ask("echo", "how many tokens are these?"))

    assert counted is None or counted > 4


async def test_closing_twice_does_no_harm(subject: Subject) -> None:
    await subject.provider.aclose()
    await subject.provider.aclose()
