"""`POST /v1/messages`, whole answers: what goes in, what comes out, and how it fails."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from api.anthropic.version import BETAS
from shared.auth.permissions import Role
from shared.clock import now_ms
from shared.jobs.transitions import JobState, Reason
from tests.api.anthropic.messages import ANSWER, ASKED, MESSAGE, PATH
from tests.api.openai.hand import Hand
from tests.api.whole_app import ADMIN_KEY, WholeApp


def asking(app: WholeApp, path: str = PATH, **headers: str) -> "asyncio.Task[httpx.Response]":
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.create_task(app.client.post(path, json=ASKED, headers=named, timeout=60))


@pytest.mark.parametrize("path", [PATH, f"/anthropic{PATH}"])
async def test_the_answer_is_the_providers_own(app: WholeApp, hand: Hand, path: str) -> None:
    asked = asking(app, path, anthropic_version="2026-10-21", anthropic_beta="a-1,b-2")
    job = await hand.claim()
    await hand.end(job, answer=ANSWER)
    reply = await asked

    assert (reply.status_code, reply.content) == (200, ANSWER)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["request-id"] == reply.headers["x-request-id"]
    assert reply.headers["penstock-job-id"] == job.id
    assert not [name for name in reply.headers if name.startswith(("openai-", "x-ratelimit-"))]
    assert await hand.value(job.id, "endpoint") == PATH
    assert orjson.loads(job.body or b"")[BETAS] == ["a-1", "b-2"]


async def test_either_header_carries_the_key(app: WholeApp, hand: Hand) -> None:
    nobody = app.client_of(None)
    for headers in ({"x-api-key": ADMIN_KEY}, {"authorization": f"Bearer {ADMIN_KEY}"}):
        asked = asyncio.create_task(nobody.post(PATH, json=ASKED, headers=headers))
        await hand.end(await hand.claim(), answer=ANSWER)
        assert (await asked).json() == MESSAGE


async def test_limits_are_told_as_anthropic_tells_them(app: WholeApp, hand: Hand) -> None:
    asked = asyncio.create_task(app.client.post(PATH, json={**ASKED, "model": "limited"}))
    await hand.end(await hand.claim(), answer=ANSWER)
    headers = (await asked).headers

    told = {name for name in headers if name.startswith("anthropic-ratelimit-")}
    assert told == {
        f"anthropic-ratelimit-{unit}-{what}"
        for unit in ("requests", "tokens")
        for what in ("limit", "remaining", "reset")
    }
    assert headers["anthropic-ratelimit-requests-limit"] == "600"
    reset = datetime.fromisoformat(headers["anthropic-ratelimit-tokens-reset"])
    assert reset.tzinfo == UTC
    assert abs(reset.timestamp() * 1000 - now_ms()) < 120_000


async def test_not_now(app: WholeApp) -> None:
    reply = await app.client.post(PATH, json=ASKED, headers={"Prefer": "respond-async"})

    assert reply.status_code == 202
    assert reply.headers["location"] == f"/v1/jobs/{reply.json()['id']}"
    assert reply.json()["endpoint"] == PATH
    assert "request-id" in reply.headers


async def test_tokens_are_counted_by_a_job_too(app: WholeApp, hand: Hand) -> None:
    body = {"model": "sandbox/echo", "messages": ASKED["messages"]}
    asked = asyncio.create_task(app.client.post(f"{PATH}/count_tokens", json=body))
    job = await hand.claim()
    await hand.end(job, answer=b'{"input_tokens":7}')

    assert (await asked).json() == {"input_tokens": 7}
    assert await hand.value(job.id, "endpoint") == f"{PATH}/count_tokens"


async def refused(app: WholeApp, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = await app.client.post(PATH, json=ASKED if body is None else body, headers=named)
    told = reply.json()
    assert told["type"] == "error"
    assert told["request_id"] == reply.headers["request-id"]
    return reply.status_code, told["error"]


async def test_what_is_wrong_is_told_in_the_callers_dialect(app: WholeApp) -> None:
    status, error = await refused(app, {**ASKED, "max_tokens": "many"})
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert error["details"]["param"] == "max_tokens"
    assert "max_tokens" in error["message"]

    status, error = await refused(app, {**ASKED, "model": "nobody"})
    assert (status, error["type"]) == (404, "not_found_error")
    assert error["details"]["error_code"] == "model_not_found"

    status, error = await refused(app, anthropic_version="1999-01-01")
    assert (status, error["details"]["param"]) == (400, "anthropic-version")

    status, error = await refused(
        app, {**ASKED, "temperature": 0.5}, anthropic_version="2026-10-21"
    )
    assert (status, error["details"]["param"]) == (400, "temperature")


async def test_strangers_and_viewers(app: WholeApp) -> None:
    nobody = await app.client_of(None).post(PATH, json=ASKED)
    viewer = await app.client_of(await app.key(Role.VIEWER)).post(PATH, json=ASKED)

    assert (nobody.status_code, nobody.json()["error"]["type"]) == (401, "authentication_error")
    assert (viewer.status_code, viewer.json()["error"]["type"]) == (403, "permission_error")


async def test_what_only_the_second_version_refuses_is_asked_under_the_first(
    app: WholeApp, hand: Hand
) -> None:
    body = {**ASKED, "temperature": 0.5, "top_k": 3}
    asked = asyncio.create_task(
        app.client.post(PATH, json=body, headers={"anthropic-version": "2023-06-01"})
    )
    job = await hand.claim()
    await hand.end(job, answer=ANSWER)

    assert (await asked).status_code == 200
    stored = orjson.loads(job.body or b"")
    assert stored == body


FAILURES: list[tuple[str, int, str]] = [
    ("context_too_long", 400, "invalid_request_error"),
    ("model_not_found", 404, "not_found_error"),
    ("auth_failed", 502, "api_error"),
    ("timeout", 504, "timeout_error"),
]


@pytest.mark.parametrize(("code", "status", "kind"), FAILURES)
async def test_what_the_provider_did_not_do(
    app: WholeApp, hand: Hand, code: str, status: int, kind: str
) -> None:
    asked = asking(app)
    error = {"code": code, "message": "It did not."}
    await hand.end(await hand.claim(), JobState.FAILED, Reason.ATTEMPTS_EXHAUSTED, error=error)
    reply = await asked

    assert (reply.status_code, reply.json()["error"]["type"]) == (status, kind)
    assert reply.json()["error"]["message"] == "It did not."
    assert (reply.headers.get("x-should-retry") == "false") == (status >= 500)


async def test_no_room_in_time_is_an_overload_to_come_back_from(app: WholeApp, hand: Hand) -> None:
    asked = asking(app)
    error = {"code": "overloaded", "message": "Everything is full."}
    await hand.end(await hand.claim(), JobState.EXPIRED, Reason.DEADLINE, error=error)
    reply = await asked

    assert (reply.status_code, reply.json()["error"]["type"]) == (503, "overloaded_error")
    assert reply.headers["retry-after"] == "10"
