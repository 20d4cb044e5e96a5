"""What a real, broken provider does to each adapter: never a success, always a place."""

from typing import Any

import pytest

from shared.inference.response import InferenceResponse
from shared.providers import errors
from tests.conformance.providers.conftest import Build, Caller
from tests.conformance.providers.vocabulary import DATE, Vocabulary, text_of
from tests.fakes.upstream_client import Upstream, rule


async def expect(
    call: Caller, build: Build, kind: type[errors.ProviderError]
) -> errors.ProviderError:
    with pytest.raises(kind) as raised:
        await call(build())
    assert type(raised.value) is kind
    assert raised.value.sent
    return raised.value


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (rule("reset", at="start"), errors.Unavailable),
        (rule("reset"), errors.Unavailable),
        (rule("truncate_sse"), errors.Unavailable),
        (rule("malformed_json"), errors.Malformed),
        (rule("empty_choices"), errors.Malformed),
        (rule("error_in_200"), errors.Unavailable),
        (rule("status", status=302, headers={"location": "http://h/"}), errors.Malformed),
        (rule("status", status=200, body="<html>"), errors.Malformed),
    ],
)
async def test_a_broken_answer_is_never_a_success(
    upstream: Upstream,
    build: Build,
    call: Caller,
    broken: dict[str, object],
    kind: type[errors.ProviderError],
) -> None:
    upstream.script(broken)

    assert (await expect(call, build, kind)).transient


async def test_an_error_in_a_200_without_a_name_is_malformed(
    upstream: Upstream, build: Build, words: Vocabulary
) -> None:
    upstream.script(rule("error_in_200", error={"message": "what"}))

    await expect(Caller(words, streaming=False), build, errors.Malformed)


async def test_an_error_in_the_middle_of_a_stream_has_its_place(
    upstream: Upstream, build: Build, words: Vocabulary
) -> None:
    streamed = Caller(words, streaming=True)
    upstream.script(
        rule("error_mid_stream", times=1), rule("error_mid_stream", error=words.limited)
    )

    await expect(streamed, build, errors.Unavailable)
    await expect(streamed, build, errors.RateLimited)


async def test_a_stream_without_any_end_is_broken_off(
    upstream: Upstream, build: Build, words: Vocabulary
) -> None:
    upstream.script(rule("missing_done", finish_reason=False))

    await expect(Caller(words, streaming=True), build, errors.Unavailable)


async def test_whether_a_stream_may_end_by_its_reason_alone(
    upstream: Upstream, build: Build, words: Vocabulary
) -> None:
    upstream.script(rule("missing_done"))
    streamed = Caller(words, streaming=True)

    if words.ends_by_finish:
        assert isinstance(await streamed(build()), int)
    else:
        await expect(streamed, build, errors.Unavailable)


async def test_an_oversized_answer_is_final(upstream: Upstream, build: Build, call: Caller) -> None:
    upstream.script(rule("huge", mb=0.2))

    with pytest.raises(errors.ResultTooLarge) as raised:
        await call(build(max_response_bytes=100_000))

    assert raised.value.code == "result_too_large"
    assert not raised.value.transient


async def test_a_large_answer_within_the_limit_is_kept_byte_for_byte(
    upstream: Upstream, build: Build, words: Vocabulary
) -> None:
    upstream.script(rule("huge", mb=3))

    answer = await build(max_response_bytes=2**22).generate(words.ask())

    assert text_of(words.read(answer).choices[0]) == "x" * 3 * 2**20


async def test_missing_usage_is_unknown(
    upstream: Upstream, build: Build, words: Vocabulary
) -> None:
    upstream.script(rule("no_usage"))
    provider = build()

    chunks = [chunk async for chunk in provider.stream(words.ask())]

    assert {chunk.usage for chunk in chunks} == {None}
    assert (await provider.generate(words.ask())).usage is None


async def test_the_usage_can_be_computed_from_the_request(build: Build, words: Vocabulary) -> None:
    request = words.ask("echo", "count me")

    answer = await build().generate(request)

    assert answer.usage == words.used(request.body)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT", "date": DATE}, 30),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
async def test_a_429_says_how_long_to_wait(
    upstream: Upstream, build: Build, call: Caller, headers: dict[str, str], seconds: float | None
) -> None:
    upstream.script(rule("status", status=429, headers=headers))

    assert (await expect(call, build, errors.RateLimited)).retry_after_s == seconds


async def test_a_refusal_carries_its_limits(
    upstream: Upstream, build: Build, words: Vocabulary, call: Caller
) -> None:
    upstream.script(rule("status", status=429, headers=dict(words.limits)))

    failure = await expect(call, build, errors.RateLimited)

    assert told(failure.feedback) == told_by(words)


async def test_a_success_carries_its_limits(
    upstream: Upstream, build: Build, words: Vocabulary
) -> None:
    upstream.script(rule("ok", headers=dict(words.limits)))
    provider = build()

    whole = await provider.generate(words.ask())
    first, *others = [chunk.feedback async for chunk in provider.stream(words.ask())]

    assert told(whole.feedback) == told(first) == told_by(words)
    assert set(others) == {None}


def told(feedback: Any) -> tuple[Any, ...] | None:
    if feedback is None:
        return None
    return (feedback.remaining_requests, feedback.remaining_tokens, feedback.reset_tokens_s)


def told_by(words: Vocabulary) -> tuple[Any, ...] | None:
    return (0, 12, 360) if words.limits else None


async def test_connections_are_used_again(
    upstream: Upstream, build: Build, words: Vocabulary
) -> None:
    provider, before = build(), len(upstream.calls())

    for streaming in (False, True, False, True, False):
        answer = await Caller(words, streaming=streaming)(provider)
        assert isinstance(answer, int if streaming else InferenceResponse)

    assert len({row["peer"] for row in upstream.calls()[before:]}) == 1
