"""`POST /v1/chat/completions`, answered as a whole."""

import asyncio
from typing import Any

import orjson
import pytest
from sqlalchemy.exc import OperationalError

from shared.auth.permissions import Role
from shared.jobs.transitions import JobState, Priority, Reason
from tests.api.openai.direct import ASKED, CHAT, answered, asking
from tests.api.openai.hand import Hand, completion
from tests.api.whole_app import WholeApp


async def test_the_answer_is_the_providers_byte_for_byte(app: WholeApp, hand: Hand) -> None:
    asked = asking(app)
    job = await hand.claim()
    await hand.end(job, answer=completion("hello"))
    reply = await asked

    assert reply.status_code == 200
    assert reply.content == completion("hello")
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["penstock-job-id"] == job.id
    assert int(reply.headers["openai-processing-ms"]) >= 0
    assert reply.headers["x-request-id"].startswith("req_")
    assert job.priority == Priority.INTERACTIVE.rank
    left_s = (await hand.value(job.id, "complete_by") - job.created_at) / 1000
    assert left_s == app.settings.sync_timeout_s


@pytest.mark.parametrize("prefix", ["", "/openai"])
async def test_every_base_url_leads_here(app: WholeApp, hand: Hand, prefix: str) -> None:
    reply = await answered(app, hand, completion("x"), path=prefix + CHAT)

    assert reply.json()["choices"][0]["message"]["content"] == "x"


async def test_a_clients_own_patience_bounds_the_job(app: WholeApp, hand: Hand) -> None:
    asked = asking(app, x_stainless_read_timeout="20")
    job = await hand.claim()
    await hand.end(job, answer=completion("x"))
    await asked

    assert await hand.value(job.id, "complete_by") - job.created_at == 19_000


@pytest.mark.parametrize("said", ["0", "-1", "nan", "inf", "soon"])
async def test_nonsense_about_patience_is_ignored(app: WholeApp, hand: Hand, said: str) -> None:
    asked = asking(app, x_stainless_read_timeout=said)
    await hand.end(await hand.claim(), answer=completion("x"))

    assert (await asked).status_code == 200


@pytest.mark.parametrize(
    ("state", "error", "told"),
    [
        (JobState.FAILED, "bad_request", (400, "bad_request")),
        (JobState.FAILED, "auth_failed", (502, "provider_auth_failed")),
        (JobState.FAILED, "timeout", (504, "timeout")),
        (JobState.EXPIRED, "rate_limited", (503, "rate_limited")),
        (JobState.CANCELLED, "cancelled", (409, "job_cancelled")),
    ],
)
async def test_a_failed_job_is_an_error(
    app: WholeApp, hand: Hand, state: JobState, error: str, told: tuple[int, str]
) -> None:
    asked = asking(app)
    job = await hand.claim()
    shown = {"code": error, "message": "it failed"}
    await hand.end(job, state, Reason.REJECTED, error=shown)
    reply = await asked

    status = reply.status_code
    assert (status, reply.json()["error"]["code"]) == told
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["penstock-job-id"] == job.id
    assert reply.json()["job_id"] == job.id
    if status in {409, 502, 504}:
        assert reply.headers["x-should-retry"] == "false"
        assert "retry-after" not in reply.headers
    if status == 503:
        assert "x-should-retry" not in reply.headers
        assert 1 <= int(reply.headers["retry-after"]) <= 60


async def test_a_refusal_that_is_stored_tells_its_field(app: WholeApp, hand: Hand) -> None:
    asked = asking(app)
    job = await hand.claim()
    refusal = {"error": {"message": "no", "param": "temperature", "code": "out_of_range"}}
    error = {"code": "bad_request", "message": "no", "http_status": 400}
    answer = orjson.dumps(refusal)
    await hand.end(job, JobState.FAILED, Reason.REJECTED, error=error, answer=answer, status=400)
    reply = (await asked).json()

    assert reply["error"] == {
        "message": "no",
        "type": "invalid_request_error",
        "param": "temperature",
        "code": "out_of_range",
        "job_id": job.id,
        "job_status": "failed",
        "job_status_reason": "rejected",
    }


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [{}]}, "model"),
        ({"model": "sandbox/echo"}, "messages"),
        ({"model": "sandbox/echo", "messages": []}, "messages"),
        ({"model": "nobody/knows", "messages": [{}]}, "model"),
    ],
)
async def test_a_field_is_named_as_its_client_knows_it(
    app: WholeApp, body: dict[str, Any], param: str
) -> None:
    reply = await app.client.post(CHAT, json=body)

    assert reply.json()["error"]["param"] == param
    assert reply.status_code == (404 if "knows" in str(body) else 400)


