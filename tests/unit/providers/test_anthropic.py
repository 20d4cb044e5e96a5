"""What the adapter of Anthropic's API puts on the wire, seen by a transport that records it."""

import orjson
import pytest
from pydantic import JsonValue

from shared.providers import errors
from shared.providers.registry import NotConfigured, build_provider
from tests.unit.providers.anthropic_wire import ANSWER, EVENTS, Wire, ask


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        (None, "https://api.anthropic.com/v1/messages"),
        ("http://h:1", "http://h:1/v1/messages"),
        ("http://h:1/v1/", "http://h:1/v1/messages"),
        ("http://h:1/anthropic", "http://h:1/anthropic/v1/messages"),
    ],
)
async def test_the_address_is_the_same_with_the_version_or_without(
    base_url: str | None, address: str
) -> None:
    wire = Wire()

    await build_provider(
        "anthropic", http=wire.http, api_key="sk-ant-key", base_url=base_url
    ).generate(ask())

    assert str(wire.last.url) == address


async def test_the_key_goes_where_it_belongs() -> None:
    wire = Wire()

    await build_provider("anthropic", http=wire.http, api_key="sk-ant-api03-x").generate(ask())
    assert wire.last.headers["x-api-key"] == "sk-ant-api03-x"
    assert "authorization" not in wire.last.headers

    headers = {"anthropic-beta": "context-1m"}
    await build_provider(
        "anthropic", http=wire.http, api_key="sk-ant-oat01-x", headers=headers
    ).generate(ask())
    assert wire.last.headers["authorization"] == "Bearer sk-ant-oat01-x"
    assert wire.last.headers["anthropic-beta"] == "context-1m,oauth-2025-04-20"
    assert "x-api-key" not in wire.last.headers


def test_anthropic_needs_a_key_and_who_is_compatible_an_address() -> None:
    with pytest.raises(NotConfigured, match="`anthropic` needs a key"):
        build_provider("anthropic", http=Wire().http)
    with pytest.raises(NotConfigured, match="`base_url`"):
        build_provider("anthropic-compatible", http=Wire().http)


NEW: JsonValue = [{"role": "assistant", "content": [{"type": "text", "text": "x"}]}]
CITED: JsonValue = [
    {"role": "user", "content": [{"type": "text", "text": "x", "citations": [{"type": "p"}]}]}
]
SHOWN: JsonValue = [{"role": "assistant", "content": [{"type": "document", "source": {}}]}]


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ({}, "2026-10-21"),
        ({"messages": NEW}, "2026-10-21"),
        ({"temperature": 0}, "2023-06-01"),
        ({"top_p": 1}, "2023-06-01"),
        ({"top_k": 1}, "2023-06-01"),
        ({"messages": CITED}, "2023-06-01"),
        ({"messages": SHOWN}, "2023-06-01"),
    ],
)
async def test_no_request_goes_out_under_a_version_that_refuses_it(
    body: dict[str, JsonValue], version: str
) -> None:
    wire = Wire()
    headers = {"anthropic-version": "2026-10-21"}

    await build_provider(
        "anthropic", http=wire.http, api_key="sk-ant-key", headers=headers
    ).generate(ask(**body))

    assert wire.last.headers["anthropic-version"] == version


async def test_unless_told_otherwise_the_version_is_the_one_that_takes_all() -> None:
    wire = Wire()

    await build_provider("anthropic", http=wire.http, api_key="sk-ant-key").generate(ask())

    assert wire.last.headers["anthropic-version"] == "2023-06-01"


async def test_a_body_goes_through_but_for_what_is_ours() -> None:
    wire = Wire()
    body: dict[str, JsonValue] = {
        "stream": True,
        "model": "alias",
        "penstock": {"x": 1},
        "container": {"id": "c"},
        "messages": [
            {"role": "user", "content": "a"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "t", "signature": "penstock:gemini:s"},
                    {"type": "of_the_future", "x": 1},
                ],
            },
        ],
    }

    await build_provider("anthropic", http=wire.http, api_key="sk-ant-key").generate(ask(**body))

    assert wire.sent() == {
        "model": "claude",
        "max_tokens": 9,
        "container": {"id": "c"},
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [{"type": "of_the_future", "x": 1}]},
        ],
    }


async def test_a_stream_is_asked_for_and_ends_with_its_last_event() -> None:
    wire = Wire()
    provider = build_provider("anthropic", http=wire.http, api_key="sk-ant-key")

    chunks = [chunk async for chunk in provider.stream(ask())]

    assert wire.sent()["stream"] is True
    assert [chunk.data["type"] for chunk in chunks] == [event["type"] for event in EVENTS]
    used = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert [(usage.input_tokens, usage.output_tokens) for usage in used] == [(1, 3)]


async def test_only_what_counts_is_counted() -> None:
    wire = Wire({"input_tokens": 42})
    provider = build_provider("anthropic", http=wire.http, api_key="sk-ant-key")
    asked = ask(system="s", temperature=0.5, stream=True, metadata={"user_id": "u"}, tools=[])

    assert await provider.count(asked) == 42

    assert str(wire.last.url).endswith("/v1/messages/count_tokens")
    assert set(wire.sent()) == {"model", "messages", "system", "tools"}


@pytest.mark.parametrize("body", [{}, {"input_tokens": "many"}, {"input_tokens": True}, b"[]"])
async def test_a_count_that_is_none_is_malformed(body: object) -> None:
    provider = build_provider("anthropic", http=Wire(body).http, api_key="sk-ant-key")

    with pytest.raises(errors.Malformed):
        await provider.count(ask())


async def test_embeddings_are_refused_without_a_call() -> None:
    wire = Wire()
    provider = build_provider("anthropic", http=wire.http, api_key="sk-ant-key")

    with pytest.raises(errors.BadRequest) as raised:
        await provider.embed(ask())

    assert not raised.value.sent
    assert wire.requests == []


async def test_an_empty_answer_is_an_answer() -> None:
    wire = Wire({**ANSWER, "content": [], "stop_reason": "end_turn"})

    answer = await build_provider("anthropic", http=wire.http, api_key="sk-ant-key").generate(ask())

    assert answer.usage is not None


async def test_a_word_that_is_no_secret_is_not_hidden() -> None:
    wire = Wire()

    answer = await build_provider(
        "anthropic-compatible", http=wire.http, api_key="text", base_url="http://h"
    ).generate(ask())

    assert orjson.loads(answer.body) == ANSWER


@pytest.mark.parametrize(
    ("given", "header"),
    [
        (["a-1", "b-2"], "own,a-1,b-2"),
        (["own", "a-1"], "own,a-1"),
        (["bad\r\nx-evil: 1", 3, ""], "own"),
        ("a-1", "own"),
    ],
)
async def test_a_clients_betas_join_the_operators(given: JsonValue, header: str) -> None:
    wire = Wire()
    provider = build_provider(
        "anthropic", http=wire.http, api_key="sk-ant-key", headers={"anthropic-beta": "own"}
    )
    asked = ask(penstock_anthropic_beta=given)

    await provider.generate(asked)
    async for _ in provider.stream(asked):
        pass

    assert [sent.headers["anthropic-beta"] for sent in wire.requests] == [header, header]
    assert "penstock_anthropic_beta" not in wire.sent()
    await provider.generate(ask())
    assert wire.last.headers["anthropic-beta"] == "own"
