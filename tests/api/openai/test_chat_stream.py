"""`POST /v1/chat/completions` with `"stream": true`, against a worker in the test's hands."""

import asyncio

import orjson
import pytest

from shared.events.deltas import Delta
from shared.jobs.claims import AttemptEnd
from shared.jobs.transitions import AttemptStatus, JobState, Reason
from tests.api.openai.direct import STREAM, Ask, begun
from tests.api.openai.exchange import events, text_of
from tests.api.openai.hand import USAGE, Hand, chunk, completion

WITH_USAGE = {**STREAM, "stream_options": {"include_usage": True}}


async def test_a_stream_is_passed_on_entry_by_entry(ask: Ask, hand: Hand) -> None:
    exchange = ask(WITH_USAGE)
    job = await hand.claim()
    await hand.say(job, 1, chunk(), chunk("hel"))
    first = await exchange.piece()
    await hand.say(job, 2, chunk("lo"), chunk(finish="stop"))
    second = await exchange.piece()
    await hand.say(job, 3, {**chunk(), "choices": [], "usage": USAGE}, last=True)
    await hand.end(job, answer=completion("hello"))
    rest = await exchange.rest()

    assert exchange.status == 200
    assert exchange.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert exchange.headers["x-accel-buffering"] == "no"
    assert exchange.headers["penstock-job-id"] == job.id
    assert exchange.headers["x-request-id"]
    assert (text_of(first), text_of(second)) == ("hel", "lo")
    usage, done = events(rest)
    assert (usage["usage"], usage["choices"], done) == (USAGE, [], "[DONE]")
    assert all(each["usage"] is None for each in events(first + second))
    assert b"id: " not in first
    assert b"event:" not in first
    assert b"retry:" not in first
    assert exchange.over


async def test_what_its_provider_was_not_told_stands_in_the_head(ask: Ask, hand: Hand) -> None:
    exchange = ask()
    job = await hand.claim()
    await hand.say(job, 1, chunk(), dropped=("top_k", "temperature>1", "a key, \u20ac"))
    await exchange.piece()

    assert exchange.headers["penstock-dropped"] == "top_k, temperature>1, a?key???"


async def test_the_head_is_that_of_the_claim_that_speaks(ask: Ask, hand: Hand) -> None:
    exchange = ask()
    job = await hand.claim()
    silent = {**chunk(), "choices": []}
    await hand.say(job, 1, silent, dropped=("seed",))
    await hand.end(job, JobState.QUEUED, Reason.BACKOFF, delay_ms=0)
    again = await hand.claim(job.id)
    await hand.say(again, 1, chunk("a"), chunk(finish="stop"), last=True)
    await hand.end(again, answer=completion("a"))
    await exchange.rest()

    assert "penstock-dropped" not in exchange.headers


async def test_of_an_answer_that_was_not_streamed_the_attempt_tells(ask: Ask, hand: Hand) -> None:
    exchange = ask()
    job = await hand.claim()
    attempt = AttemptEnd(1, AttemptStatus.OK, dropped=("seed", "thinking_tokens<1024"))
    await hand.end(job, answer=completion("a"), attempts=(attempt,))
    await exchange.rest()

    assert exchange.headers["penstock-dropped"] == "seed, thinking_tokens<1024"


async def test_usage_that_was_not_asked_for_is_not_sent(ask: Ask, hand: Hand) -> None:
    exchange = ask()
    job = await hand.claim()
    await hand.say(job, 1, chunk("a", usage=USAGE), chunk(finish="stop"))
    await hand.say(job, 2, {**chunk(), "choices": [], "usage": USAGE}, last=True)
    await hand.end(job, answer=completion("a"))

    *chunks, done = events(await exchange.rest())

    assert done == "[DONE]"
    assert all("usage" not in each and each["choices"] for each in chunks)


async def test_done_comes_only_when_the_end_is_stored(ask: Ask, hand: Hand) -> None:
    exchange, job, _ = await begun(ask, hand, "hello")
    await hand.say(job, 2, chunk(finish="stop"), last=True)
    assert finish_of(await exchange.piece()) == ["stop"]
    reading = asyncio.create_task(exchange.rest())
    # Everything was said, and still the job might fail to be stored.
    await asyncio.wait([reading], timeout=0.1)
    assert not reading.done()

    await hand.end(job, answer=completion("hello"))

    assert await reading == b"data: [DONE]\n\n"


def finish_of(raw: bytes) -> list[str]:
    parts = [part for each in events(raw) if each != "[DONE]" for part in each["choices"]]
    return [part["finish_reason"] for part in parts if part["finish_reason"]]


@pytest.mark.parametrize("include", [True, False])
async def test_an_answer_that_was_not_streamed_is_cut_into_chunks(
    ask: Ask, hand: Hand, include: bool
) -> None:
    exchange = ask(WITH_USAGE if include else STREAM)
    job = await hand.claim()
    await hand.end(job, answer=completion("hello"))

    raw = await exchange.rest()

    assert exchange.status == 200
    assert text_of(raw) == "hello"
    assert events(raw)[0]["choices"][0]["delta"]["role"] == "assistant"
    assert finish_of(raw) == ["stop"]
    assert events(raw)[-1] == "[DONE]"
    assert [each for each in events(raw)[:-1] if each.get("usage")] == (
        [{**events(raw)[-2], "choices": [], "usage": USAGE}] if include else []
    )


