"""How a job leaves a worker's hands."""

import dataclasses

from shared.jobs.transitions import JobState, Reason
from shared.providers.errors import BadRequest
from tests.unit.workers.test_retry import JOB
from workers.attempt import finish
from workers.attempt.hold import Hold, Stop
from workers.attempt.retry import GiveUp


def test_a_providers_words_are_stored_without_what_a_database_refuses() -> None:
    error = BadRequest("a\x00b", provider="p", status=400, body=b'{"m":"x"}')

    end = finish.after_failure(Hold(JOB), error, GiveUp(Reason.REJECTED))

    assert end.error is not None
    assert end.error["message"] == "a�b"
    assert end.result is not None
    assert end.result.status_code == 400


def test_a_refusal_that_is_not_json_is_no_result() -> None:
    error = BadRequest("no", provider="p", status=400, body=b"<html>")

    assert finish.after_failure(Hold(JOB), error, GiveUp(Reason.REJECTED)).result is None


def test_a_shutdown_gives_the_job_back_and_uses_up_nothing() -> None:
    end = finish.stopped(Hold(JOB, stop=Stop.DRAIN))

    assert end is not None
    assert (end.state, end.reason, end.failures) == (JobState.QUEUED, Reason.INTERRUPTED, 0)


def test_a_deadline_is_an_expiry_and_no_failure() -> None:
    error = BadRequest("no", provider="p")

    assert finish.after_failure(Hold(JOB), error, GiveUp(Reason.DEADLINE)).state == JobState.EXPIRED


def test_the_time_left_shrinks_while_a_job_is_held() -> None:
    hold = Hold(dataclasses.replace(JOB, time_left_ms=10_000))
    hold.claimed_at -= 4

    assert 5.5 < hold.time_left_s <= 6
    hold.claimed_at -= 40
    assert hold.time_left_s == 0
