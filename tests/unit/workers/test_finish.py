"""How a job leaves a worker's hands."""

import dataclasses

import orjson

from shared.dialects.bridge import Bridge
from shared.dialects.translator import Head
from shared.inference.dialect import Dialect, Operation
from shared.inference.request import InferenceRequest
from shared.jobs.transitions import JobState, Reason
from shared.providers.errors import BadRequest, ContextTooLong
from tests.unit.workers.test_retry import JOB
from workers.attempt import finish
from workers.attempt.asking import Asking
from workers.attempt.hold import Hold, Stop
from workers.attempt.prepare import Work
from workers.attempt.retry import CallFailed, GiveUp
from workers.attempt.settle import refusal


def test_a_providers_words_are_stored_without_what_a_database_refuses() -> None:
    error = BadRequest("a\x00b", provider="p", status=400, body=b'{"m":"x"}')

    end = finish.after_failure(Hold(JOB), CallFailed(error, GiveUp(Reason.REJECTED), error.body))

    assert end.error is not None
    assert end.error["message"] == "a�b"
    assert end.result is not None
    assert end.result.status_code == 400


def test_a_refusal_that_is_not_json_is_no_result() -> None:
    error = BadRequest("no", provider="p", status=400, body=b"<html>")

    assert refusal(error, None) is None


def test_a_refusal_is_told_in_the_clients_dialect() -> None:
    raw = b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}'
    error = ContextTooLong("too long", provider="p", status=400, body=raw)
    work = Work(Operation.GENERATE, {}, dialect=Dialect.CHAT)

    def told(provider: Dialect) -> bytes | None:
        request = InferenceRequest("m", {}, provider)
        bridge = Bridge(Dialect.CHAT, provider)
        return refusal(error, Asking(work, request, "p", Head("1", "m", 0), bridge))

    assert told(Dialect.CHAT) == raw, "in its own words where they are the client's"
    other = orjson.loads(told(Dialect.MESSAGES) or b"")
    assert other["error"]["code"] == "context_length_exceeded"


def test_a_shutdown_gives_the_job_back_and_uses_up_nothing() -> None:
    end = finish.stopped(Hold(JOB, stop=Stop.DRAIN))

    assert end is not None
    assert (end.state, end.reason, end.failures) == (JobState.QUEUED, Reason.INTERRUPTED, 0)


def test_a_deadline_is_an_expiry_and_no_failure() -> None:
    error = BadRequest("no", provider="p")

    failure = CallFailed(error, GiveUp(Reason.DEADLINE))

    assert finish.after_failure(Hold(JOB), failure).state == JobState.EXPIRED


def test_the_time_left_shrinks_while_a_job_is_held() -> None:
    hold = Hold(dataclasses.replace(JOB, time_left_ms=10_000))
    hold.claimed_at -= 4

    assert 5.5 < hold.time_left_s <= 6
    hold.claimed_at -= 40
    assert hold.time_left_s == 0