async def test_what_redis_lost_comes_with_the_stored_answer(ask: Ask, hand: Hand) -> None:
    exchange, job, first = await begun(ask, hand, "one ")
    # Number 2 is in no log: nothing after it may be sent before it.
    await hand.say(job, 3, chunk("three "))
    await hand.say(job, 4, chunk("four"), chunk(finish="stop"), last=True)
    await hand.end(job, answer=completion("one two three four"))

    rest = await exchange.rest()

    assert text_of(first + rest) == "one two three four"
    assert finish_of(rest) == ["stop"]
    assert events(rest)[-1] == "[DONE]"


async def test_what_was_said_before_one_listens_is_in_the_log(ask: Ask, hand: Hand) -> None:
    exchange = ask(Idempotency_Key="one")
    job = await hand.claim()
    for number, said in enumerate("abc", start=1):
        await hand.say(job, number, chunk(said))
    late = ask(Idempotency_Key="one")
    await hand.say(job, 4, chunk("d"), chunk(finish="stop"), last=True)
    await hand.end(job, answer=completion("abcd"))

    assert text_of(await late.rest()) == text_of(await exchange.rest()) == "abcd"
    assert late.headers["idempotent-replayed"] == "true"


async def test_a_log_of_many_pages_is_read_to_its_end(ask: Ask, hand: Hand) -> None:
    ask(Idempotency_Key="one")
    job = await hand.claim()
    raws = [orjson.dumps([chunk(f"{number} ")]) for number in range(1, 2501)]
    entries = [Delta(job.id, job.version, n, raw, False) for n, raw in enumerate(raws, start=1)]
    await hand.deltas.append(entries)
    late = ask(Idempotency_Key="one")
    pieces = [await late.piece() for _ in range(2500)]
    await hand.say(job, 2501, chunk(finish="stop"), last=True)
    # The stored answer is another text: nothing of it may be needed.
    await hand.end(job, answer=completion("not this"))

    raw = b"".join(pieces) + await late.rest()

    assert text_of(raw) == "".join(f"{number} " for number in range(1, 2501))
    assert events(raw)[-1] == "[DONE]"


async def test_a_replay_of_an_ended_job_is_streamed_from_its_result(ask: Ask, hand: Hand) -> None:
    first = ask(Idempotency_Key="one")
    job = await hand.claim()
    await hand.end(job, answer=completion("hello"))
    await first.rest()
    await hand.resources.redis.flushall()

    again = ask(Idempotency_Key="one")

    assert text_of(await again.rest()) == "hello"
    assert again.headers["penstock-job-id"] == job.id


async def test_a_claim_that_said_nothing_yet_may_begin_again(ask: Ask, hand: Hand) -> None:
    exchange = ask()
    job = await hand.claim()
    await hand.say(job, 1, chunk())
    first = await exchange.piece()
    await hand.end(job, JobState.QUEUED, Reason.BACKOFF, delay_ms=0, failures=1)
    again = await hand.claim(job.id)
    await hand.say(again, 1, chunk(), chunk("hello", id="chatcmpl-2"))
    await hand.end(again, answer=completion("hello"))

    raw = first + await exchange.rest()

    assert text_of(raw) == "hello"
    assert events(raw)[-1] == "[DONE]"
    roles = [each["choices"][0]["delta"].get("role") for each in events(raw)[:-1]]
    assert roles.count("assistant") == 1
    assert {each["id"] for each in events(raw)[:-1]} == {"chatcmpl-1"}


@pytest.mark.parametrize("told", ["queued", "claimed", "completed"])
async def test_a_text_that_begins_again_is_an_error(ask: Ask, hand: Hand, told: str) -> None:
    exchange, job, _ = await begun(ask, hand, "half a")
    if told == "completed":
        # Of all that happened the caller hears nothing but the end.
        await hand.resources.redis.client_kill_filter(_type="pubsub", skipme=True)
    await hand.end(job, JobState.QUEUED, Reason.BACKOFF, delay_ms=0, failures=1)
    if told != "queued":
        again = await hand.claim(job.id)
        await hand.say(again, 1, chunk("another"))
        if told == "completed":
            await hand.end(again, answer=completion("another answer"))

    [error] = events(await exchange.rest())

    assert error["error"]["code"] == "stream_broken"
    assert set(error["error"]) == {"message", "type", "param", "code"}
    assert exchange.over
    if told != "completed":
        await hand.stopped(job.id)


async def test_a_failure_before_anything_was_said_has_its_status(ask: Ask, hand: Hand) -> None:
    exchange = ask()
    job = await hand.claim()
    error = {"code": "context_too_long", "message": "too long"}
    await hand.end(job, JobState.FAILED, Reason.REJECTED, error=error)

    raw = await exchange.rest()

    assert exchange.status == 400
    assert orjson.loads(raw)["error"]["code"] == "context_length_exceeded"
    assert exchange.headers["content-type"] == "application/problem+json"
    assert exchange.headers["penstock-job-id"] == job.id


async def test_a_failure_in_the_middle_is_an_event_and_no_done(ask: Ask, hand: Hand) -> None:
    exchange, job, _ = await begun(ask, hand, "half")
    error = {"code": "unavailable", "message": "it broke off"}
    await hand.end(job, JobState.FAILED, Reason.ATTEMPTS_EXHAUSTED, error=error)

    raw = await exchange.rest()

    assert exchange.status == 200
    assert events(raw) == [
        {
            "error": {
                "message": "it broke off",
                "type": "server_error",
                "param": None,
                "code": "unavailable",
                "job_id": job.id,
                "job_status": "failed",
                "job_status_reason": "attempts_exhausted",
            }
        }
    ]
    assert exchange.over
    assert job.id not in hand.cancelled
