"""One owner at a time: late writers, doubled messages, cancels that race the end (scenarios 7, 9, 49, 51)."""

import asyncio
import random
import signal

from pydantic import JsonValue

from shared.enqueue import ActorName, Enqueuer, QueueName, Wakeup
from tests.fakes.upstream_client import rule
from tests.faults import oracle
from tests.faults.polling import stays, until
from tests.faults.service import Service
from tests.faults.sql import Row
from tests.faults.witness import history

COPIES = 10
RACES = 500
"""On each database: 1,000 in all."""


def test_a_frozen_worker_writes_nothing_when_it_thaws(service: Service) -> None:
    # It never renews, and its watchdog is shorter than the frost.
    service.worker.kill()
    service.worker.start(RENEW_S="600", WATCHDOG_S="1.5")
    service.upstream.script(rule("gate"))
    job = service.client.submit()
    service.upstream.wait(lambda seen: seen["gated"] == 1)
    service.freeze(service.worker)
    service.disruptions += 1
    service.worker_2.start()
    service.upstream.wait(lambda seen: seen["gated"] == 2, within_s=20)
    service.upstream.release(1)
    service.worker.signal(signal.SIGCONT)

    until(lambda: _attempt(service, job.id, 1)["status"] == "ok", "its cost is on record")

    (row,) = service.sql.rows("SELECT * FROM job WHERE id = ?", job.id)
    assert (row["state"], row["claim_number"]) == ("running", 2), "a late writer changed the job"
    assert not service.sql.rows("SELECT 1 FROM job_result WHERE job_id = ?", job.id)
    first = _attempt(service, job.id, 1)
    assert (first["late"], first["possibly_billed"]) == (True, False)
    service.upstream.release()
    (case,) = oracle.settle(service)
    answer = service.client.get(job.id)["result"]["body"]
    assert answer["id"] == f"chatcmpl-{case.calls[1]['call']}", "the late answer won"


def test_a_thawed_worker_gets_its_own_jobs_back(service: Service) -> None:
    service.upstream.script(rule("gate"))
    service.client.submit_many(5)
    service.upstream.wait(lambda seen: seen["gated"] == 5)
    service.freeze(service.worker)
    service.disruptions += 1
    until(lambda: set(_states(service)) == {"queued"}, "the jobs were rescued")
    service.worker.signal(signal.SIGCONT)
    until(lambda: _calls(service) == 10, "all are called again")

    stays(lambda: set(_states(service)) == {"running"}, "the new leases are renewed", for_s=3)

    service.upstream.release()
    cases = oracle.settle(service)
    assert {case.job["crashes"] for case in cases if case.job} == {1}


def test_a_job_that_was_lost_and_comes_back_is_called_by_one_of_the_two_claims(
    service: Service,
) -> None:
    # It never renews: the job is taken from it, and there is no other worker to go to.
    service.worker.kill()
    service.worker.start(RENEW_S="600")
    service.upstream.script(rule("gate", times=4))
    service.client.submit_many(2)
    until(lambda: _calls(service) == 4, "both are called again")
    service.disruptions += 1

    service.upstream.wait(lambda seen: seen["in_flight"] == 2, within_s=5)

    service.upstream.release()
    oracle.settle(service)


def test_messages_come_tenfold_and_in_any_order(service: Service) -> None:
    service.worker.kill()
    jobs = service.client.submit_many(8)
    ids = [each.id for each in jobs]
    slices = [[each] for each in ids] + [ids[:4], ids[2:], ids] * 2
    copies = slices * COPIES
    random.shuffle(copies)
    _publish(service, copies)
    service.worker.start()
    service.worker_2.start()

    cases = oracle.settle(service)
    until(lambda: _queued(service) == 0, "all messages have been consumed")

    assert [len(case.calls) for case in cases] == [1] * len(jobs)
    assert {case.job["claim_number"] for case in cases if case.job} == {1}


