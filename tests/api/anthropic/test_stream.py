"""`POST /v1/messages` with `stream`: events with names, from the log or from the stored message."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from shared.jobs.transitions import JobState, Reason
from tests.api.anthropic.messages import ANSWER, ASKED, BEGUN, MESSAGE, PATH, events, text_of
from tests.api.openai.exchange import Exchange
from tests.api.openai.hand import Hand
from tests.api.whole_app import ADMIN_KEY, WholeApp

Ask = Callable[..., Exchange]


@pytest.fixture
async def ask(app: WholeApp) -> AsyncIterator[Ask]:
    asked: list[Exchange] = []

    def start(**headers: str) -> Exchange:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {**ASKED, "stream": True}
        asked.append(Exchange(app.app, PATH, body, {"x-api-key": ADMIN_KEY, **named}))
        return asked[-1]

    yield start
    for each in asked:
        async with each:
            pass


async def test_events_come_as_they_are_said(ask: Ask, hand: Hand) -> None:
    exchange = ask()
    job = await hand.claim()
    await hand.say(job, 1, *BEGUN)
    first = await exchange.piece()
    more = {"type": "content_block_delta", "index": 0}
    await hand.say(job, 2, {**more, "delta": {"type": "text_delta", "text": "lo"}})
    second = await exchange.piece()
    await hand.end(job, answer=ANSWER)
    rest = await exchange.rest()

    assert (exchange.status, text_of(first), text_of(second)) == (200, "hel", "lo")
    assert exchange.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert exchange.headers["request-id"].startswith("req_")
    assert events(first)[0]["message"]["id"] == "msg_1"
    assert [each["type"] for each in events(rest)] == [
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events(rest)[1]["usage"] == MESSAGE["usage"]


async def test_an_answer_that_nobody_streamed(ask: Ask, hand: Hand) -> None:
    exchange = ask()
    await hand.end(await hand.claim(), answer=ANSWER)
    raw = await exchange.rest()

    assert text_of(raw) == "hello"
    assert events(raw)[-1] == {"type": "message_stop"}


async def test_signs_of_life_are_pings(ask: Ask, hand: Hand) -> None:
    exchange = ask(x_stainless_read_timeout="0.1")
    job = await hand.claim()

    assert events(await exchange.piece()) == [{"type": "ping"}]
    await hand.end(job, answer=ANSWER)
    assert events(await exchange.rest())[-1] == {"type": "message_stop"}


async def test_a_failure_before_the_first_event_has_its_own_status(ask: Ask, hand: Hand) -> None:
    exchange = ask()
    error = {"code": "overloaded", "message": "Full."}
    await hand.end(await hand.claim(), JobState.EXPIRED, Reason.DEADLINE, error=error)
    raw = await exchange.rest()

    assert exchange.status == 503
    assert b'"overloaded_error"' in raw


async def test_a_failure_in_the_middle_is_an_event(ask: Ask, hand: Hand) -> None:
    exchange = ask()
    job = await hand.claim()
    await hand.say(job, 1, *BEGUN)
    await exchange.piece()
    error = {"code": "unavailable", "message": "It broke off."}
    await hand.end(job, JobState.FAILED, Reason.ATTEMPTS_EXHAUSTED, error=error)
    (last,) = events(await exchange.rest())

    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    assert last["error"]["message"] == "It broke off."
    assert last["request_id"] == exchange.headers["request-id"]


async def test_a_caller_that_leaves_cancels_its_job(ask: Ask, hand: Hand) -> None:
    exchange = ask()
    job = await hand.claim()
    await hand.say(job, 1, *BEGUN)
    await exchange.piece()
    exchange.leave()

    await asyncio.wait_for(hand.stopped(job.id), 10)
