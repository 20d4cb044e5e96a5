"""Clients of a stream that wait, stall or leave, and a server that stops."""

import asyncio
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from starlette.requests import Request

from api.direct.call import open_call
from api.direct.failures import StreamBroken
from api.direct.stream import AnswerStream, Tempo, _Follower
from api.openai.chat_chunks import Chunks
from api.waiting import Watch
from shared.events.deltas import Delta
from shared.jobs.endpoints import Endpoint
from shared.jobs.transitions import JobState, Reason
from tests.api.openai.direct import CHAT, STREAM, Ask, begun
from tests.api.openai.exchange import Exchange, events, text_of
from tests.api.openai.hand import Hand, chunk, completion
from tests.api.whole_app import WholeApp


async def test_silence_is_filled_with_comments(ask: Ask, hand: Hand) -> None:
    exchange = ask(x_stainless_read_timeout="0.05")
    job = await hand.claim()

    alive = [await exchange.piece(), await exchange.piece()]
    assert exchange.status == 200
    assert set(alive) == {b": keep-alive\n\n"}
    error = {"code": "bad_request", "message": "no"}
    await hand.end(job, JobState.FAILED, Reason.REJECTED, error=error)

    rest = await exchange.rest()
    assert [each["error"]["code"] for each in events(rest)] == ["bad_request"]


async def test_who_leaves_a_stream_ends_its_job(ask: Ask, hand: Hand) -> None:
    exchange, job, _ = await begun(ask, hand, "half")

    exchange.leave()

    await hand.stopped(job.id)
    await asyncio.wait_for(exchange.task, 10)
    assert not exchange.over


@pytest.mark.parametrize("stalls", ["in the middle", "at the head"])
async def test_one_who_does_not_read_is_left(
    app: WholeApp, ask: Ask, hand: Hand, stalls: str
) -> None:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        request = Request({**scope, "state": app.state}, receive)
        body = orjson.loads(await request.body())
        call = await open_call(request, app.tenant_id, Endpoint.CHAT, body)
        stream = AnswerStream(call, Chunks({}, include_usage=False), Tempo(send_s=0.05))
        await stream(scope, receive, send)

    exchange = Exchange(serve, CHAT, STREAM, {})
    if stalls == "at the head":
        exchange.reads.clear()
    job = await hand.claim()
    await hand.say(job, 1, chunk("one"))
    if stalls == "in the middle":
        await exchange.piece()
        exchange.reads.clear()
        await hand.say(job, 2, chunk("two"))

    await asyncio.wait_for(exchange.task, 10)
    await hand.stopped(job.id)
    assert not exchange.over


async def test_a_server_that_is_stopped_says_so(app: WholeApp, ask: Ask, hand: Hand) -> None:
    exchange, job, first = await begun(ask, hand, "half ")
    app.state["waiting"].leave()
    await hand.say(job, 2, chunk("whole"), chunk(finish="stop"), last=True)
    await hand.end(job, answer=completion("half whole"))

    raw = first + await exchange.rest()

    assert text_of(raw) == "half whole", "a call that ends soon is let end"
    assert events(raw)[-1] == "[DONE]"


async def test_one_who_repeats_a_call_is_told_nothing_of_a_claim_that_is_over(
    ask: Ask, hand: Hand
) -> None:
    first = ask(Idempotency_Key="one")
    job = await hand.claim()
    await hand.say(job, 1, chunk(), chunk("Half an ans"))
    await hand.end(job, JobState.QUEUED, Reason.BACKOFF, delay_ms=0)
    assert "stream_broken" in (await first.rest()).decode()

    late = ask(Idempotency_Key="one")
    again = await hand.claim(job.id)
    await hand.say(again, 1, chunk(), chunk("Whole answer"), chunk(finish="stop"), last=True)
    await hand.end(again, answer=completion("Whole answer"))

    raw = await late.rest()

    assert text_of(raw) == "Whole answer"
    assert events(raw)[-1] == "[DONE]"


async def test_what_was_said_is_sent_before_it_is_called_void() -> None:
    job = {"id": "job_1", "version": 1, "state": JobState.QUEUED, "created_at": 1, "model": "m"}
    watch = Watch()
    request = SimpleNamespace(state=SimpleNamespace(deltas=None))
    call: Any = SimpleNamespace(job_id="job_1", job=job, request=request, replayed=False)
    vigil: Any = SimpleNamespace(watch=watch)
    follower = _Follower(call, vigil, Tempo(), Chunks({}, include_usage=False), None)
    # Both are heard in one turn of the loop.
    watch.add(Delta("job_1", 2, 1, orjson.dumps([chunk(), chunk("Half an ans")]), last=False))
    watch.tell(3, ended=False)

    pieces = await follower._heard()

    assert text_of(b"".join(pieces)) == "Half an ans"
    with pytest.raises(StreamBroken):
        await follower._heard()
