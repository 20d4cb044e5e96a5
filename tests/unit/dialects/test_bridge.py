"""The way between two dialects: what goes through, what is told, what is refused."""

from typing import Any

import orjson
import pytest
from pydantic import JsonValue

from shared.dialects.bridge import PREFERENCE, Bridge, spoken
from shared.dialects.registry import TRANSLATORS
from shared.dialects.translator import Head, Unreadable, Unsupported
from shared.inference.conversation import (
    Format,
    Media,
    MediaKind,
    Message,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from shared.inference.dialect import Dialect
from shared.inference.generation import GenerationRequest
from tests.unit.dialects.meaning import plain
from tests.unit.dialects.says import SAYS

HEAD = Head("a1", "best", 1_700_000_000)
ASKED: dict[str, Any] = {"model": "best", "messages": [{"role": "user", "content": "hi"}]}
SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
AGENT = GenerationRequest(
    messages=(
        Message(Role.SYSTEM, (Text("You know the weather."),)),
        Message(
            Role.USER, (Text("Where is this?"), Media(MediaKind.IMAGE, "image/png", "iVBORw0="))
        ),
        Message(Role.ASSISTANT, (Text("I look."), ToolCall("call_1", "find", '{"city":"Oslo"}'))),
        Message(Role.USER, (ToolResult("call_1", (Text("It is."),), name="find"),)),
    ),
    tools=(Tool("find", "Finds a city.", SCHEMA),),
    tool_choice=ToolChoice(ToolMode.AUTO),
    format=Format(SCHEMA, "place"),
    max_tokens=100,
)
TALKERS = [each for each in TRANSLATORS if SAYS[each].talk]


@pytest.mark.parametrize("client", TALKERS)
@pytest.mark.parametrize("provider", TALKERS)
def test_an_agents_conversation_survives_every_pair(client: Dialect, provider: Dialect) -> None:
    says = SAYS[client] & SAYS[provider]
    asked = {"model": "best", **TRANSLATORS[client].write_request(AGENT).body}

    written = Bridge(client, provider).request(orjson.loads(orjson.dumps(asked)))

    read = TRANSLATORS[provider].read_request(orjson.loads(orjson.dumps(written.body)))
    assert plain(read, says) == plain(AGENT, says)
    assert written.dropped == ()


@pytest.mark.parametrize(
    ("client", "provider", "heard"),
    [
        (Dialect.CHAT, {Dialect.CHAT, Dialect.RESPONSES}, Dialect.CHAT),
        (Dialect.RESPONSES, {Dialect.CHAT, Dialect.RESPONSES}, Dialect.RESPONSES),
        (Dialect.MESSAGES, {Dialect.RESPONSES, Dialect.CHAT, Dialect.EMBEDDINGS}, Dialect.CHAT),
        (Dialect.COMPLETIONS, {Dialect.CHAT, Dialect.COMPLETIONS}, Dialect.COMPLETIONS),
        (Dialect.COMPLETIONS, {Dialect.GEMINI}, Dialect.GEMINI),
    ],
)
def test_a_provider_is_asked_in_the_clients_dialect_if_it_speaks_it(
    client: Dialect, provider: set[Dialect], heard: Dialect
) -> None:
    assert spoken(client, provider) is heard


@pytest.mark.parametrize("dialect", TRANSLATORS)
def test_in_one_dialect_a_request_goes_through_as_it_is(dialect: Dialect) -> None:
    body = {"model": "best", "future": {"a": [1, None]}, "messages": "not even looked at"}

    written = Bridge(dialect, dialect).request(body)

    assert (written.body, written.dropped) == (body, ())


@pytest.mark.parametrize("dialect", [each for each in TRANSLATORS if each != Dialect.RESPONSES])
def test_in_one_dialect_events_go_through_as_they_are(dialect: Dialect) -> None:
    bridge = Bridge(dialect, dialect).stream(HEAD, ASKED)
    event = {"future": {"a": [1, None]}}

    assert bridge.feed(event) == (event,)
    assert bridge.feed(event)[0] is event
    assert bridge.end() == ()


@pytest.mark.parametrize("provider", [each for each in PREFERENCE if each != Dialect.CHAT])
def test_what_is_left_out_is_told(provider: Dialect) -> None:
    body = {**ASKED, "logit_bias": {"1": 5}, "prediction": {"type": "content"}, "future": 1}

    dropped = Bridge(Dialect.CHAT, provider).request(body).dropped

    assert {"logit_bias", "prediction", "future"} <= set(dropped)
    assert len(dropped) == len(set(dropped))


def test_a_bad_request_and_one_that_cannot_be_said_are_told_apart() -> None:
    bridge = Bridge(Dialect.CHAT, Dialect.MESSAGES)

    with pytest.raises(Unreadable, match=r"messages\[0\]\.role"):
        bridge.request({"messages": [{"role": "king"}]})
    with pytest.raises(Unsupported):
        bridge.request({**ASKED, "n": 2})


@pytest.mark.parametrize("provider", [each for each in PREFERENCE if each != Dialect.CHAT])
def test_a_translated_answer_is_the_clients_own(provider: Dialect) -> None:
    chat = TRANSLATORS[Dialect.CHAT]
    message = {"role": "assistant", "content": "hello"}
    said = chat.read_answer(
        {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    )
    theirs = TRANSLATORS[provider].write_answer(said, HEAD, {})

    answer = Bridge(Dialect.CHAT, provider).answer(theirs, HEAD, ASKED)

    assert (answer["id"], answer["model"], answer["object"]) == (
        "chatcmpl-a1",
        "best",
        "chat.completion",
    )
    assert answer["choices"][0]["message"]["content"] == "hello"
