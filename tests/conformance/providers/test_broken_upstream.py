"""What a real, broken provider does to the OpenAI adapter: never a success, always a place."""

from collections.abc import Callable

import orjson
import pytest
from pydantic import JsonValue

from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceResponse
from shared.inference.usage import Usage
from shared.providers import errors
from shared.providers.base import Provider
from tests.conformance.providers.conftest import Build
from tests.fakes.upstream_answers import chat_usage
from tests.fakes.upstream_client import Upstream, rule


def chat(text: str = "hello", **body: JsonValue) -> InferenceRequest:
    messages: list[JsonValue] = [{"role": "user", "content": text}]
    return InferenceRequest("m", {"messages": messages, **body})


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
