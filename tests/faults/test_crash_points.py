"""Every named crash point, a SIGKILL at it, a restart, and the oracle's verdict (scenarios 1–4, 6, 11)."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPException

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import oracle
from tests.faults.client import COMPLETED
from tests.faults.polling import until
from tests.faults.service import Service

BEFORE_THE_SEND = ("after_claim", "before_ack", "after_acquire", "after_attempt_row")
BEFORE_THE_RESULT = ("after_response", "before_result_commit")
AFTER_THE_RESULT = ("after_result_commit", "after_settle")
JOBS = 6


@pytest.mark.parametrize("point", BEFORE_THE_SEND)
def test_worker_dies_before_the_send(service: Service, point: str) -> None:
    service.worker.kill()
    service.worker.start(FAILPOINT=point)
    service.client.submit_many(JOBS)
    service.run_until_killed(service.worker)
    service.worker.start()

    cases = oracle.settle(service)

    # before_ack races with the calls that the runner has begun by then
    if point != "before_ack":
        assert [len(case.calls) for case in cases] == [1] * JOBS
    owners = {row["owner"] for case in cases for row in case.attempts}
    assert len(owners) <= 2, "a restarted worker is another owner, and there was one restart"


@pytest.mark.parametrize("point", BEFORE_THE_RESULT)
def test_worker_dies_before_the_result_is_stored(service: Service, point: str) -> None:
    service.worker.kill()
    service.worker.start(FAILPOINT=point)
    service.client.submit_many(JOBS)
    service.run_until_killed(service.worker)
    stored = [each for each in service.client.accepted if _has_result(service, each.id)]
    service.worker.start()

    cases = oracle.settle(service)

    assert not stored, "a result was there before its transaction"
    lost = [row for case in cases for row in case.attempts if row["status"] == "unknown"]
    assert lost
    assert all(row["possibly_billed"] for row in lost)


@pytest.mark.parametrize("point", AFTER_THE_RESULT)
def test_worker_dies_after_the_result_is_stored(service: Service, point: str) -> None:
    service.worker.kill()
    service.worker.start(FAILPOINT=point)
    service.client.submit("narrow")
    service.run_until_killed(service.worker)
    service.worker.start()

    (case,) = oracle.settle(service)

    assert len(case.calls) == 1, "what is stored is not asked for again"


def test_worker_dies_after_the_send(service: Service) -> None:
    service.upstream.script(rule("gate"))
    service.client.submit_many(JOBS)
    service.upstream.wait(lambda seen: seen["gated"] == JOBS)
    service.crash_worker()
    service.upstream.clear()
    service.worker.start()

    cases = oracle.settle(service)

    for case in cases:
        assert [row["status"] for row in case.attempts] == ["unknown", "ok"]
        assert [row["possibly_billed"] for row in case.attempts] == [True, False]
        assert case.attempts[0]["owner"] != case.attempts[1]["owner"]
    oracle.shown_as_stored(service, cases)


def test_on_unknown_fail_forbids_a_second_call(service: Service) -> None:
    service.upstream.script(rule("gate"))
    service.client.submit_many(2, ends={"failed"}, on_unknown="fail")
    service.upstream.wait(lambda seen: seen["gated"] == 2)
    service.crash_worker()
    service.upstream.clear()
    service.worker.start()

    cases = oracle.settle(service)

    assert [len(case.calls) for case in cases] == [1, 1]
    assert {case.job["reason"] for case in cases if case.job} == {"unknown_outcome"}
    # Its owner may decide otherwise later: that is a new generation.
    for job in service.client.accepted:
        assert service.client.call("POST", f"/v1/jobs/{job.id}/retry").status == 202
        job.ends = COMPLETED
    cases = oracle.settle(service)
    assert {case.job["generation"] for case in cases if case.job} == {2}


def test_worker_dies_in_the_middle_of_a_stream(service: Service) -> None:
    service.upstream.script(rule("ok", chunk_delay_ms=200, times=1))
    job = service.client.submit(body={"stream": True})
    service.upstream.wait(lambda seen: seen["in_flight"] == 1)
    until(lambda: _seconds_in_flight(service, job.text) > 0.5, "half of the stream has come")
    service.crash_worker()
    service.worker.start()

    (case,) = oracle.settle(service)

    assert [call["event"] for call in case.calls] == ["aborted", "answered"]


def test_slots_of_a_dead_worker_come_back_with_its_jobs(service: Service) -> None:
    service.upstream.script(rule("gate"))
    service.client.submit_many(JOBS, "narrow")
    service.upstream.wait(lambda seen: seen["gated"] == 4)
    service.crash_worker()
    service.upstream.clear()
    service.worker.start()

    oracle.settle(service, within_s=20)


def test_a_slot_without_a_call_comes_back_too(service: Service) -> None:
    service.worker.kill()
    service.worker.start(FAILPOINT="after_acquire")
    service.client.submit_many(2, "single")
    service.run_until_killed(service.worker)
    service.worker.start()

    oracle.settle(service, within_s=20)


@pytest.mark.parametrize("point", ["after_job_commit", "after_publish"])
def test_api_dies_between_commit_and_answer(service: Service, point: str) -> None:
    service.api.stop()
    service.api.start(FAILPOINT=point)
    service.await_api()
    text, key = service.client.unique_text(), {"Idempotency-Key": f"again-{point}"}
    with suppress(OSError, HTTPException):
        service.client.post("open", text, headers=key)
    service.api.wait_until_killed()
    service.api.start()
    service.await_api()

    again = service.client.post("open", text, headers=key)

    assert again.status in (200, 202), again
    assert again.headers["idempotent-replayed"] == "true"
    service.client.remember(again, "open", text)
    (case,) = oracle.settle(service)
    assert len(case.calls) == 1
    stored = service.sql.rows("SELECT job_id, body FROM job_request")
    mine = [row["job_id"] for row in stored if text in row["body"].decode()]
    assert mine == [again.body["id"]]


def test_scheduler_dies_between_publish_and_tidying(service: Service) -> None:
    service.scheduler.kill()
    service.scheduler.start(FAILPOINT="after_publish")
    soon = datetime.now(UTC) + timedelta(seconds=1)
    service.client.submit_many(JOBS, scheduled_at=soon.isoformat())
    service.scheduler.wait_until_killed()
    service.scheduler.start()

    cases = oracle.settle(service)

    assert [len(case.calls) for case in cases] == [1] * JOBS


def test_scheduler_dies_between_relay_and_removal(service: Service) -> None:
    service.scheduler.kill()
    service.redis.stop()
    service.client.submit_many(JOBS)
    # The API may still be trying to send them itself; here the relay has to.
    service.api.kill()
    service.redis.start()
    service.scheduler.start(FAILPOINT="after_outbox")
    service.scheduler.wait_until_killed()
    service.scheduler.start()
    service.api.start()
    service.await_api()

    cases = oracle.settle(service)

    assert [len(case.calls) for case in cases] == [1] * JOBS


def test_scheduler_dies_in_the_middle_of_a_rescue(service: Service) -> None:
    service.scheduler.kill()
    service.upstream.script(rule("gate"))
    service.client.submit_many(JOBS)
    service.upstream.wait(lambda seen: seen["gated"] == JOBS)
    service.crash_worker()
    service.upstream.clear()
    service.scheduler.start(FAILPOINT="mid_sweep")
    service.scheduler.wait_until_killed()
    rescued = service.sql.rows("SELECT COUNT(*) AS n FROM job WHERE state = 'queued'")
    service.scheduler.start()
    service.worker.start()

    cases = oracle.settle(service)

    assert rescued[0]["n"] == 0, "a rescue that was not committed changed something"
    assert {case.job["crashes"] for case in cases if case.job} == {1}


def test_worker_dies_while_it_drains(service: Service) -> None:
    service.worker.stop()
    service.worker.start(FAILPOINT="mid_drain")
    service.upstream.script(rule("gate"))
    service.client.submit_many(JOBS)
    service.upstream.wait(lambda seen: seen["gated"] == JOBS)
    service.disruptions += 1
    assert service.worker.stop() != 0
    service.upstream.clear()
    service.worker.start()

    oracle.settle(service)


def _has_result(service: Service, job_id: str) -> bool:
    return bool(service.sql.rows("SELECT 1 FROM job_result WHERE job_id = ?", job_id))


def _seconds_in_flight(service: Service, text: str) -> float:
    (call,) = service.upstream.calls(marker=text)
    return datetime.now(UTC).timestamp() - float(call["at"]) / 1000
