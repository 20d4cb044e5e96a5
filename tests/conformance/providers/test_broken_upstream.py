"""What a real, broken provider does to the OpenAI adapter: never a success, always a place."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import orjson
import pytest
from pydantic import JsonValue

from shared.inference.request import InferenceRequest, Operation
from shared.inference.response import InferenceResponse
from shared.inference.usage import Usage
from shared.providers import errors
from shared.providers.base import Provider
from shared.providers.registry import build_provider
from shared.providers.transport import Http, Timeouts, build_http
from tests.fakes.upstream_answers import chat_usage
from tests.fakes.upstream_client import Upstream, rule

Build = Callable[..., Provider]


@pytest.fixture
def build(upstream: Upstream, http: Http) -> Build:
    """Return a maker of providers that call the fake upstream."""

    def made(
        *, base_url: str | None = None, max_response_bytes: int = 2**20, **timeouts: float
    ) -> Provider:
        return build_provider(
            "openai",
            http=http,
            base_url=base_url or upstream.base_url,
            api_key="sk",
            timeouts=Timeouts(**{"total_s": 10, **timeouts}),
            max_response_bytes=max_response_bytes,
        )

    return made


def chat(text: str = "hello", **body: JsonValue) -> InferenceRequest:
    messages: list[JsonValue] = [{"role": "user", "content": text}]
    return InferenceRequest(Operation.CHAT, "m", {"messages": messages, **body})


async def whole(provider: Provider) -> InferenceResponse | int:
    return await provider.generate(chat())


async def streamed(provider: Provider) -> InferenceResponse | int:
    return len([chunk async for chunk in provider.stream(chat())])


@pytest.mark.parametrize(
    ("call", "broken", "kind"),
    [
        (whole, rule("reset", at="start"), errors.Unavailable),
        (whole, rule("reset"), errors.Unavailable),
        (whole, rule("truncate_sse"), errors.Unavailable),
        (whole, rule("malformed_json"), errors.Malformed),
        (whole, rule("empty_choices"), errors.Malformed),
        (whole, rule("error_in_200"), errors.Unavailable),
        (whole, rule("error_in_200", error={"message": "what"}), errors.Malformed),
        (whole, rule("status", status=302, headers={"location": "http://h/"}), errors.Malformed),
        (whole, rule("status", status=200, body="<html>"), errors.Malformed),
        (streamed, rule("reset", at="start"), errors.Unavailable),
        (streamed, rule("reset"), errors.Unavailable),
        (streamed, rule("truncate_sse"), errors.Unavailable),
        (streamed, rule("missing_done", finish_reason=False), errors.Unavailable),
        (streamed, rule("malformed_json"), errors.Malformed),
        (streamed, rule("empty_choices"), errors.Malformed),
        (streamed, rule("error_in_200"), errors.Unavailable),
        (streamed, rule("error_mid_stream"), errors.Unavailable),
        (streamed, rule("error_mid_stream", error={"code": 429}), errors.RateLimited),
    ],
)
async def test_a_broken_answer_is_never_a_success(
    upstream: Upstream,
    build: Build,
    call: Callable[[Provider], object],
    broken: dict[str, object],
    kind: type[errors.ProviderError],
) -> None:
    upstream.script(broken)

    with pytest.raises(kind) as raised:
        await call(build())  # type: ignore[misc]

    assert type(raised.value) is kind
    assert raised.value.sent
    assert raised.value.transient


async def test_a_stream_without_done_is_whole_if_it_finished(
    upstream: Upstream, build: Build
) -> None:
    upstream.script(rule("missing_done"))

    assert await streamed(build()) == 5


@pytest.mark.parametrize("call", [whole, streamed])
async def test_a_drip_ends_with_the_total_time(
    upstream: Upstream, build: Build, call: Callable[[Provider], object]
) -> None:
    upstream.script(rule("drip", interval_ms=20))

    with pytest.raises(errors.Timeout) as raised:
        await call(build(total_s=0.2, idle_read_s=10))  # type: ignore[misc]

    assert raised.value.sent
    await asyncio.to_thread(upstream.wait, lambda now: now["in_flight"] == 0)
    assert upstream.calls()[-1]["client_gone"]


@pytest.mark.parametrize("call", [whole, streamed])
@pytest.mark.parametrize("timeouts", [{"total_s": 0.1}, {"idle_read_s": 0.1}])
async def test_silence_ends_in_time(
    upstream: Upstream,
    build: Build,
    call: Callable[[Provider], object],
    timeouts: dict[str, float],
) -> None:
    upstream.script(rule("hang"))

    with pytest.raises(errors.Timeout) as raised:
        await call(build(**timeouts))  # type: ignore[misc]

    assert raised.value.sent
    assert raised.value.possibly_billed


async def test_silence_in_the_middle_of_a_stream_ends_in_time(
    upstream: Upstream, build: Build
) -> None:
    upstream.script(rule("ok", chunk_delay_ms=60_000))
    provider = build(idle_read_s=0.1)

    stream = aiter(provider.stream(chat()))

    assert (await anext(stream)).data["choices"]
    with pytest.raises(errors.Timeout):
        await anext(stream)


async def test_a_slow_consumer_is_not_blamed_on_the_provider(
    upstream: Upstream, build: Build
) -> None:
    upstream.script(rule("ok"))
    seen = 0

    async for _ in build(total_s=0.15).stream(chat()):
        seen += 1
        await asyncio.sleep(0.05)

    assert seen == 5


async def test_nobody_listening_means_not_sent(build: Build) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        for call in (whole, streamed):
            with pytest.raises(errors.Unavailable) as raised:
                await call(build(base_url=f"http://127.0.0.1:{port}/v1"))

            assert not raised.value.sent
            assert not raised.value.consumes_attempt
            assert not raised.value.possibly_billed


async def test_an_unknown_host_means_not_sent(build: Build) -> None:
    with pytest.raises(errors.Unavailable) as raised:
        await whole(build(base_url="http://no-such-host.invalid/v1"))

    assert not raised.value.sent


@pytest.fixture
def deaf() -> Iterator[str]:
    """Listen without ever accepting, with no room left for another connection."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}/v1"
        for one in waiting:
            one.close()


