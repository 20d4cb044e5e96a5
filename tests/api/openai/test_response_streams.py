"""The events of a response: live, again from any number, and after the log or a claim was lost."""

import asyncio
from typing import Any

import orjson
import pytest

from shared.dialects.responses.translator import RESPONSES
from shared.dialects.translator import Head
from shared.events.deltas import channel_of
from shared.inference.generation import Began, Delta, Finish, Finished, TextDelta, Used
from shared.inference.usage import Usage
from shared.jobs.claims import ClaimedJob
from shared.jobs.transitions import JobState, Reason
from tests.api.openai.exchange import Exchange
from tests.api.openai.hand import Hand
from tests.api.whole_app import ADMIN_KEY, WholeApp

PATH = "/v1/responses"
NOW = {"model": "sandbox/echo", "input": "hello", "stream": True}
LATER = {**NOW, "background": True}
WORDS = ["one ", "two ", "three ", "four ", "five ", "six"]


def ask(app: WholeApp, body: dict[str, Any]) -> Exchange:
    return Exchange(app.app, PATH, body, {"authorization": f"Bearer {ADMIN_KEY}"})


def logged(job: ClaimedJob, *words: str) -> list[dict[str, Any]]:
    """Return what a worker writes to the log."""
    head = Head(job.id.removeprefix("job_"), job.model, job.created_at // 1000)
    said: list[Delta] = [TextDelta(0, each) for each in words]
    deltas = [Began("x", "y"), *said, Finished(0, Finish.STOP), Used(Usage(1, 2))]
    encoder = RESPONSES.encoder(head, orjson.loads(job.body or b"{}"))
    return [*(event for each in deltas for event in encoder.write(each)), *encoder.end()]


async def stream(hand: Hand, job: ClaimedJob, *words: str) -> bytes:
    """Say all of an answer and return it whole."""
    events = logged(job, *words)
    for number, event in enumerate(events, start=1):
        await hand.say(job, number, event, last=number == len(events))
    return orjson.dumps(events[-1]["response"])


def read(raw: bytes) -> list[dict[str, Any]]:
    blocks = [each for each in raw.split(b"\n\n")[:-1] if not each.startswith(b":")]
    return [orjson.loads(each.partition(b"\ndata: ")[2]) for each in blocks]


async def followed(app: WholeApp, job_id: str, **query: Any) -> list[dict[str, Any]]:
    path = f"{PATH}/resp_{job_id.removeprefix('job_')}"
    reply = await app.client.get(path, params={"stream": "true", **query}, timeout=30)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "idempotent-replayed" not in reply.headers
    return read(reply.content)


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [each["sequence_number"] for each in events]


def text_of(events: list[dict[str, Any]]) -> str:
    kind = "response.output_text.delta"
    return "".join(each["delta"] for each in events if each["type"] == kind)


async def test_an_answer_is_streamed_and_ends_when_it_is_stored(app: WholeApp, hand: Hand) -> None:
    async with ask(app, NOW) as exchange:
        job = await hand.claim()
        whole = await stream(hand, job, *WORDS)
        reading = asyncio.create_task(exchange.rest())
        await asyncio.wait([reading], timeout=0.1)
        assert not reading.done()
        await hand.end(job, answer=whole)
        events = read(await reading)
    assert exchange.status == 200
    assert numbers(events) == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    assert events[-1]["type"] == "response.completed"
    assert text_of(events) == "".join(WORDS)


async def test_what_fails_before_the_first_word_has_its_own_status(
    app: WholeApp, hand: Hand
) -> None:
    async with ask(app, NOW) as exchange:
        job = await hand.claim()
        error = {"code": "bad_request", "message": "no such thing"}
        await hand.end(job, JobState.FAILED, Reason.REJECTED, error=error)
        body = orjson.loads(await exchange.rest())
    assert exchange.status == 400
    assert body["error"]["message"] == "no such thing"


async def test_leaving_does_not_end_what_runs_in_the_background(app: WholeApp, hand: Hand) -> None:
    async with ask(app, LATER) as exchange:
        created, queued = read(await exchange.piece())
        assert (created["sequence_number"], queued["response"]["status"]) == (0, "queued")
        job = await hand.claim()
    await asyncio.sleep(0.05)
    assert await hand.state(job.id) == "running"
    await hand.end(job, answer=await stream(hand, job, *WORDS))
    assert hand.cancelled == []
    events = await followed(app, job.id, starting_after=1)
    assert events[0]["type"] == "response.in_progress"
    assert text_of(events) == "".join(WORDS)


@pytest.mark.parametrize("running", [True, False])
async def test_it_goes_on_behind_any_number(app: WholeApp, hand: Hand, running: bool) -> None:
    async with ask(app, LATER) as exchange:
        job = await hand.claim()
        whole = await stream(hand, job, *WORDS)
        reading = asyncio.create_task(exchange.rest())
        following = running and asyncio.create_task(followed(app, job.id, starting_after=6))
        await asyncio.sleep(0.1)
        await hand.end(job, answer=whole)
        everything = read(await reading)
    assert numbers(everything) == list(range(len(everything)))
    if following:
        assert numbers(await following) == numbers(everything[7:])
    for after in range(-1, len(everything)):
        query = {} if after < 0 else {"starting_after": after}
        events = await followed(app, job.id, **query)
        expected = everything[after + 1 :]
        if after == len(everything) - 1:
            # It is told in any case.
            expected = [{**everything[-1], "sequence_number": after + 1}]
        assert [each["type"] for each in events] == [each["type"] for each in expected]
        assert numbers(events) == numbers(expected)


async def test_without_its_log_it_is_made_of_the_answer(app: WholeApp, hand: Hand) -> None:
    async with ask(app, LATER):
        job = await hand.claim()
        await hand.end(job, answer=await stream(hand, job, *WORDS))
    await app.resources.redis.delete(channel_of(job.id))
    events = await followed(app, job.id)
    assert numbers(events) == list(range(len(events)))
    assert text_of(events) == "".join(WORDS)
    assert events[-1]["type"] == "response.completed"
    (last,) = await followed(app, job.id, starting_after=400)
    assert (last["type"], last["sequence_number"]) == ("response.completed", 401)


async def test_of_a_job_that_began_again_only_the_end_is_told(app: WholeApp, hand: Hand) -> None:
    async with ask(app, LATER) as exchange:
        job = await hand.claim()
        first = logged(job, "no ")
        await hand.say(job, 1, *first[:5])
        await exchange.piece()
        heard = read(await exchange.piece())
        assert text_of(heard) == "no "
        await hand.end(job, JobState.QUEUED, Reason.BACKOFF, delay_ms=0)
        again = await hand.claim(job.id)
        whole = await stream(hand, again, "yes")
        broken = read(await exchange.rest())
        assert (broken[-1]["type"], broken[-1]["code"]) == ("error", "stream_broken")
        await hand.end(again, answer=whole)
    seen = heard[-1]["sequence_number"]
    (last,) = await followed(app, job.id, starting_after=seen)
    assert last["response"]["output"][0]["content"][0]["text"] == "yes"
    assert last["sequence_number"] > seen
    assert text_of(await followed(app, job.id)) == "yes"


async def test_one_that_failed_says_so_in_its_stream(app: WholeApp, hand: Hand) -> None:
    async with ask(app, LATER) as exchange:
        job = await hand.claim()
        await hand.say(job, 1, *logged(job, "a")[:5])
        error = {"code": "unavailable", "message": "cut off"}
        await hand.end(job, JobState.FAILED, Reason.ATTEMPTS_EXHAUSTED, error=error)
        events = read(await exchange.rest())
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"] == {"code": "server_error", "message": "cut off"}
    (again,) = await followed(app, job.id, starting_after=events[-2]["sequence_number"])
    assert again["type"] == "response.failed"
    assert again["sequence_number"] == events[-1]["sequence_number"]


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "99999999999"])
async def test_a_wrong_number_is_refused(app: WholeApp, number: str) -> None:
    made = (await app.client.post(PATH, json={**LATER, "stream": False})).json()
    query = {"stream": "true", "starting_after": number}
    reply = await app.client.get(f"{PATH}/{made['id']}", params=query)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "starting_after"
