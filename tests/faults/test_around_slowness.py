"""Round the slow: a first token that is late, a call that hangs, a stream that dies, a slower neighbour."""

import statistics
import time
from collections.abc import Iterator

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import breakers, oracle
from tests.faults.client import Accepted, Reply
from tests.faults.service import Service
from tests.faults.sse import ChatReader

LATE_MS = 8000


@pytest.fixture(autouse=True)
def _closed(service: Service) -> Iterator[None]:
    breakers.forget(service)
    yield
    breakers.forget(service)


@pytest.mark.parametrize("action", ["hang", "drip"])
def test_a_call_that_does_not_speak_is_left(service: Service, action: str) -> None:
    service.upstream.script(rule(action, model="primary", interval_ms=100))
    began = time.monotonic()
    chat = _chat(service, "moving")

    assert (chat.status, chat.error) == (200, None)
    assert chat.text.startswith("echo: ")
    assert time.monotonic() - began < 5
    _remember(service, chat, "moving", failures=1)
    (case,) = oracle.settle(service)
    slow, quick = case.attempts
    assert (slow["deployment"], slow["status"]) == ("primary", "interrupted")
    assert (slow["error_code"], bool(slow["possibly_billed"])) == ("slow_first_token", True)
    assert (quick["deployment"], quick["status"]) == ("backup", "ok")
    left = next(call for call in case.calls if call["model"] == "primary")
    assert left["client_gone"], "we closed it"


def test_the_faster_of_two_is_told_and_both_are_on_the_bill(service: Service) -> None:
    service.upstream.script(rule("ok", model="primary", delay_ms=LATE_MS))
    chat = _chat(service, "hedged")

    assert (chat.status, chat.error) == (200, None)
    _remember(service, chat, "hedged", failures=1)
    (case,) = oracle.settle(service)
    assert [(row["deployment"], row["status"]) for row in case.attempts] == [
        ("primary", "interrupted"),
        ("backup", "ok"),
    ]
    assert chat.text.count("echo: ") == 1, "only one of them was told"
    assert len(case.calls) == len(case.attempts) == 2
    assert case.attempts[0]["possibly_billed"], "it may have cost something"
    assert not case.attempts[1]["possibly_billed"]


def test_the_first_may_still_win(service: Service) -> None:
    service.upstream.script(
        rule("ok", model="primary", delay_ms=1500), rule("ok", model="backup", delay_ms=LATE_MS)
    )
    chat = _chat(service, "hedged")

    assert (chat.status, chat.error) == (200, None)
    _remember(service, chat, "hedged", failures=1)
    (case,) = oracle.settle(service)
    assert {row["deployment"]: row["status"] for row in case.attempts} == {
        "primary": "ok",
        "backup": "interrupted",
    }
    assert {row["error_code"] for row in case.attempts} == {None, "hedge_lost"}


def test_never_more_than_two(service: Service) -> None:
    service.upstream.script(
        rule("ok", model="primary", delay_ms=2500), rule("ok", model="backup", delay_ms=2500)
    )
    chats = [_begun(service, "hedged") for _ in range(5)]
    for chat in chats:
        assert chat.over.wait(20)
        _remember(service, chat, "hedged", failures=1)
    cases = oracle.settle(service)

    assert {len(case.calls) for case in cases} == {2}
    assert {sum(row["status"] == "ok" for row in case.attempts) for case in cases} == {1}


def test_what_was_told_is_not_replaced(service: Service) -> None:
    text = service.client.unique_text()
    service.upstream.script(
        rule("truncate_sse", model="primary", marker=text, content="a word " * 20, times=1)
    )
    service.client.submit("rounded", text=text, failures=1, body={"stream": True})

    (case,) = oracle.settle(service)

    first, second = case.attempts
    assert (first["status"], second["status"]) == ("unknown", "ok")
    assert first["claim_number"] < second["claim_number"], "not within the same telling"


def test_one_that_fails_before_a_word_is_replaced_at_once(service: Service) -> None:
    service.upstream.script(rule("reset", model="primary", at="start"))
    chat = _chat(service, "rounded")

    assert (chat.status, chat.error) == (200, None)
    _remember(service, chat, "rounded", failures=None)
    (case,) = oracle.settle(service)
    assert [row["deployment"] for row in case.attempts] == ["primary", "backup"]
    assert {row["claim_number"] for row in case.attempts} == {1}


@pytest.mark.parametrize("service", ["sqlite"], indirect=True)
def test_a_slow_upstream_does_not_clog_the_queue(service: Service) -> None:
    calm = _seconds(service)

    service.upstream.script(rule("ok", model="narrow", delay_ms=3000))
    slow = [service.client.submit("narrow", webhook=None) for _ in range(24)]
    busy = _seconds(service)

    assert busy < calm * 3 + 0.3, f"{calm:.3f} s became {busy:.3f} s"
    service.upstream.clear()
    for job in slow:
        service.client.hang_up(job)
    oracle.settle(service)


def _seconds(service: Service) -> float:
    """Return the slowest of some answers of a deployment that is well, but for the outliers."""
    took = []
    for _ in range(20):
        began = time.monotonic()
        text = service.client.unique_text()
        chat = service.client.chat(text, model="open")
        assert chat.over.wait(20)
        took.append(time.monotonic() - began)
        _remember(service, chat, "open")
    return statistics.quantiles(took, n=20)[18]


def _begun(service: Service, model: str) -> ChatReader:
    return service.client.chat(service.client.unique_text(), model=model)


def _chat(service: Service, model: str) -> ChatReader:
    chat = _begun(service, model)
    assert chat.over.wait(25)
    return chat


def _remember(
    service: Service, chat: ChatReader, model: str, *, failures: int | None = 0
) -> Accepted:
    reply = Reply(200, {}, {"id": chat.job_id})
    job = service.client.remember(reply, model, chat.asked, failures=failures)
    job.hears = frozenset()
    return job
