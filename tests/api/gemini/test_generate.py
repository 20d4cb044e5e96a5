"""Google's `models/{model}:…`, whole and in streams, against a worker in the test's hands."""

import asyncio
from typing import Any

import httpx
import orjson
import pytest

from shared.jobs.transitions import JobState, Reason
from tests.api.gemini.asking import HELLO, Ask, act, answer, events
from tests.api.openai.exchange import Exchange
from tests.api.openai.hand import Hand
from tests.api.whole_app import ADMIN_KEY, WholeApp

STREAM = "streamGenerateContent?alt=sse"
USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 5, "totalTokenCount": 8}


async def body_of(hand: Hand, job_id: str) -> Any:
    (raw,) = await hand._column("SELECT body FROM job_request WHERE job_id = :id", id=job_id)
    return orjson.loads(raw)


@pytest.mark.parametrize("prefix", ["/v1beta", "/v1", "/gemini/v1beta", "/gemini/v1"])
async def test_an_answer_under_every_path(app: WholeApp, hand: Hand, prefix: str) -> None:
    path = act("generateContent", prefix=prefix)
    asked = asyncio.create_task(app.client.post(path, json={**HELLO, "model": "x", "stream": True}))
    job = await hand.claim()
    await hand.end(job, answer=orjson.dumps(answer("hello", usageMetadata=USAGE)))
    reply = await asked

    assert (reply.status_code, reply.json()) == (200, answer("hello", usageMetadata=USAGE))
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["penstock-job-id"] == job.id
    assert await body_of(hand, job.id) == {"model": "sandbox/echo", **HELLO}
    endpoint = "/v1beta/models/{model}:generateContent"
    assert await hand.value(job.id, "endpoint") == endpoint


@pytest.mark.parametrize("model", ["team/best model:v2", "team%2Fbest%20model%3Av2"])
async def test_any_name_of_a_model(app: WholeApp, hand: Hand, model: str) -> None:
    asked = asyncio.create_task(app.client.post(act("countTokens", model), json=HELLO))
    job = await hand.claim()
    await hand.end(job, answer=b'{"totalTokens":3}')

    assert (await asked).json() == {"totalTokens": 3}
    assert await hand.value(job.id, "model") == "team/best model:v2"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("embedContent", {"content": {"parts": [{"text": "a"}]}}),
        ("batchEmbedContents", {"requests": [{"content": {"parts": [{"text": "a"}]}}]}),
    ],
)
async def test_vectors(app: WholeApp, hand: Hand, name: str, body: dict[str, Any]) -> None:
    asked = asyncio.create_task(app.client.post(act(name, "sandbox/embed"), json=body))
    job = await hand.claim()
    await hand.end(job, answer=b'{"embedding":{"values":[1.5]}}')

    assert (await asked).json() == {"embedding": {"values": [1.5]}}
    assert await body_of(hand, job.id) == {"model": "sandbox/embed", **body}


async def test_a_stream_has_no_byte_too_many(ask: Ask, hand: Hand) -> None:
    exchange = ask(act(STREAM))
    job = await hand.claim()
    said = [answer("hel", finish=None), answer("l\u2028", finish=None)]
    await hand.say(job, 1, said[0])
    first = await exchange.piece()
    await hand.say(job, 2, said[1])
    await hand.say(job, 3, answer("o", usageMetadata=USAGE), last=True)
    whole = answer("hell\u2028o", usageMetadata=USAGE)
    await hand.end(job, answer=orjson.dumps(whole))
    rest = await exchange.rest()

    assert exchange.status == 200
    assert exchange.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert first == b"data: " + orjson.dumps(said[0]) + b"\r\n\r\n"
    assert events(first + rest) == [*said, answer("o", usageMetadata=USAGE)]
    assert (first + rest).isascii()
    assert await body_of(hand, job.id) == {"model": "sandbox/echo", **HELLO, "stream": True}


async def test_without_alt_it_is_one_array(ask: Ask, hand: Hand) -> None:
    exchange = ask(act("streamGenerateContent"))
    job = await hand.claim()
    await hand.say(job, 1, answer("hel", finish=None))
    await hand.say(job, 2, answer("lo"), last=True)
    await hand.end(job, answer=orjson.dumps(answer("hello")))
    raw = await exchange.rest()

    assert exchange.headers["content-type"] == "application/json; charset=utf-8"
    assert orjson.loads(raw) == [answer("hel", finish=None), answer("lo")]