async def test_connecting_in_vain_means_not_sent(build: Build, deaf: str) -> None:
    with pytest.raises(errors.Unavailable) as raised:
        await whole(build(base_url=deaf, connect_s=0.1))

    assert not raised.value.sent


async def test_waiting_for_a_place_in_vain_means_not_sent(upstream: Upstream) -> None:
    http = build_http(max_connections=1)
    timeouts = Timeouts(pool_s=0.05, connect_s=0.05)
    provider = build_provider(
        "openai", http=http, base_url=upstream.base_url, api_key="sk", timeouts=timeouts
    )
    upstream.script(rule("gate", times=1))
    before = upstream.stats()["calls"]
    first = asyncio.ensure_future(provider.generate(chat()))
    await asyncio.to_thread(upstream.wait, lambda now: now["gated"] == 1)

    with pytest.raises(errors.Unavailable) as raised:
        await provider.generate(chat())
    upstream.release()

    assert not raised.value.sent
    assert (await first).status_code == 200
    assert upstream.stats()["calls"] == before + 1
    await http.aclose()


@pytest.mark.parametrize("call", [whole, streamed])
async def test_an_oversized_answer_is_final(
    upstream: Upstream, build: Build, call: Callable[[Provider], object]
) -> None:
    upstream.script(rule("huge", mb=0.2))

    with pytest.raises(errors.ResultTooLarge) as raised:
        await call(build(max_response_bytes=100_000))  # type: ignore[misc]

    assert raised.value.code == "result_too_large"
    assert not raised.value.transient


async def test_a_large_answer_within_the_limit_is_kept_byte_for_byte(
    upstream: Upstream, build: Build
) -> None:
    upstream.script(rule("huge", mb=3))

    answer = await build(max_response_bytes=2**22).generate(chat())

    assert len(orjson.loads(answer.body)["choices"][0]["message"]["content"]) == 3 * 2**20


@pytest.mark.parametrize("streaming", [False, True])
async def test_missing_usage_is_unknown(upstream: Upstream, build: Build, streaming: bool) -> None:
    upstream.script(rule("no_usage"))
    provider = build()

    if streaming:
        chunks = [chunk async for chunk in provider.stream(chat())]
        assert {chunk.usage for chunk in chunks} == {None}
    else:
        assert (await provider.generate(chat())).usage is None


async def test_the_usage_can_be_computed_from_the_request(build: Build) -> None:
    request = chat("count me")

    answer = await build().generate(request)

    said = chat_usage(request.body)
    assert answer.usage == Usage(said["prompt_tokens"], said["completion_tokens"])


async def test_a_429_carries_its_wait_and_its_limits(upstream: Upstream, build: Build) -> None:
    headers = {"retry-after": "7", "x-ratelimit-remaining-requests": "0"}
    upstream.script(rule("status", status=429, headers=headers))

    with pytest.raises(errors.RateLimited) as raised:
        await build().generate(chat())

    assert raised.value.retry_after_s == 7
    assert raised.value.feedback is not None
    assert raised.value.feedback.remaining_requests == 0


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_success_carries_its_limits(
    upstream: Upstream, build: Build, streaming: bool
) -> None:
    headers = {"x-ratelimit-remaining-tokens": "12", "x-ratelimit-reset-tokens": "6m0s"}
    upstream.script(rule("ok", headers=headers))

    if streaming:
        said, *others = [chunk.feedback async for chunk in build().stream(chat())]
        assert set(others) == {None}
    else:
        said = (await build().generate(chat())).feedback

    assert said is not None
    assert (said.remaining_tokens, said.reset_tokens_s) == (12, 360)


async def test_connections_are_used_again(upstream: Upstream, build: Build) -> None:
    provider, before = build(), len(upstream.calls())

    for call in (whole, streamed, whole, streamed, whole):
        await call(provider)

    assert len({row["peer"] for row in upstream.calls()[before:]}) == 1
