"""What OpenAI's own SDK makes of our errors: each of its exception classes, once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from shared.auth.permissions import Role
from shared.jobs.transitions import JobState, Reason
from tests.api.openai.hand import Hand, completion
from tests.api.whole_app import ADMIN_KEY, WholeApp, whole_app

ASKED: Any = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hi"}]}
Sdk = Callable[..., AsyncOpenAI]


def sdk_of(app: WholeApp, key: str = ADMIN_KEY, **options: Any) -> AsyncOpenAI:
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app.app))
    made = {"base_url": "http://penstock/v1", "max_retries": 0, **options}
    return AsyncOpenAI(api_key=key, http_client=http, **made)


@pytest.fixture
async def client(app: WholeApp) -> AsyncIterator[AsyncOpenAI]:
    async with sdk_of(app) as client:
        yield client


async def failing(
    client: AsyncOpenAI, hand: Hand, state: JobState, code: str, **error: Any
) -> openai.APIStatusError:
    """Ask, have the job fail, and return what the SDK raises."""
    asked = asyncio.create_task(client.chat.completions.create(**ASKED))
    shown = {"code": code, "message": "it failed", **error}
    await hand.end(await hand.claim(), state, Reason.REJECTED, error=shown)
    with pytest.raises(openai.APIStatusError) as raised:
        await asked
    return raised.value


@pytest.mark.parametrize(
    ("state", "code", "told"),
    [
        (JobState.FAILED, "context_too_long", (openai.BadRequestError, "context_length_exceeded")),
        (JobState.FAILED, "model_not_found", (openai.NotFoundError, "model_not_found")),
        (JobState.CANCELLED, "cancelled", (openai.ConflictError, "job_cancelled")),
        (JobState.FAILED, "auth_failed", (openai.InternalServerError, "provider_auth_failed")),
        (JobState.FAILED, "timeout", (openai.InternalServerError, "timeout")),
        (JobState.EXPIRED, "rate_limited", (openai.InternalServerError, "rate_limited")),
    ],
)
async def test_a_job_that_failed(
    client: AsyncOpenAI, hand: Hand, state: JobState, code: str, told: tuple[type, str]
) -> None:
    error = await failing(client, hand, state, code)

    assert type(error) is told[0]
    assert error.code == told[1]
    assert "it failed" in error.message
    assert error.request_id is not None
    assert error.request_id.startswith("req_")


async def test_a_refusal_with_a_status_of_its_own(client: AsyncOpenAI, hand: Hand) -> None:
    entity = await failing(client, hand, JobState.FAILED, "bad_request", http_status=422)
    large = await failing(client, hand, JobState.FAILED, "bad_request", http_status=413)

    assert type(entity) is openai.UnprocessableEntityError
    assert type(large) is openai.APIStatusError
    assert large.status_code == 413


async def test_keys_that_may_not(app: WholeApp) -> None:
    with pytest.raises(openai.AuthenticationError) as nobody:
        await sdk_of(app, "pk_wrong").chat.completions.create(**ASKED)
    with pytest.raises(openai.PermissionDeniedError):
        await sdk_of(app, await app.key(Role.VIEWER)).chat.completions.create(**ASKED)

    assert nobody.value.code == "invalid_api_key"


async def test_a_tenant_that_has_too_much_waiting(
    tmp_path: Path, sqlite_url: str, redis_url: str
) -> None:
    async with whole_app(
        tmp_path, database_url=sqlite_url, redis_url=redis_url, max_queued_jobs_per_tenant=0
    ) as app:
        with pytest.raises(openai.RateLimitError) as raised:
            await sdk_of(app).chat.completions.create(**ASKED)

    assert raised.value.code == "queue_full"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("length", openai.LengthFinishReasonError),
        ("content_filter", openai.ContentFilterFinishReasonError),
    ],
)
async def test_an_answer_that_ends_early(
    client: AsyncOpenAI, hand: Hand, reason: str, error: type[Exception]
) -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    asked = asyncio.create_task(client.chat.completions.parse(**ASKED, response_format=wanted))
    answer = completion("{").replace(b'"stop"', b'"%b"' % reason.encode())
    await hand.end(await hand.claim(), answer=answer)

    with pytest.raises(error):
        await asked


@pytest.mark.parametrize(
    ("state", "code", "calls"),
    [
        (JobState.FAILED, "unavailable", 1),
        (JobState.CANCELLED, "cancelled", 1),
    ],
)
async def test_what_we_tried_is_not_tried_by_the_sdk_again(
    app: WholeApp, hand: Hand, state: JobState, code: str, calls: int
) -> None:
    client = sdk_of(app, max_retries=2)

    error = await failing(client, hand, state, code)

    assert error.response.headers["x-should-retry"] == "false"
    listed = (await app.client.get("/v1/jobs")).json()["data"]
    assert len(listed) == calls


async def test_what_may_go_better_soon_is_tried_again(app: WholeApp) -> None:
    # A server that is being stopped asks to come back after a second, to another one.
    app.state["waiting"].leave()

    with pytest.raises(openai.InternalServerError) as raised:
        await sdk_of(app, max_retries=1).chat.completions.create(**ASKED, timeout=0.1)

    assert raised.value.code == "shutting_down"
    assert raised.value.response.headers["retry-after"] == "1"
    assert len((await app.client.get("/v1/jobs")).json()["data"]) == 2
