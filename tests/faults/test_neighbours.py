"""Neighbours of a pile: another tenant's single job, and answers now (scenarios 46, 47)."""

import time
from datetime import timedelta
from statistics import quantiles
from uuid import uuid4

import pytest

from shared.clock import now_ms
from tests.fakes.upstream_client import rule
from tests.faults.piles import Pile, hand_over, line, texts
from tests.faults.polling import until
from tests.faults.service import Service

pytestmark = pytest.mark.parametrize("service", ["sqlite"], indirect=True)
"""The dispatcher's own tests share out on both databases."""
MANY = 16_000


def test_a_single_job_of_another_tenant_does_not_wait_for_a_pile(service: Service) -> None:
    service.upstream.script(rule("ok", model="narrow", delay_ms=200))
    pile = _pile(service, 300, "narrow")
    until(lambda: pile.shown()["counts"]["completed"] >= 8, "the pile is at work")
    waits = [_wait_of_stranger(service) for _ in range(5)]

    # A slot turnover is 200 ms; a message, a pass of the dispatcher and a loaded machine come on top.
    assert sorted(waits)[2] < 1.5, waits
    assert pile.shown()["counts"]["pending"] > 100
    pile.act("POST", "/cancel")
    pile.wait()


def test_answers_now_keep_their_pace_beside_a_pile(service: Service) -> None:
    service.upstream.script(rule("ok", delay_ms=100))
    alone = [_chat_s(service) for _ in range(20)]
    pile = _pile(service, MANY, "open")
    until(lambda: pile.shown()["counts"]["completed"] >= 50, "the pile is at work")

    beside = [_chat_s(service) for _ in range(20)]

    assert pile.shown()["counts"]["pending"], "the pile was still at work"
    # Twice the unloaded time, and what two cores take for everything else at once.
    assert quantiles(beside, n=20)[-2] < 2 * quantiles(alone, n=20)[-2] + 1.0
    pile.act("POST", "/cancel")
    pile.wait()


def _wait_of_stranger(service: Service) -> float:
    """Return how many seconds another tenant's job waited until the provider was called."""
    text = f"stranger {uuid4().hex}"
    body = {"model": "narrow", "messages": [{"role": "user", "content": text}]}
    asked = {"endpoint": "/v1/chat/completions", "body": body}
    began = now_ms()
    reply = service.client.call("POST", "/v1/jobs", asked, key=service.stranger_key)
    assert reply.status == 202, reply
    (call,) = until(lambda: service.upstream.calls(marker=text), "its call came", within_s=20)
    return timedelta(milliseconds=call["at"] - began).total_seconds()


def _chat_s(service: Service) -> float:
    messages = [{"role": "user", "content": service.client.unique_text()}]
    began = time.monotonic()
    reply = service.client.call(
        "POST", "/v1/chat/completions", {"model": "open", "messages": messages}
    )
    assert reply.status == 200, reply
    return time.monotonic() - began


def _pile(service: Service, number: int, model: str) -> Pile:
    lines = texts(service.client, number)
    return hand_over(service.client, [line(*each, model=model) for each in lines])
