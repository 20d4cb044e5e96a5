"""A job that kills its worker, and a backlog that must not (scenario 8, I12)."""

import time
from functools import partial

from tests.fakes.upstream_client import rule
from tests.faults import oracle
from tests.faults.client import Accepted
from tests.faults.polling import until
from tests.faults.processes import peak_memory_mb
from tests.faults.service import Service

SLICE = 100
BACKLOG = 1500
BODY_BYTES = 60_000
"""Below the size from which bodies go to the blob store."""


def test_poison_is_quarantined_and_the_rest_of_its_slice_ends(service: Service) -> None:
    service.worker.kill()
    text = service.client.unique_text() + " poison"
    service.upstream.script(rule("gate", marker="poison"), rule("ok", delay_ms=30))
    poison = service.client.submit(text=text, ends={"failed"})
    service.client.submit_many(SLICE - 1)
    service.worker.start()
    for death in range(1, 4):
        until(partial(_called, service, poison, death), "the poison is at work", within_s=40)
        service.crash_worker()
        service.worker.start()

    cases = oracle.settle(service)

    (job,) = (case.job for case in cases if case.wanted is poison)
    assert job
    assert (job["reason"], job["crashes"]) == ("poison", 3)
    others = [case.job["crashes"] for case in cases if case.wanted is not poison and case.job]
    assert max(others) <= 2, "others were at work beside one that had outlived two workers"


def test_a_dead_worker_does_not_make_its_jobs_queue_up(service: Service) -> None:
    service.upstream.script(rule("ok", delay_ms=1000))
    service.client.submit_many(SLICE)
    service.upstream.wait(lambda seen: seen["in_flight"] == SLICE)
    service.crash_worker()
    service.worker.start()
    began = time.monotonic()

    oracle.settle(service)

    assert time.monotonic() - began < 15, "each call takes a second; they ran one after the other"


def test_memory_follows_concurrency_not_backlog(service: Service) -> None:
    service.worker.stop()
    service.worker.start(MAX_IN_FLIGHT="8")
    service.client.submit_many(100)
    oracle.settle(service)
    before = _worker_mb(service)
    service.upstream.script(rule("gate"))
    body = {"user": "x" * BODY_BYTES}
    service.client.submit_many(BACKLOG, body=body)

    service.upstream.clear()
    service.upstream.release()
    oracle.settle(service)

    grown = _worker_mb(service) - before
    assert grown < BACKLOG * BODY_BYTES // 2_000_000, f"the worker has grown by {grown} MB"


def _called(service: Service, job: Accepted, times: int) -> bool:
    return len(service.upstream.calls(marker=job.text)) == times


def _worker_mb(service: Service) -> int:
    return max(peak_memory_mb(pid) for pid in service.worker.members())