def test_a_message_for_finished_and_unknown_jobs_is_a_no_op(service: Service) -> None:
    job = service.client.submit()
    oracle.settle(service)
    _publish(service, [[job.id, "job_that_never_was"]] * COPIES)

    until(lambda: _queued(service) == 0, "all messages have been consumed")
    (case,) = oracle.settle(service)

    assert len(case.calls) == 1
    assert len(history(service.sql, job.id)) == 3, "queued, running, completed, and no more"


def test_cancel_races_the_end(service: Service) -> None:
    service.upstream.script(rule("ok", delay_ms=10))

    def race(_: int) -> str:
        job = service.client.submit(ends={"completed", "cancelled"})
        reply = service.client.call("POST", f"/v1/jobs/{job.id}/cancel")
        assert reply.status in (200, 202), reply
        return f"{job.id} {reply.body['status']}"

    told = dict(each.split() for each in service.client.at_once(race, range(RACES)))
    cases = oracle.settle(service)

    ends = {case.wanted.id: case.job["state"] for case in cases if case.job}
    assert set(ends.values()) == {"completed", "cancelled"}, "the race was none"
    for job_id, status in told.items():
        if status in ("completed", "cancelled"):
            assert ends[job_id] == status, "the client was told another end"


def test_a_cancelled_call_is_closed_and_its_slot_is_free(service: Service) -> None:
    service.upstream.script(rule("hang", times=1))
    job = service.client.submit("single", ends={"cancelled"})
    service.upstream.wait(lambda seen: seen["in_flight"] == 1)
    service.client.call("POST", f"/v1/jobs/{job.id}/cancel")
    service.upstream.wait(lambda seen: seen["in_flight"] == 0, within_s=5)
    service.client.submit("single")

    first, _ = oracle.settle(service)

    assert [row["possibly_billed"] for row in first.attempts] == [True]


def test_the_standby_takes_over_from_a_dead_leader(service: Service) -> None:
    leader = until(lambda: _leader(service), "one leads")
    service.standby.start()
    stays(lambda: _leader(service) == leader, "one leader", for_s=1)
    service.scheduler.kill()
    service.redis.stop()
    service.client.submit_many(4)
    service.redis.start()

    until(lambda: _leader(service) != leader, "another one leads", within_s=10)

    oracle.settle(service)


def test_a_frozen_leader_does_no_harm_when_it_thaws(service: Service) -> None:
    leader = until(lambda: _leader(service), "one leads")
    service.standby.start()
    service.freeze(service.scheduler)
    until(lambda: _leader(service) != leader, "another one leads", within_s=10)
    service.upstream.script(rule("gate", times=8))
    service.client.submit_many(8)
    service.upstream.wait(lambda seen: seen["gated"] == 8)
    service.crash_worker()
    service.scheduler.signal(signal.SIGCONT)
    service.worker.start()

    cases = oracle.settle(service)

    assert {case.job["crashes"] for case in cases if case.job} == {1}


def _states(service: Service) -> list[str]:
    return list(oracle.states(service, service.client.accepted).values())


def _calls(service: Service) -> int:
    mine = {each.text for each in service.client.accepted}
    return sum(call["marker"] in mine for call in service.upstream.calls())


def _attempt(service: Service, job_id: str, claim_number: int) -> Row:
    statement = "SELECT * FROM attempt WHERE job_id = ? AND claim_number = ?"
    (row,) = service.sql.rows(statement, job_id, claim_number)
    return row


def _leader(service: Service) -> str:
    rows = service.sql.rows("SELECT holder FROM leadership")
    return str(rows[0]["holder"]) if rows else ""


def _publish(service: Service, slices: list[list[str]]) -> None:
    async def publish() -> None:
        enqueuer = Enqueuer(service.redis.url)
        await enqueuer.publish([_wakeup(ids) for ids in slices])
        await enqueuer.close()

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(publish())
    finally:
        loop.close()


def _wakeup(ids: list[str]) -> Wakeup:
    kwargs: dict[str, JsonValue] = {"ids": list[JsonValue](ids), "queue": "standard"}
    return Wakeup(ActorName.RUN_JOBS, QueueName.STANDARD, kwargs)


def _queued(service: Service) -> int:
    with service.redis_client() as client:
        return int(client.llen("dramatiq:standard"))
