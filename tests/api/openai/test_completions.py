"""`POST /v1/completions`: whole, streamed, later and in a batch."""

import asyncio
from typing import Any

import orjson
import pytest

from shared.jobs.transitions import JobState, Reason
from tests.api.openai.direct import answered, asking
from tests.api.openai.exchange import Exchange, events
from tests.api.openai.hand import USAGE, Hand
from tests.api.openai.test_sdk_errors import sdk_of
from tests.api.whole_app import ADMIN_KEY, WholeApp

PATH = "/v1/completions"
ASKED: dict[str, Any] = {"model": "sandbox/echo", "prompt": "Once upon a time"}
HEAD = {"id": "cmpl-1", "object": "text_completion", "created": 7, "model": "m"}


def said(text: str = "", finish: str | None = None) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": 0, "text": text, "finish_reason": finish}]}


def whole(text: str) -> bytes:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
    return orjson.dumps({**HEAD, "choices": [choice], "usage": USAGE})


def streaming(app: WholeApp, **body: Any) -> Exchange:
    key = {"authorization": f"Bearer {ADMIN_KEY}"}
    return Exchange(app.app, PATH, {**ASKED, "stream": True, **body}, key)


def text_of(rows: list[Any]) -> str:
    return "".join(part["text"] for row in rows for part in row["choices"])


@pytest.mark.parametrize("prefix", ["", "/openai"])
async def test_the_answer_is_the_providers_byte_for_byte(
    app: WholeApp, hand: Hand, prefix: str
) -> None:
    reply = await answered(app, hand, whole("there was"), ASKED, prefix + PATH)

    assert reply.status_code == 200
    assert reply.content == whole("there was")
    assert reply.headers["penstock-job-id"].startswith("job_")


async def test_a_stream_is_passed_on(app: WholeApp, hand: Hand) -> None:
    async with streaming(app, stream_options={"include_usage": True}) as exchange:
        job = await hand.claim()
        await hand.say(job, 1, said("there "))
        first = events(await exchange.piece())
        usage = {**HEAD, "choices": [], "usage": USAGE}
        await hand.say(job, 2, said("was"), said(finish="stop"), usage, last=True)
        await hand.end(job, answer=whole("there was"))
        *rest, last, done = events(await exchange.rest())

    assert exchange.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert text_of(first) == "there "
    assert text_of(first + rest) == "there was"
    assert rest[-1]["choices"][0]["finish_reason"] == "stop"
    assert (last["usage"], last["choices"], done) == (USAGE, [], "[DONE]")


async def test_what_was_not_streamed_comes_from_the_stored_answer(
    app: WholeApp, hand: Hand
) -> None:
    async with streaming(app) as exchange:
        job = await hand.claim()
        await hand.say(job, 1, said("there "))
        first = events(await exchange.piece())
        await hand.end(job, answer=whole("there was"))
        *rest, done = events(await exchange.rest())

    assert text_of(first + rest) == "there was"
    assert done == "[DONE]"
    assert all("usage" not in row for row in rest)


async def test_a_failure_in_the_middle_is_an_event_that_clients_raise(
    app: WholeApp, hand: Hand
) -> None:
    async with streaming(app) as exchange:
        job = await hand.claim()
        await hand.say(job, 1, said("there "))
        await exchange.piece()
        shown = {"code": "timeout", "message": "it was cut"}
        await hand.end(job, JobState.FAILED, Reason.REJECTED, error=shown)
        (event,) = events(await exchange.rest())

    assert event["error"]["code"] == "timeout"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "sandbox/echo"}, "prompt"),
        ({**ASKED, "prompt": ""}, "prompt"),
        ({**ASKED, "prompt": [1, "a"]}, "prompt"),
        ({**ASKED, "n": 0}, "n"),
        ({**ASKED, "stream": "yes"}, "stream"),
        ({"prompt": "x"}, "model"),
    ],
)
async def test_a_bad_body_is_refused_by_the_name_of_its_key(
    app: WholeApp, body: dict[str, Any], param: str
) -> None:
    reply = await app.client.post(PATH, json=body)

    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param


async def test_it_can_be_asked_for_later(app: WholeApp, hand: Hand) -> None:
    reply = await app.client.post(PATH, json=ASKED, headers={"Prefer": "respond-async"})
    assert reply.status_code == 202
    job_id = reply.json()["id"]

    await hand.end(await hand.claim(job_id), answer=whole("there was"))
    job = (await app.client.get(f"/v1/jobs/{job_id}")).json()

    assert (job["endpoint"], job["status"]) == (PATH, "completed")
    assert job["result"]["body"]["choices"][0]["text"] == "there was"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_of_chats_is_asked_in_its_own_dialect(
    app: WholeApp, *, stream: bool
) -> None:
    body = {**ASKED, "stream": stream}
    submitted = await app.client.post("/v1/jobs", json={"endpoint": PATH, "body": body})
    await app.work(submitted.json()["id"])
    job = (await app.client.get(submitted.headers["location"])).json()

    answer = job["result"]["body"]
    assert answer["object"] == "text_completion"
    assert answer["id"].startswith("cmpl-")
    assert "Once upon a time" in answer["choices"][0]["text"]
    assert answer["usage"]["total_tokens"] > 0


async def test_what_no_conversation_says_is_refused_by_the_provider_of_chats(app: WholeApp) -> None:
    body = {**ASKED, "echo": True}
    asked = asking(app, body, PATH)
    jobs: list[str] = []
    while not jobs:
        listed = await app.client.get("/v1/jobs")
        jobs = [each["id"] for each in listed.json()["data"]]
        await asyncio.sleep(0)
    await app.work(jobs[0])
    reply = await asked

    assert reply.status_code in {400, 422}
    assert "echo" in reply.json()["error"]["message"]


async def test_openais_own_client_reads_it(app: WholeApp, hand: Hand) -> None:
    async with sdk_of(app) as client:
        asking = asyncio.create_task(client.completions.create(**ASKED))
        await hand.end(await hand.claim(), answer=whole("there was"))
        answer = await asking
        streaming = asyncio.create_task(client.completions.create(**ASKED, stream=True))
        job = await hand.claim()
        await hand.say(job, 1, said("there "), said("was"), said(finish="stop"), last=True)
        await hand.end(job, answer=whole("there was"))
        events = [event async for event in await streaming]

    assert (answer.choices[0].text, answer.object) == ("there was", "text_completion")
    assert "".join(event.choices[0].text for event in events) == "there was"
    assert [event.choices[0].finish_reason for event in events] == [None, None, "stop"]


async def test_a_line_of_a_batch_may_ask_for_it(app: WholeApp) -> None:
    line = {"custom_id": "one", "method": "POST", "url": PATH, "body": ASKED}
    bad = {**line, "custom_id": "two", "body": {"model": "sandbox/echo", "prompt": []}}

    reply = await app.client.post("/v1/batches", json={"requests": [line], "dry_run": True})
    refused = await app.client.post("/v1/batches", json={"requests": [line, bad], "dry_run": True})

    assert (reply.json()["object"], reply.json()["valid"]) == ("batch.dry_run", True)
    assert "prompt" in refused.text
    assert not refused.json()["valid"]
