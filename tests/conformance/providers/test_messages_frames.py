"""What a stream of Anthropic's events looks like, beyond what it says."""

import pytest
from pydantic import JsonValue

from shared.inference.conversation import Message, Role, Text, Thinking
from shared.inference.dialect import Dialect
from shared.inference.generation import Tuning
from shared.inference.request import InferenceRequest
from shared.inference.usage import Usage
from tests.conformance.providers.conftest import Subject
from tests.conformance.providers.vocabulary import text_of
from tests.fakes.upstream_client import Upstream, rule
from tests.fakes.upstream_messages_wire import SEAL

pytestmark = pytest.mark.parametrize("subject", ["anthropic"], indirect=True)


async def test_events_come_in_their_order_and_pings_not_at_all(subject: Subject) -> None:
    chunks = await subject.collect(subject.ask())

    first, *blocks, last, stop = [chunk.data["type"] for chunk in chunks]
    assert (first, last, stop) == ("message_start", "message_delta", "message_stop")
    assert blocks[0] == "content_block_start"
    assert set(blocks[1:-1]) == {"content_block_delta"}
    assert blocks[-1] == "content_block_stop"


async def test_only_the_end_tells_a_usage(subject: Subject, upstream: Upstream) -> None:
    used = {
        "input_tokens": 3,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 7,
    }
    upstream.script(rule("ok", usage=used))

    whole = await subject.provider.generate(subject.ask())
    chunks = await subject.collect(subject.ask())

    expected = Usage(123, 7, cached_tokens=100, cache_write_tokens=20)
    assert whole.usage == expected
    assert [chunk.usage for chunk in chunks] == [*[None] * (len(chunks) - 2), expected, None]


async def test_tokens_are_counted_as_the_provider_counts_them(subject: Subject) -> None:
    request = subject.ask("echo", "x" * 400, max_tokens=10, stop=("END",))

    assert await subject.provider.count(request) == 100 + 3


async def test_thoughts_come_sealed_and_go_back_so(subject: Subject) -> None:
    request = subject.ask(tuning=Tuning(thinking_tokens=2048))

    whole = subject.words.read(await subject.provider.generate(request)).choices[0]
    streamed = subject.words.joined(await subject.collect(request)).choices[0]

    thought = whole.parts[0]
    assert isinstance(thought, Thinking)
    assert (thought.signature, thought.dialect) == (SEAL, Dialect.MESSAGES)
    assert streamed == whole
    foreign = Thinking("elsewhere", "s", dialect=Dialect.GEMINI)
    said = (Message(Role.ASSISTANT, (foreign, *whole.parts)), Message(Role.USER, (Text("more"),)))
    again = subject.ask(messages=(Message(Role.USER, (Text("hi"),)), *said))
    assert "more" in text_of(subject.words.read(await subject.provider.generate(again)).choices[0])


async def test_a_seal_that_is_not_its_own_never_reaches_it(subject: Subject) -> None:
    request = subject.ask("echo", "and now?")
    foreign: JsonValue = {
        "type": "thinking",
        "thinking": "x",
        "signature": "penstock:gemini:s",
    }
    call: JsonValue = {
        "type": "tool_use",
        "id": "t",
        "name": "f",
        "input": {},
        "penstock_signature": "s",
    }
    turns: JsonValue = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [foreign, call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}]},
    ]
    body = {**request.body, "messages": turns}

    answer = await subject.provider.generate(InferenceRequest("echo", body, request.dialect))

    assert answer.status_code == 200
