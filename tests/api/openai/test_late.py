"""No answer in time: why the job waits, and which it is, in the words of each SDK."""

from typing import Any

import httpx
import pytest

from api.direct import vigil
from shared.jobs.transitions import JobState, Reason
from tests.api.openai.direct import Ask, asking, begun
from tests.api.openai.exchange import events
from tests.api.openai.hand import Hand
from tests.api.whole_app import WholeApp

TURNS = [{"role": "user", "content": "hi"}]
CHAT = {"model": "sandbox/echo", "messages": TURNS}
GOOGLES = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
SURFACES: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", CHAT),
    "responses": ("/v1/responses", {"model": "sandbox/echo", "input": "hi"}),
    "anthropic": ("/anthropic/v1/messages", {**CHAT, "max_tokens": 9}),
    "gemini": ("/gemini/v1beta/models/sandbox/echo:generateContent", GOOGLES),
    "mistral": ("/mistral/v1/chat/completions", CHAT),
}


def about(surface: str, reply: httpx.Response) -> dict[str, Any]:
    """Return what the surface's error says of the job, and its message."""
    body: dict[str, Any] = reply.json()
    if surface == "anthropic":
        error = body["error"]
        return {**error["details"], "message": error["message"]}
    if surface == "gemini":
        error = body["error"]
        return {**error["details"][0]["metadata"], "message": error["message"]}
    return dict(body if surface == "mistral" else body["error"])


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server that is told to stop not wait for its calls."""
    monkeypatch.setattr(vigil, "GRACE_S", 0.0)


@pytest.mark.parametrize("surface", SURFACES)
async def test_each_surface_says_why_the_job_waits(app: WholeApp, hand: Hand, surface: str) -> None:
    path, body = SURFACES[surface]
    asked = asking(app, body, path, x_stainless_read_timeout="2.4")
    job = await hand.claim()
    await hand.end(job, JobState.QUEUED, Reason.RATE_LIMITED, delay_ms=30_000, waited=True)
    reply = await asked

    assert reply.status_code == 503
    assert reply.headers["penstock-job-id"] == job.id
    assert 20 <= int(reply.headers["retry-after"]) <= 30
    said = about(surface, reply)
    assert (said["job_id"], said["job_status"]) == (job.id, "waiting")
    assert said["job_status_reason"] == "rate_limited"
    assert said["message"].startswith("There was no answer within 1.4 seconds.")
    assert f"The job {job.id} is waiting: the limit of its requests or tokens" in said["message"]
    await hand.stopped(job.id)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason.CONCURRENCY, "as many calls as may be made at once"),
        (Reason.PROVIDER_DOWN, "fails and is left alone"),
        (Reason.PROVIDER_PAUSED, "asked to be left alone"),
        (Reason.OVERLOADED, "is overloaded"),
        (Reason.QUOTA_EXHAUSTED, "quota is used up"),
        (Reason.BACKOFF, "is to be repeated"),
        (Reason.LIMITER_UNAVAILABLE, "cannot be asked for"),
    ],
)
async def test_every_reason_has_its_words(
    app: WholeApp, hand: Hand, hurried: None, reason: Reason, words: str
) -> None:
    asked = asking(app)
    job = await hand.claim()
    await hand.end(job, JobState.QUEUED, reason, delay_ms=30_000, waited=True)
    app.state["waiting"].leave()
    error = (await asked).json()["error"]

    assert (error["code"], error["job_status_reason"]) == ("shutting_down", reason)
    assert words in error["message"]


async def test_a_call_that_is_under_way_waits_for_its_provider(
    app: WholeApp, hand: Hand, hurried: None
) -> None:
    asked = asking(app)
    job = await hand.claim()
    app.state["waiting"].leave()
    error = (await asked).json()["error"]

    assert (error["job_id"], error["job_status"]) == (job.id, "running")
    assert "has not answered" in error["message"]


async def test_nobody_may_have_taken_it(app: WholeApp, hand: Hand, hurried: None) -> None:
    asked = asking(app)
    await hand.job()
    app.state["waiting"].leave()
    error = (await asked).json()["error"]

    assert (error["job_status"], error["job_status_reason"]) == ("queued", None)
    assert "no worker has taken it yet" in error["message"]


async def test_a_stream_that_is_late_says_so_too(
    app: WholeApp, ask: Ask, hand: Hand, hurried: None
) -> None:
    exchange, job, _ = await begun(ask, hand, "half")
    app.state["waiting"].leave()

    (told,) = [each for each in events(await exchange.rest()) if "error" in each]
    assert told["error"]["code"] == "shutting_down"
    assert (told["error"]["job_id"], told["error"]["job_status"]) == (job.id, "running")