async def test_a_stream_that_was_lost_ends_with_the_stored_answer(ask: Ask, hand: Hand) -> None:
    exchange = ask(act(STREAM))
    job = await hand.claim()
    await hand.say(job, 1, answer("hel", finish=None))
    first = await exchange.piece()
    await hand.end(job, answer=orjson.dumps(answer("hello", usageMetadata=USAGE)))
    rest = await exchange.rest()

    assert events(first) == [answer("hel", finish=None)]
    assert events(rest) == [answer("lo", usageMetadata=USAGE)]


async def test_a_failure_in_the_middle(ask: Ask, hand: Hand) -> None:
    exchange = ask(act(STREAM))
    job = await hand.claim()
    await hand.say(job, 1, answer("hel", finish=None))
    first = await exchange.piece()
    error = {"code": "unavailable", "message": "the provider went away"}
    await hand.end(job, JobState.FAILED, Reason.ATTEMPTS_EXHAUSTED, error=error)
    (told,) = events(await exchange.rest())

    assert events(first)
    assert told["error"]["code"] == 502
    assert told["error"]["message"] == "the provider went away"


async def test_a_failure_before_anything_was_said_has_its_status(ask: Ask, hand: Hand) -> None:
    exchange = ask(act(STREAM))
    error = {"code": "overloaded", "message": "too much"}
    await hand.end(await hand.claim(), JobState.EXPIRED, Reason.DEADLINE, error=error)
    told = orjson.loads(await exchange.rest())["error"]

    assert exchange.status == told["code"] == 503
    assert exchange.headers["content-type"] == "application/json"
    assert told["status"] == "UNAVAILABLE"
    assert told["details"][1] == {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": "10s",
    }


async def test_later(app: WholeApp) -> None:
    reply = await app.client.post(
        act("generateContent"), json=HELLO, headers={"prefer": "respond-async"}
    )

    assert reply.status_code == 202
    assert reply.json()["endpoint"] == "/v1beta/models/{model}:generateContent"
    assert reply.json()["model"] == "sandbox/echo"


async def test_keys(app: WholeApp, hand: Hand) -> None:
    nobody = app.client_of(None)
    path = act("countTokens")
    refused = await nobody.post(path, json=HELLO)
    wrong = await nobody.post(f"{path}?key=wrong", json=HELLO)
    # Only Google's paths take it there.
    elsewhere = await nobody.get(f"/v1/jobs?key={ADMIN_KEY}")

    async def answered(**more: Any) -> httpx.Response:
        asked = asyncio.create_task(nobody.post(path, json=HELLO, **more))
        await hand.end(await hand.claim(), answer=b'{"totalTokens":3}')
        return await asked

    assert [each.status_code for each in (refused, wrong, elsewhere)] == [401, 401, 401]
    assert refused.json()["error"]["status"] == "UNAUTHENTICATED"
    assert (await answered(params={"key": ADMIN_KEY})).status_code == 200
    assert (await answered(headers={"x-goog-api-key": ADMIN_KEY})).status_code == 200
    assert (await nobody.get("/v1/models", params={"key": ADMIN_KEY})).json()["models"]


async def test_errors_are_googles(app: WholeApp) -> None:
    nothing = await app.client.post(act("generateContent"), json={"contents": []})
    unknown = await app.client.post(act("generateContent", "no/such"), json=HELLO)
    other = await app.client.post(act("predict"), json=HELLO)

    assert nothing.status_code == 400
    assert nothing.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert "`contents`" in nothing.json()["error"]["message"]
    assert (unknown.status_code, unknown.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert other.status_code == 405
    assert "error" in other.json()


async def test_the_answer_goes_on_when_its_key_says_so(app: WholeApp, hand: Hand) -> None:
    headers = {"x-goog-api-key": ADMIN_KEY, "idempotency-key": "one"}
    async with Exchange(app.app, act(STREAM), HELLO, headers) as exchange:
        job = await hand.claim()
        await hand.say(job, 1, answer("hel", finish=None))
        await exchange.piece()
    async with Exchange(app.app, act(STREAM), HELLO, headers) as again:
        assert events(await again.piece()) == [answer("hel", finish=None)]
        await hand.say(job, 2, answer("lo"), last=True)
        await hand.end(job, answer=orjson.dumps(answer("hello")))
        assert events(await again.rest()) == [answer("lo")]


async def test_a_client_that_says_how_long_it_waits_is_answered_before(app: WholeApp) -> None:
    reply = await app.client.post(
        act("generateContent"), json=HELLO, headers={"X-Server-Timeout": "1"}
    )

    assert reply.status_code == 503
    assert reply.json()["error"]["details"][0]["reason"] == "SYNC_TIMEOUT"
