"""Streams that are cut: by a dead worker, by the provider, by a client (scenarios 5, 10, 38, 41)."""

import signal
import time
from typing import Any

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import lanes, oracle
from tests.faults.client import COMPLETED, Accepted, Reply
from tests.faults.polling import until
from tests.faults.service import Service
from tests.faults.sse import ChatReader, Follower

WORDS = 25
"""Of eight characters, so that each is a chunk; with role, end and usage there are 28."""
IN_ORDER = (0, -signal.SIGTERM)
"""How uvicorn ends: it repeats the signal once it is done."""
CUTS: dict[str, Any] = {"reset": {}, "truncate_sse": {}, "missing_done": {"finish_reason": False}}


def test_a_worker_dies_at_sixty_percent_of_a_stream(service: Service) -> None:
    text, said = _slow_stream(service)
    job = service.client.submit(text=text, body={"stream": True})
    follower = _follower(job)
    until(lambda: len(_text(follower)) >= 0.6 * len(said), "most of it was heard")
    service.crash_worker()
    service.worker.start()

    (case,) = oracle.settle(service)

    assert [call["event"] for call in case.calls] == ["aborted", "answered"]
    names = follower.names()
    first, second = names.index("job.delta"), names.index("reset")
    assert names[second : second + 2] == ["reset", "snapshot"]
    assert first < second
    assert follower.events[second].data["data"]["reason"] == "restarted"
    again = [event for event in follower.deltas if follower.events.index(event) > second]
    assert again[0].place == (case.job["version"] - 1, 1) if case.job else False


def test_who_was_listening_to_a_chat_is_told_that_it_broke(service: Service) -> None:
    text, said = _slow_stream(service)
    chat = service.client.chat(text)
    job = _remember(service, chat, ends={"cancelled", "completed"})
    until(lambda: len(chat.text) >= 0.6 * len(said), "most of it was heard")
    service.crash_worker()
    service.worker.start()

    assert chat.over.wait(20)

    assert chat.error["code"] == "stream_broken"
    assert not chat.done
    assert said.startswith(chat.text), "another answer was told after it"
    oracle.settle(service)
    # Whoever wants it in spite of that has it from the job.
    assert service.client.get(job.id)["attempts"][0]["possibly_billed"]


def test_a_chat_of_which_nothing_was_said_does_not_notice(service: Service) -> None:
    service.upstream.script(rule("gate", times=1))
    text = service.client.unique_text()
    chat = service.client.chat(text)
    service.upstream.wait(lambda seen: seen["gated"] == 1)
    service.crash_worker()
    service.worker.start()

    assert chat.over.wait(20)

    assert (chat.status, chat.error, chat.text) == (200, None, f"echo: {text}")
    assert chat.done
    _remember(service, chat, text=text)
    oracle.settle(service)


@pytest.mark.parametrize("how", CUTS)
def test_a_stream_that_is_cut_is_no_success(service: Service, how: str) -> None:
    text = service.client.unique_text()
    service.upstream.script(rule(how, marker=text, times=1, **CUTS[how]))
    service.client.submit(text=text, failures=1, body={"stream": True})

    (case,) = oracle.settle(service)

    first, second = case.attempts
    assert (first["status"], second["status"]) == ("unknown", "ok")
    assert first["possibly_billed"]
    assert first["cost_nanousd"], "what was said before the cut is booked"


@pytest.mark.parametrize("how", CUTS)
def test_a_chat_that_is_cut_ends_in_an_error(service: Service, how: str) -> None:
    text = service.client.unique_text()
    service.upstream.script(rule(how, marker=text, content="a word " * WORDS, **CUTS[how]))
    chat = service.client.chat(text)

    assert chat.over.wait(20)

    assert not chat.done
    assert (chat.error or chat.refusal["error"])["code"], "it looked like a success"
    job = _remember(service, chat, text=text, ends={"cancelled", "failed"}, failures=None)
    (case,) = oracle.settle(service)
    assert {row["status"] for row in case.attempts} <= {"unknown", "interrupted"}
    assert all(row["possibly_billed"] for row in case.attempts)
    assert service.client.get(job.id)["result"] is None


@pytest.mark.parametrize("usage", ["unknown", "lower"])
def test_only_a_known_usage_gives_tokens_back(service: Service, usage: str) -> None:
    lanes.forget(service, "metered")
    service.client.submit("metered", body={"stream": True, "max_tokens": 2000})
    oracle.settle(service)
    until(lambda: lanes.leases(service, "metered") == 0, "the first call is settled")
    before = lanes.tokens(service, "metered")
    text = service.client.unique_text()
    action = "no_usage" if usage == "unknown" else "ok"
    service.upstream.script(rule(action, marker=text))
    service.client.submit("metered", text=text, body={"stream": True, "max_tokens": 2000})

    *_, case = oracle.settle(service)
    until(lambda: lanes.leases(service, "metered") == 0, "the call is settled")

    spent = lanes.spent(service, "metered", since=before)
    if usage == "unknown":
        assert 2000 <= spent < 2100, "what was reserved stays spent"
        assert case.attempts[0]["cost_nanousd"] is None or case.attempts[0]["possibly_billed"]
    else:
        (call,) = case.calls
        assert spent == pytest.approx(call["usage"]["total_tokens"], abs=1)


