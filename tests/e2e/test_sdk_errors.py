"""Everything that can go wrong, as the exception classes of the official SDK tell it."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import MODEL, MOST_QUEUED
from tests.e2e.sdk import Sdk, SdkError
from tests.fakes.upstream_client import Upstream, rule
from tests.integration.cli.processes import await_that

pytestmark = pytest.mark.timeout(300)


def asked(text: str, **more: object) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


def refused(sdk: Sdk, *args: object, _act: str = "chat", **more: object) -> SdkError:
    with pytest.raises(SdkError) as caught:
        sdk.do(_act, *args, **more)
    return caught.value


@pytest.fixture(params=["chat", "stream"])
def act(request: pytest.FixtureRequest) -> str:
    """A failure before the first chunk has its own status, for those who stream too."""
    return str(request.param)


def test_bad_request_by_us(sdk: Sdk, act: str) -> None:
    error = refused(sdk, _act=act, **asked("hello") | {"messages": "hello"})

    assert error.classes[0] == "BadRequestError"
    assert (error.status, error.type, error.param) == (400, "invalid_request_error", "messages")
    assert "must be an array" in error.message
    assert error.request_id == error.headers["x-request-id"]


def test_bad_request_by_the_provider(sdk: Sdk, upstream: Upstream, act: str) -> None:
    told = {"message": "too long", "type": "invalid_request_error"}
    told |= {"param": "messages", "code": "context_length_exceeded"}
    upstream.script(rule("status", status=400, body={"error": told}))
    error = refused(sdk, _act=act, **asked("hello"))

    assert error.classes[0] == "BadRequestError"
    assert (error.status, error.code) == (400, "context_length_exceeded")


def test_unprocessable_by_the_provider(sdk: Sdk, upstream: Upstream, act: str) -> None:
    upstream.script(rule("status", status=422, body={"error": {"message": "no such voice"}}))
    error = refused(sdk, _act=act, **asked("hello"))

    assert error.classes[0] == "UnprocessableEntityError"
    assert "no such voice" in error.message


def test_authentication(sdk: Sdk, act: str) -> None:
    error = refused(sdk, _act=act, _options={"api_key": "pk_wrong"}, **asked("hello"))

    assert error.classes[0] == "AuthenticationError"
    assert (error.status, error.code) == (401, "invalid_api_key")


def test_permission_denied(sdk: Sdk, http: httpx.Client, act: str) -> None:
    made = http.post("/v1/keys", json={"name": "reader", "role": "viewer"}).json()
    error = refused(sdk, _act=act, _options={"api_key": made["key"]}, **asked("hello"))

    assert error.classes[0] == "PermissionDeniedError"
    assert error.status == 403


def test_not_found(sdk: Sdk, act: str) -> None:
    error = refused(sdk, _act=act, **asked("hello") | {"model": "nobody/knows"})
    other = refused(sdk, "nobody/knows:this one", _act="model")

    for each in (error, other):
        assert each.classes[0] == "NotFoundError"
        assert (each.status, each.code) == (404, "model_not_found")


def test_conflict(sdk: Sdk, upstream: Upstream, http: httpx.Client, act: str) -> None:
    text = f"to be cancelled {sdk.name} {act}"
    upstream.script(rule("gate", marker=text))
    headers = {"Idempotency-Key": text}
    sdk.begin(act, **asked(text, extra_headers=headers))
    upstream.wait(lambda seen: seen["gated"] > 0)
    (job,) = http.get("/v1/jobs?status=running").json()["data"]
    http.post(f"/v1/jobs/{job['id']}/cancel").raise_for_status()
    with pytest.raises(SdkError) as caught:
        sdk.end()

    assert caught.value.classes[0] == "ConflictError"
    assert (caught.value.status, caught.value.code) == (409, "job_cancelled")
    assert caught.value.headers["x-should-retry"] == "false"


def test_unprocessable_by_us(sdk: Sdk, upstream: Upstream, act: str) -> None:
    headers = {"Idempotency-Key": f"twice {sdk.name} {act}"}
    sdk.do(act, **asked("the first time", extra_headers=headers))
    error = refused(sdk, _act=act, **asked("another thing", extra_headers=headers))

    assert error.classes[0] == "UnprocessableEntityError"
    assert error.status == 422


@pytest.fixture
def full_queue(http: httpx.Client) -> Iterator[None]:
    """As many jobs as one tenant may have queued."""
    at = (datetime.now(tz=UTC) + timedelta(hours=1)).isoformat()
    body = {"endpoint": "/v1/chat/completions", "body": asked("later"), "scheduled_at": at}
    ids = []
    while (response := http.post("/v1/jobs", json=body)).status_code == 202:
        ids.append(response.json()["id"])
        assert len(ids) <= MOST_QUEUED
    assert response.status_code == 429, response.text
    yield
    for job_id in ids:
        http.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
    # The room that they took is counted again now and then.
    await_that(lambda: http.post("/v1/chat/completions", json=asked("room")).is_success)


def test_rate_limit(sdk: Sdk, upstream: Upstream, full_queue: None, act: str) -> None:
    error = refused(sdk, _act=act, **asked("one too many"))

    assert error.classes[0] == "RateLimitError"
    assert (error.status, error.type) == (429, "rate_limit_error")
    assert 1 <= int(error.headers["retry-after"]) <= 60


def test_internal_server_error(sdk: Sdk, upstream: Upstream) -> None:
    upstream.script(rule("status", status=401, body={"error": {"message": "no such key"}}))
    model = f"barred-{sdk.name}"
    error = refused(sdk, _options={"max_retries": 2}, **asked("hello") | {"model": model})

    assert error.classes[0] == "InternalServerError"
    assert (error.status, error.code) == (502, "provider_auth_failed")
    # The SDK was told that it is of no use to try again.
    assert error.headers["x-should-retry"] == "false"
    assert len(upstream.calls(model=model)) == 1


def test_the_provider_is_busy_for_longer_than_we_wait(sdk: Sdk, upstream: Upstream) -> None:
    upstream.script(rule("status", status=503, headers={"retry-after": "0"}))
    model = f"busy-{sdk.name}"
    error = refused(sdk, _options={"timeout": 4}, **asked("hello") | {"model": model})

    assert error.classes[0] == "InternalServerError"
    assert error.status in {503, 504}
    assert 1 <= int(error.headers["retry-after"]) <= 60


def test_no_answer_in_the_clients_time(sdk: Sdk, upstream: Upstream, http: httpx.Client) -> None:
    upstream.script(rule("hang"))
    error = refused(sdk, _options={"timeout": 2}, **asked(f"hang {sdk.name}"))

    assert error.classes[0] == "InternalServerError"
    assert (error.status, error.code) == (503, "sync_timeout")
    assert "is cancelled" in error.message
    left_alone(upstream, f"hang {sdk.name}")


def test_the_client_gives_up_first(sdk: Sdk, upstream: Upstream, act: str) -> None:
    text = f"impatient {sdk.name} {act}"
    upstream.script(rule("hang"))
    # It claims to have more patience than it has.
    headers = {"x-stainless-read-timeout": "600"}
    error = refused(sdk, _act=act, _options={"timeout": 1}, **asked(text, extra_headers=headers))

    assert error.classes[0] == "APITimeoutError"
    assert "APIConnectionError" in error.classes
    left_alone(upstream, text)


def test_a_retry_of_the_sdk_is_welcome(sdk: Sdk, upstream: Upstream, full_queue: None) -> None:
    began = time.monotonic()
    refused(sdk, _options={"max_retries": 1}, **asked("one too many"))

    # It waited as long as it was told.
    assert time.monotonic() - began >= 1


def left_alone(upstream: Upstream, text: str) -> None:
    """See that the provider's call was closed, and not repeated."""
    await_that(lambda: all(call.get("client_gone") for call in upstream.calls(marker=text)))
    assert len(upstream.calls(marker=text)) == 1
