"""What the service delivers, verified by what receivers use: three libraries, one of them in two majors."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook as StandardWebhook
from standardwebhooks.webhooks import WebhookVerificationError
from svix.webhooks import Webhook as SvixWebhook

from shared.webhooks.signing import signed_headers
from tests.e2e.conftest import MODEL
from tests.e2e.sdk import MAJORS, Sdk, SdkError
from tests.e2e.service import Up
from tests.fakes.receiver import Received, Receiver
from tests.fakes.upstream_client import Upstream

pytestmark = pytest.mark.timeout(300)

NAME = "Zoë, कमल, 鴨川旅館, \u2028 and 🦆"
Verify = Callable[[str, bytes, Mapping[str, str]], Any]


def by_standardwebhooks(secret: str, body: bytes, headers: Mapping[str, str]) -> Any:
    return StandardWebhook(secret).verify(body, dict(headers))


def by_svix(secret: str, body: bytes, headers: Mapping[str, str]) -> Any:
    SvixWebhook(secret).verify(body, dict(headers))
    return json.loads(body)


@pytest.fixture(scope="module", params=["standardwebhooks", "svix", *MAJORS])
def verify(request: pytest.FixtureRequest, service: Up) -> Iterator[Verify]:
    """One verifier after the other: takes a secret, a body and headers, returns the event or raises."""
    if request.param not in MAJORS:
        yield {"standardwebhooks": by_standardwebhooks, "svix": by_svix}[request.param]
        return
    with Sdk(request.param, url=service.url, key=service.key) as sdk:

        def by_openai(secret: str, body: bytes, headers: Mapping[str, str]) -> Any:
            try:
                return sdk.do("unwrap", body.decode(), dict(headers), secret)
            except SdkError as error:
                if error.classes[0] == "InvalidWebhookSignatureError":
                    raise WebhookVerificationError from error
                raise

        yield by_openai


def refused(verify: Verify, secret: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Tell whether a verifier refuses a message."""
    try:
        verify(secret, body, headers)
    except WebhookVerificationError:
        return True
    return False


@dataclass(frozen=True)
class Story:
    """An endpoint's secrets, in their order, and what it was sent while each was the present one.

    After the first rotation the secret before signs too, after the second it does not.
    """

    secrets: list[str]
    messages: list[Received]
    job: Any


@pytest.fixture(scope="module")
def story(service: Up, http: httpx.Client, provider: Upstream) -> Iterator[Story]:
    """Deliver three events to an endpoint, and change its secret twice in between."""
    with Receiver() as receiver:
        path = "/v1/webhook_endpoints"
        asked = {"name": "shop", "url": receiver.url(), "event_types": ["job.completed"]}
        endpoint = http.post(path, json=asked).raise_for_status().json()
        secrets = [endpoint["signing_secret"]]
        job = complete(http, receiver, 1)
        for count, keep_old in ((2, True), (3, False)):
            rotation = {"keep_old_secret_active_for_24_hours": keep_old}
            url = f"{path}/{endpoint['id']}/rotate_secret"
            rotated = http.post(url, json=rotation).raise_for_status().json()
            secrets.append(rotated["signing_secret"])
            complete(http, receiver, count)
        http.delete(f"{path}/{endpoint['id']}").raise_for_status()
        yield Story(secrets, receiver.received, job)


def complete(http: httpx.Client, receiver: Receiver, count: int) -> Any:
    """Have a job done, and wait until the receiver has been told of so many."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "tell me"}]}
    asked = {"endpoint": "/v1/chat/completions", "body": body, "metadata": {"name": NAME}}
    job = http.post("/v1/jobs", json=asked, headers={"Prefer": "wait=50"}).json()
    assert job["status"] == "completed"
    deadline = time.monotonic() + 20
    while len(receiver.received) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return job


def test_a_delivery(verify: Verify, story: Story) -> None:
    received, secret = story.messages[0], story.secrets[0]
    event = verify(secret, received.body, received.headers)

    assert event["type"] == "job.completed"
    assert event["object"] == "event"
    assert event["id"] == received.headers["webhook-id"]
    assert event["data"]["id"] == story.job["id"]
    assert event["data"]["metadata"] == {"name": NAME}
    assert received.method == "POST"
    assert received.headers["content-type"] == "application/json"


def test_what_was_changed_on_its_way(verify: Verify, story: Story) -> None:
    received, secret = story.messages[0], story.secrets[0]
    body, headers = received.body, received.headers

    assert refused(verify, secret, body.replace(b"completed", b"cancelled", 1), headers)
    later = str(int(headers["webhook-timestamp"]) + 1)
    assert refused(verify, secret, body, {**headers, "webhook-timestamp": later})
    other = headers["webhook-id"] + "0"
    assert refused(verify, secret, body, {**headers, "webhook-id": other})
    assert refused(verify, story.secrets[1], body, headers)


def test_secrets_that_overlap(verify: Verify, story: Story) -> None:
    first, second, third = story.secrets
    _, between, after = story.messages

    assert len(between.headers["webhook-signature"].split(" ")) == 2
    for secret in (first, second):
        assert verify(secret, between.body, between.headers)["type"] == "job.completed"
    assert refused(verify, third, between.body, between.headers)

    assert verify(third, after.body, after.headers)["type"] == "job.completed"
    for secret in (first, second):
        assert refused(verify, secret, after.body, after.headers)


@pytest.mark.parametrize(("age_s", "fresh"), [(301, False), (290, True), (-290, True)])
def test_old_messages(verify: Verify, story: Story, age_s: int, *, fresh: bool) -> None:
    received, secret = story.messages[0], story.secrets[0]
    at_ms = (int(time.time()) - age_s) * 1000
    event_id = received.headers["webhook-id"]
    headers = signed_headers(event_id, received.body, [secret], at_ms=at_ms)

    assert refused(verify, secret, received.body, headers) is not fresh
