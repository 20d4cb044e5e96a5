"""Signatures that the reference verifier of Standard Webhooks accepts, and those it must not."""

import time
from typing import Any

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from shared.clock import now_ms
from shared.webhooks.secrets import new_secret
from shared.webhooks.signing import signed_headers

BODY = '{"id":"evt_1_2","data":{"metadata":{"name":"Zoë, कमल"}}}'.encode()


def test_the_reference_verifier_accepts_it() -> None:
    secret = new_secret()

    headers = signed_headers("evt_1_2", BODY, [secret], at_ms=now_ms())

    assert Webhook(secret).verify(BODY, headers)["id"] == "evt_1_2"
    assert headers["webhook-id"] == "evt_1_2"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "Penstock"


def test_after_a_rotation_both_secrets_verify_the_present_one_first() -> None:
    present, old = new_secret(), new_secret()

    headers = signed_headers("evt_1_2", BODY, [present, old], at_ms=now_ms())

    first, second = headers["webhook-signature"].split(" ")
    for secret, signature in ((present, first), (old, second)):
        Webhook(secret).verify(BODY, headers)
        Webhook(secret).verify(BODY, {**headers, "webhook-signature": signature})
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(BODY, {**headers, "webhook-signature": first})


def test_a_body_that_was_changed_is_refused() -> None:
    secret = new_secret()
    headers = signed_headers("evt_1_2", BODY, [secret], at_ms=now_ms())

    with pytest.raises(WebhookVerificationError, match="signature"):
        Webhook(secret).verify(BODY + b" ", headers)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_time_of_long_ago_or_to_come_is_refused(minutes: int) -> None:
    secret = new_secret()
    headers = signed_headers("evt_1_2", BODY, [secret], at_ms=now_ms() + minutes * 60_000)

    with pytest.raises(WebhookVerificationError, match="timestamp"):
        Webhook(secret).verify(BODY, headers)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/St_Johns"])
def test_the_zone_of_the_machine_does_not_matter(zone: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        secret = new_secret()
        headers = signed_headers("evt_1_2", BODY, [secret], at_ms=now_ms())

        Webhook(secret).verify(BODY, headers)
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 5
    finally:
        monkeypatch.undo()
        time.tzset()
