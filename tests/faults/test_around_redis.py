"""Redis is restarted or emptied while breakers are open, and while a probe is out."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import asking, breakers, oracle
from tests.faults.client import Reply
from tests.faults.deployments import BY_NAME
from tests.faults.polling import stays, until
from tests.faults.redis_loss import FORGETFUL, harm
from tests.faults.service import Service

HOWS = ("keep", *FORGETFUL)
JOBS = 40
SICK = "ailing"
MOST = 2 * BY_NAME[SICK].concurrency
"""Calls until a closed breaker opens: those under way at once, and those let in as these end."""
REFUSED = 503


@pytest.fixture(autouse=True)
def _closed(service: Service) -> Iterator[None]:
    breakers.forget(service)
    yield
    breakers.forget(service)


@pytest.mark.parametrize("how", HOWS)
def test_redis_comes_to_harm_while_a_breaker_is_open(service: Service, how: str) -> None:
    before = _open(service)

    harm(service, how)

    if how == "keep":
        stays(lambda: _calls(service) == before, "it is left alone as before", for_s=1.5)
    else:
        _is_left_alone_anew(service, before)
    service.upstream.clear()
    _recovers(service)


@pytest.mark.parametrize("how", HOWS)
def test_redis_comes_to_harm_while_a_probe_is_out(service: Service, how: str) -> None:
    _open(service)
    service.upstream.clear()
    refuse = rule("status", model=SICK, status=REFUSED)
    service.upstream.script(rule("gate", model=SICK, times=1), refuse)
    service.upstream.wait(lambda seen: seen["gated"] == 1, within_s=15)
    before = _calls(service)

    harm(service, how)

    if how == "keep":
        stays(lambda: _calls(service) == before, "one probe is out", for_s=1.5)
    else:
        _is_left_alone_anew(service, before)
    service.upstream.clear()
    service.upstream.release()
    _recovers(service)


@pytest.mark.parametrize("how", HOWS)
def test_who_waits_for_an_answer_has_it_from_the_fallback(service: Service, how: str) -> None:
    service.upstream.script(rule("status", model="primary", status=500))
    until(lambda: _ask_and_look(service), "the breaker is open", every_s=0)
    with _asking(service) as replies:
        until(lambda: len(replies) > 5, "answers come")
        harm(service, how)
        seen = len(replies)
        until(lambda: len(replies) > seen + 10, "answers come again")
    service.upstream.clear()

    cases = oracle.settle(service)

    assert {reply.status for reply in replies} == {200}
    assert {case.attempts[-1]["deployment"] for case in cases} <= {"backup", "primary"}
    assert "backup" in {case.attempts[-1]["deployment"] for case in cases}


def _open(service: Service) -> int:
    """Submit jobs for a deployment that refuses them, until it is left alone; return its calls."""
    service.upstream.script(rule("status", model=SICK, status=REFUSED))
    service.client.submit_many(JOBS, "ailing-alone")
    return breakers.await_open(service, SICK)


def _is_left_alone_anew(service: Service, before: int) -> None:
    """Nobody knows of it: a few find out, and then none is sent for a while."""
    sent = breakers.await_open(service, SICK)
    assert 0 < sent - before <= MOST
    stays(lambda: _calls(service) == sent, "it is left alone again", for_s=1)


def _ask_and_look(service: Service) -> bool:
    asking.ask(service, "counted")
    return "primary" in breakers.open_ones(service)


def _recovers(service: Service) -> None:
    cases = oracle.settle(service)
    assert {case.job["state"] for case in cases if case.job} == {"completed"}
    assert SICK not in breakers.open_ones(service)


def _calls(service: Service) -> int:
    return breakers.calls(service, SICK)


@contextmanager
def _asking(service: Service) -> Iterator[list[Reply]]:
    """Let a client ask for one answer after the other."""
    replies, over = list[Reply](), threading.Event()

    def ask_on() -> None:
        while not over.is_set():
            replies.append(asking.ask(service, "counted"))

    thread = threading.Thread(target=ask_on, daemon=True)
    thread.start()
    try:
        yield replies
    finally:
        over.set()
        thread.join()
