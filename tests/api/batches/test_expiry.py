"""Time is over: what ended is kept, the rest has expired, and each protocol says so in its words."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from shared.clock import now_ms
from shared.jobs.transitions import JobState, Reason
from tests.api.anthropic.messages import ANSWER, ASKED
from tests.api.batches.clerk import line
from tests.api.batches.leading import jobs, lead, let_time_pass, read
from tests.api.documented import Checked
from tests.api.gemini.asking import HELLO, answer
from tests.api.openai.hand import Hand, a_hand, completion
from tests.api.whole_app import WholeApp

Json = dict[str, Any]
MESSAGES = "/v1/messages/batches"
GOOGLES = "/v1beta"
MISTRALS = "/v1/batch/jobs"
DAY_MS = 24 * 3600 * 1000


@pytest.fixture(autouse=True)
def checked(app: WholeApp) -> None:
    """Hold every answer against the document."""
    app.client._transport = Checked(app.client._transport)


@pytest.fixture
async def hand(app: WholeApp) -> AsyncIterator[Hand]:
    async with a_hand(app.settings) as hand:
        yield hand


async def post(app: WholeApp, path: str, **body: Any) -> Json:
    reply = await app.client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    made: Json = reply.json()
    return made


async def got(app: WholeApp, path: str) -> Json:
    reply = await app.client.get(path)
    assert reply.status_code == 200, reply.text
    told: Json = reply.json()
    return told


async def expire(app: WholeApp, hand: Hand, *, done: str, stuck: str, said: bytes) -> None:
    """Have one line done in time; one is being called when time is over, and one still waits."""
    await read(app)
    named = await jobs(app)
    await hand.end(await hand.claim(named[done]), answer=said)
    called = await hand.claim(named[stuck])
    await let_time_pass(app)
    await hand.end(called, JobState.EXPIRED, Reason.DEADLINE)
    await lead(app)


async def test_openais(app: WholeApp, hand: Hand) -> None:
    made = await post(app, "/v1/batches", requests=[line(each) for each in "abc"])
    await expire(app, hand, done="b", stuck="a", said=completion("in time"))
    over = await got(app, f"/v1/batches/{made['id']}")
    files = [over["output_file_id"], over["error_file_id"]]
    raws = [(await app.client.get(f"/v1/files/{each}/content")).content for each in files]
    output, errors = ([orjson.loads(each) for each in raw.splitlines()] for raw in raws)

    assert (over["status"], over["expired_at"] is None) == ("expired", False)
    assert over["request_counts"] == {"total": 3, "completed": 1, "failed": 2}
    assert [each["custom_id"] for each in output] == ["b"]
    assert {each["custom_id"] for each in errors} == {"a", "c"}
    assert {each["error"]["code"] for each in errors} == {"batch_expired"}


async def test_anthropics(app: WholeApp, hand: Hand) -> None:
    asked = [{"custom_id": each, "params": ASKED} for each in "abc"]
    made = await post(app, MESSAGES, requests=asked)
    await expire(app, hand, done="b", stuck="a", said=ANSWER)
    over = await got(app, f"{MESSAGES}/{made['id']}")
    raw = (await app.client.get(over["results_url"])).content
    results = {each["custom_id"]: each["result"] for each in map(orjson.loads, raw.splitlines())}

    assert over["processing_status"] == "ended"
    assert over["request_counts"] == {
        "processing": 0,
        "succeeded": 1,
        "errored": 0,
        "canceled": 0,
        "expired": 2,
    }
    assert (over["cancel_initiated_at"], over["ended_at"] is None) == (None, False)
    assert results["b"]["type"] == "succeeded"
    assert results["a"] == results["c"] == {"type": "expired"}


async def test_googles(app: WholeApp, hand: Hand) -> None:
    given = [{"request": HELLO, "metadata": {"key": each}} for each in "abc"]
    path = f"{GOOGLES}/models/priced:batchGenerateContent"
    made = await post(app, path, batch={"inputConfig": {"requests": {"requests": given}}})
    await expire(app, hand, done="2", stuck="1", said=orjson.dumps(answer("in time")))
    over = await got(app, f"{GOOGLES}/{made['name']}")

    assert (over["done"], over["metadata"]["state"]) == (True, "BATCH_STATE_EXPIRED")
    assert "error" not in over
    assert over["metadata"]["batchStats"] == {
        "requestCount": "3",
        "pendingRequestCount": "0",
        "successfulRequestCount": "1",
        "failedRequestCount": "2",
    }
    first, second, third = over["response"]["inlinedResponses"]["inlinedResponses"]
    assert second == {"response": answer("in time"), "metadata": {"key": "b"}}
    for each, key in ((first, "a"), (third, "c")):
        # google.rpc.Code.DEADLINE_EXCEEDED
        assert (each["error"]["code"], each["metadata"]) == (4, {"key": key})


async def test_mistrals(app: WholeApp, hand: Hand) -> None:
    requests = [{"custom_id": each, "body": {"messages": [HI]}} for each in "abc"]
    asked = {"endpoint": "/v1/chat/completions", "model": "sandbox/echo", "timeout_hours": 3}
    made = await post(app, MISTRALS, requests=requests, **asked)
    batch = await got(app, f"/v1/batches/{made['id']}")
    await expire(app, hand, done="b", stuck="a", said=completion("in time"))
    over = await got(app, f"{MISTRALS}/{made['id']}?inline=true")
    listed = await got(app, f"{MISTRALS}?status=TIMEOUT_EXCEEDED")

    assert batch["expires_at"] - batch["created_at"] == 3 * 3600
    assert over["status"] == "TIMEOUT_EXCEEDED"
    counts = [over[f"{name}_requests"] for name in ("total", "completed", "succeeded", "failed")]
    assert counts == [3, 3, 1, 2]
    assert over["output_file"]
    assert over["error_file"]
    codes = {each["custom_id"]: each["error"] and each["error"]["code"] for each in over["outputs"]}
    assert codes == {"a": "batch_expired", "b": None, "c": "batch_expired"}
    assert [each["id"] for each in listed["data"]] == [made["id"]]


HI = {"role": "user", "content": "hi"}


async def test_before_a_line_was_read(app: WholeApp) -> None:
    """Nobody looked at the lines in time: what was found right before has expired, the rest is left out."""
    anthropics = await post(app, MESSAGES, requests=[{"custom_id": "a", "params": ASKED}])
    path = f"{GOOGLES}/models/priced:batchGenerateContent"
    config = {"requests": {"requests": [{"request": HELLO}]}}
    googles = await post(app, path, batch={"inputConfig": config})
    asked = {"endpoint": "/v1/chat/completions", "model": "sandbox/echo"}
    mistrals = await post(app, MISTRALS, requests=[{"body": {"messages": [HI]}}], **asked)
    await let_time_pass(app)
    await read(app)
    await let_time_pass(app)

    ended = await got(app, f"{MESSAGES}/{anthropics['id']}")
    assert (ended["processing_status"], ended["request_counts"]["expired"]) == ("ended", 1)
    over = await got(app, f"{GOOGLES}/{googles['name']}")
    assert (over["done"], over["metadata"]["state"]) == (True, "BATCH_STATE_EXPIRED")
    (outcome,) = over["response"]["inlinedResponses"]["inlinedResponses"]
    assert outcome["error"]["code"] == 4
    job = await got(app, f"{MISTRALS}/{mistrals['id']}")
    assert (job["status"], job["total_requests"]) == ("TIMEOUT_EXCEEDED", 0)
    assert "time" in job["errors"][0]["message"]


async def test_a_days_time_is_what_they_have(app: WholeApp) -> None:
    anthropics = await post(app, MESSAGES, requests=[{"custom_id": "a", "params": ASKED}])
    (batch,) = (await got(app, "/v1/batches"))["data"]
    left_ms = batch["expires_at"] * 1000 - now_ms()

    assert abs(left_ms - DAY_MS) < 60_000
    assert anthropics["expires_at"].endswith("Z")