async def test_a_viewer_may_look_but_not_ask(app: WholeApp) -> None:
    viewer = app.client_of(await app.key(Role.VIEWER))

    assert (await viewer.post(CHAT, json=ASKED)).status_code == 403
    assert (await viewer.get("/v1/models")).status_code == 200
    assert (await app.client_of(None).post(CHAT, json=ASKED)).status_code == 401


async def test_respond_async_is_the_answer_of_a_submit(app: WholeApp, hand: Hand) -> None:
    for body in (ASKED, {**ASKED, "stream": True}):
        reply = await asking(app, body, Prefer="respond-async")

        assert (reply.status_code, reply.json()["object"]) == (202, "job")
        assert reply.headers["location"] == f"/v1/jobs/{reply.json()['id']}"
        assert reply.headers["preference-applied"] == "respond-async"
        assert reply.json()["priority"] == "standard"
        assert await hand.job() == reply.json()["id"]


async def test_respond_async_after_a_while(app: WholeApp, hand: Hand) -> None:
    asked = asking(app, Prefer="respond-async, wait=30")
    await hand.end(await hand.claim(), answer=completion("soon"))
    soon = await asked
    late = await asking(app, Prefer="respond-async, wait=1", x_stainless_read_timeout="0.1")

    assert (soon.status_code, soon.content) == (200, completion("soon"))
    assert soon.headers["preference-applied"] == "respond-async, wait=30"
    assert (late.status_code, late.json()["status"]) == (202, "queued")
    assert late.headers["location"] == f"/v1/jobs/{late.json()['id']}"
    assert await hand.state(late.json()["id"]) == "queued", "it goes on"


async def test_one_key_is_one_job(app: WholeApp, hand: Hand) -> None:
    first = asking(app, Idempotency_Key="k")
    job = await hand.claim()
    second = asking(app, Idempotency_Key="k", x_stainless_read_timeout="30")
    await hand.end(job, answer=completion("once"))

    replies = [await first, await second, await asking(app, Idempotency_Key="k")]
    other = await asking(app, {**ASKED, "temperature": 1}, Idempotency_Key="k")

    assert {each.content for each in replies} == {completion("once")}
    assert {each.headers["penstock-job-id"] for each in replies} == {job.id}
    assert replies[2].headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_a_database_that_is_away_for_a_moment_costs_no_answer(
    app: WholeApp, hand: Hand
) -> None:
    reader = app.state["reader"]
    asked = asking(app)
    job = await hand.claim()
    away = Away()
    database, reader._database = reader._database, away
    error = {"code": "bad_request", "message": "no"}
    await hand.end(job, JobState.FAILED, Reason.REJECTED, error=error)
    await asyncio.wait_for(away.asked.wait(), 10)
    reader._database = database

    assert (await asked).status_code == 400


class Away:
    """A database that cannot be reached."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def reading(self) -> Any:
        """Refuse."""
        self.asked.set()
        raise OperationalError("SELECT", None, Exception("gone"))

    looking = reading


async def test_what_is_left_of_the_limits_is_told(app: WholeApp, hand: Hand) -> None:
    limited = await answered(app, hand, completion("x"), {**ASKED, "model": "limited"})
    free = await answered(app, hand, completion("x"))

    shown = {name for name in limited.headers if name.startswith("x-ratelimit")}
    assert len(shown) == 6
    assert limited.headers["x-ratelimit-limit-requests"] == "600"
    assert limited.headers["x-ratelimit-limit-tokens"] == "60000"
    assert limited.headers["x-ratelimit-reset-tokens"] == "1m0s"
    assert not [name for name in free.headers if name.startswith("x-ratelimit")]
