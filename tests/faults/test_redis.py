"""Redis away, emptied, restarted, or losing replies: time is lost, never work (scenarios 18–20, 24, 26)."""

import time
from collections.abc import Iterator

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import lanes, oracle
from tests.faults.deployments import BY_NAME
from tests.faults.limits import most_at_once
from tests.faults.polling import stays, until
from tests.faults.redis_loss import FORGETFUL, lose_data
from tests.faults.redis_proxy import LossyProxy
from tests.faults.service import Service

NEVER = "600"


def test_redis_down_during_submit(service: Service) -> None:
    # Nobody looks for forgotten jobs here: only the outbox can bring the wake-ups.
    service.scheduler.stop()
    service.scheduler.start(WAKEUP_S=NEVER)
    service.redis.kill()
    jobs = service.client.submit_many(10)
    stays(lambda: not _calls(service), "no job starts without a limiter", for_s=0.5)
    service.redis.start()
    began = time.monotonic()

    cases = oracle.settle(service, within_s=60)

    assert time.monotonic() - began < 40, "they began soon after Redis was back, by far not at last"
    assert [len(case.calls) for case in cases] == [1] * len(jobs)


def test_wakeups_outlive_the_api_that_promised_them(service: Service) -> None:
    service.scheduler.stop()
    service.scheduler.start(WAKEUP_S=NEVER)
    service.redis.kill()
    service.client.submit_many(10)
    service.api.kill()
    service.redis.start()
    service.api.start()
    service.await_api()

    oracle.settle(service, within_s=20)


def test_redis_down_while_calls_run(service: Service) -> None:
    service.upstream.script(rule("gate"))
    service.client.submit_many(10, "narrow")
    service.upstream.wait(lambda seen: seen["gated"] == 4)
    service.redis.kill()
    service.upstream.release()

    until(lambda: _completed(service) == 4, "calls under way end and are stored without Redis")
    stays(lambda: len(_calls(service)) == 4, "no call without a limiter", for_s=1)

    service.upstream.clear()
    service.redis.start()
    cases = oracle.settle(service)
    assert [len(case.calls) for case in cases] == [1] * 10
    until(lambda: lanes.leases(service, "narrow") == 0, "every slot is free again")


def test_settlements_reach_redis_exactly_once(service: Service) -> None:
    lanes.forget(service, "metered")
    service.client.submit("metered", body={"max_tokens": 50})
    oracle.settle(service)
    until(lambda: lanes.leases(service, "metered") == 0, "the first call is settled")
    before = lanes.tokens(service, "metered")
    service.client.accepted.clear()
    service.upstream.script(rule("gate"))
    service.client.submit_many(6, "metered", body={"max_tokens": 50})
    service.upstream.wait(lambda seen: seen["gated"] == 6)
    service.redis.kill()
    service.upstream.release()
    until(lambda: _completed(service) == 6, "the answers are stored without Redis")
    service.redis.start()

    cases = oracle.settle(service)
    until(lambda: lanes.leases(service, "metered") == 0, "every call is settled")
    spent = lanes.spent(service, "metered", since=before)
    usages = [call["usage"] for case in cases for call in case.calls]
    used = sum(usage["prompt_tokens"] + usage["completion_tokens"] for usage in usages)
    assert spent == pytest.approx(used, abs=1)


@pytest.mark.parametrize("how", FORGETFUL)
def test_redis_forgets_everything(service: Service, how: str) -> None:
    # Leases come back with a sweep or a renewal; until then many a waiting job is looked at again.
    service.scheduler.stop()
    service.scheduler.start(SWEEP_S="1.5")
    service.worker.stop()
    service.worker.start(RENEW_S="1.5")
    service.upstream.script(rule("gate"))
    service.client.submit_many(12, "narrow")
    service.upstream.wait(lambda seen: seen["gated"] == 4)
    lose_data(service, how)

    stays(lambda: len(_calls(service)) == 4, "no burst above the limit", for_s=2.5)

    service.upstream.clear()
    service.upstream.release()
    cases = oracle.settle(service)
    assert most_at_once([call for case in cases for call in case.calls]) <= 4


@pytest.mark.parametrize("how", FORGETFUL)
def test_wakeups_and_buckets_are_lost(service: Service, how: str) -> None:
    service.worker.kill()
    service.client.submit_many(12, "paced")
    with service.redis_client() as client:
        until(lambda: client.llen("dramatiq:standard"), "the wake-ups are in Redis")
    lose_data(service, how)
    service.worker.start()

    cases = oracle.settle(service)

    times = sorted(call["at"] for case in cases for call in case.calls)
    rpm = BY_NAME["paced"].rpm
    assert rpm
    least_ms = (len(times) - 1) * 60_000 / rpm
    assert times[-1] - times[0] > least_ms - 1000, "the buckets did not start empty"


def test_scripts_are_lost(service: Service) -> None:
    service.client.submit_many(3)
    oracle.settle(service)
    with service.redis_client() as client:
        client.script_flush()
    service.client.submit_many(3)

    cases = oracle.settle(service)

    assert [len(case.calls) for case in cases] == [1] * 6
    service.redis.restart()
    service.client.submit_many(3)
    oracle.settle(service)


@pytest.fixture
def lossy(service: Service) -> Iterator[LossyProxy]:
    with LossyProxy(service.redis.port) as proxy:
        yield proxy


def test_replies_of_the_limiter_are_lost(service: Service, lossy: LossyProxy) -> None:
    service.worker.stop()
    service.worker.start(REDIS_URL=lossy.url)
    lanes.forget(service, "single")
    service.client.submit("single")
    oracle.settle(service)
    lossy.lose_every_other(b"single")
    service.client.submit_many(4, "single")

    cases = oracle.settle(service, within_s=20)

    assert lossy.lost >= 4
    assert [len(case.calls) for case in cases] == [1] * 5
    until(lambda: lanes.leases(service, "single") == 0, "no slot was taken twice")


def _calls(service: Service) -> list[object]:
    mine = {each.text for each in service.client.accepted}
    return [call for call in service.upstream.calls() if call["marker"] in mine]


def _completed(service: Service) -> int:
    states = oracle.states(service, service.client.accepted)
    return list(states.values()).count("completed")