def test_a_client_that_hangs_up_cancels_and_pays_for_what_was_said(service: Service) -> None:
    text, _ = _slow_stream(service)
    chat = service.client.chat(text, model="single")
    job = _remember(service, chat, model="single", ends={"cancelled"}, failures=0)
    until(lambda: len(chat.text) > 20, "it has begun to speak")

    chat.stop()

    service.upstream.wait(lambda seen: seen["in_flight"] == 0, within_s=5)
    (case,) = oracle.settle(service)
    assert [row["status"] for row in case.attempts] == ["interrupted"]
    assert case.attempts[0]["cost_nanousd"], "what was said is booked"
    assert case.attempts[0]["possibly_billed"]
    until(lambda: lanes.leases(service, "single") == 0, "its slot is free")
    assert service.client.get(job.id)["status"] == "cancelled"


def test_a_client_that_wants_its_job_to_go_on_may_leave(service: Service) -> None:
    text, _ = _slow_stream(service)
    chat = service.client.chat(text, headers={"Penstock-On-Disconnect": "continue"})
    until(lambda: chat.text, "it has begun to speak")

    chat.stop()

    _remember(service, chat, text=text)
    (case,) = oracle.settle(service)
    assert len(case.calls) == 1


def test_a_blocked_loop_is_ended_and_its_stream_begins_again(service: Service) -> None:
    service.worker.stop()
    service.worker.start(WATCHDOG_S="1", FAULTS_PATCH="blocks_its_loop")
    said = "to begin with " * 4 + "BLOCK, and so on"
    service.upstream.script(rule("ok", chunk_delay_ms=60, times=1, content=said))
    job = service.client.submit(body={"stream": True})
    follower = _follower(job)

    service.run_until_killed(service.worker)

    assert follower.deltas, "it had begun to speak"
    assert "in blocking" in service.worker.log.read_text(), "the log does not say where it hung"
    service.worker.start()
    (case,) = oracle.settle(service)
    assert "reset" in follower.names()
    assert [row["status"] for row in case.attempts] == ["unknown", "ok"]


def test_chats_of_a_dead_api_are_accounted_for(service: Service) -> None:
    texts = [_slow_stream(service)[0] for _ in range(3)]
    chats = [service.client.chat(text) for text in texts]
    until(lambda: all(chat.text for chat in chats), "all of them speak")
    service.api.kill()
    assert all(chat.over.wait(5) for chat in chats)
    assert not any(chat.done for chat in chats)
    service.api.start()
    service.await_api()

    for chat, text in zip(chats, texts, strict=True):
        _remember(service, chat, text=text)
    cases = oracle.settle(service)

    assert [len(case.calls) for case in cases] == [1] * 3


def test_a_stopped_api_tells_its_chats_to_ask_another(service: Service) -> None:
    service.upstream.script(rule("gate"))
    chat = service.client.chat(service.client.unique_text())
    service.upstream.wait(lambda seen: seen["gated"] == 1)
    began = time.monotonic()

    service.api.terminate()

    assert chat.over.wait(10)
    assert service.api.wait() in IN_ORDER
    assert time.monotonic() - began < 8
    assert chat.refusal is not None, "nothing was said, so it still has a status"
    assert (chat.status, chat.refusal["error"]["code"]) == (503, "shutting_down")
    assert 1 <= int(chat.headers["retry-after"]) <= 60
    service.api.start()
    service.await_api()
    service.upstream.release()
    _remember(service, chat, ends={"cancelled"})
    oracle.settle(service)


def _slow_stream(service: Service) -> tuple[str, str]:
    """Return a text whose first call speaks for two seconds, in small pieces, and what it says."""
    text = service.client.unique_text()
    said = f"{text} " + "".join(f"word {n:02} " for n in range(WORDS))
    service.upstream.script(rule("ok", marker=text, chunk_delay_ms=60, times=1, content=said))
    return text, said


def _follower(job: Accepted) -> Follower:
    assert job.follower is not None
    return job.follower


def _text(follower: Follower) -> str:
    chunks = (chunk for event in follower.deltas for chunk in event.data["data"]["chunks"])
    deltas = (choice["delta"] for chunk in chunks for choice in chunk.get("choices") or ())
    return "".join(delta.get("content") or "" for delta in deltas)


def _remember(
    service: Service,
    chat: ChatReader,
    *,
    text: str = "",
    model: str = "open",
    ends: frozenset[str] | set[str] = COMPLETED,
    failures: int | None = 0,
) -> Accepted:
    reply = Reply(200, {}, {"id": chat.job_id})
    job = service.client.remember(
        reply, model, text or chat.asked, ends=frozenset(ends), failures=failures
    )
    job.hears = frozenset()
    return job
