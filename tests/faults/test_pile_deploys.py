"""Deployments under a batch: workers replaced, an older version beside this one, limits lowered (16, 54)."""

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker

from shared.clock import now_ms
from tests.fakes.upstream_client import rule
from tests.faults import deployments, pile_oracle
from tests.faults.deployments import BY_NAME, Deployment
from tests.faults.piles import Pile, hand_over, line, texts
from tests.faults.polling import until
from tests.faults.service import Service
from tests.faults.sql import Row

LINES, FEW, LONG = 350, 40, 500
MOMENT_MS = 500
LOWERED = Deployment("wide", concurrency=5)


def test_workers_are_replaced_one_by_one_under_a_batch(service: Service) -> None:
    service.worker_2.start()
    service.upstream.script(rule("ok", model="narrow", delay_ms=60))
    pile = _pile(service, LINES, "narrow")
    pile.follow()
    for worker in (service.worker, service.worker_2):
        before = _done(pile)
        until(lambda: _done(pile) > before + 30, "the pile is at work")  # noqa: B023
        assert worker.stop() == 0
        worker.start()

    shown = pile.wait()

    pile.stop()
    assert shown["counts"]["completed"] == LINES
    rows = service.sql.rows("SELECT crashes, failures FROM job WHERE batch_id = ?", pile.id)
    assert {(row["crashes"], row["failures"]) for row in rows} == {(0, 0)}
    assert {len(each) for each in _calls(service, pile).values()} == {1}, "no call was made twice"
    pile_oracle.check(service, pile)


def test_messages_of_another_version_do_no_harm(service: Service) -> None:
    service.upstream.script(rule("gate", model="narrow"))
    pile = _pile(service, FEW, "narrow")
    service.upstream.wait(lambda seen: seen["gated"] == 4)
    ids = [row["id"] for row in service.sql.rows("SELECT id FROM job WHERE batch_id = ?", pile.id)]
    broker = RedisBroker(url=service.redis.url, middleware=[])  # type: ignore[no-untyped-call]
    broker.declare_queue("bulk")
    for actor, given in (
        ("run_batches", {"batches": [pile.id]}),
        ("run_jobs", {"ids": ids, "queue": "bulk", "hurry": 3}),
        ("run_jobs", {"lines": ids}),
        ("run_jobs", {"ids": ["job_of_tomorrow", *ids[:3]], "queue": "bulk"}),
    ):
        message = dramatiq.Message[None](
            queue_name="bulk", actor_name=actor, args=(), kwargs=given, options={}
        )
        broker.enqueue(message)
    until(lambda: _left(service) == 0, "all were taken")
    assert _parked(service) == 1, "what nobody here can do is kept for who can"
    service.upstream.release()
    service.upstream.clear()

    shown = pile.wait()

    assert shown["counts"]["completed"] == FEW
    assert _parked(service) == 1
    assert service.worker.running
    pile_oracle.check(service, pile)


def test_lines_that_an_older_worker_ended_are_counted(service: Service) -> None:
    service.upstream.script(rule("gate", model="narrow"))
    pile = _pile(service, FEW, "narrow")
    service.upstream.wait(lambda seen: seen["gated"] == 4)
    service.crash_worker()
    # As the version before there were batches ends a job: it knows of no counters.
    service.sql.run(
        "UPDATE job SET state = 'failed', reason = 'rejected', owner = NULL, lease_expires_at = NULL,"
        f" version = version + 1, finished_at = {now_ms()} WHERE batch_id = '{pile.id}'"
        " AND line BETWEEN 11 AND 20"
    )
    service.upstream.clear()
    service.upstream.release()
    service.worker.start()

    shown = pile.wait()

    assert (shown["counts"]["failed"], shown["counts"]["completed"]) == (10, FEW - 10)
    pile_oracle.check(service, pile)


@pytest.mark.parametrize("service", ["sqlite"], indirect=True)
def test_a_lower_limit_kills_nothing_and_admits_nothing_above_it(service: Service) -> None:
    lowered = service.folder / "lowered.toml"
    lowered.write_text(deployments.config(service.upstream.base_url, changed=LOWERED))
    service.worker_2.start()
    service.upstream.script(rule("ok", model="wide", delay_ms=2000))
    # Long enough to outlast the old workers, however slowly they are replaced.
    pile = _pile(service, LONG, "wide")
    service.upstream.wait(lambda seen: seen["in_flight"] == _most(BY_NAME["wide"]), within_s=30)

    # Also of one that has called for nothing yet.
    of_old = {row["owner"] for row in service.sql.rows("SELECT owner FROM worker_life")}
    for process in (service.scheduler, service.worker_2, service.worker):
        assert process.stop() == 0
        process.start(CONFIG=str(lowered))
    service.upstream.clear()
    service.upstream.script(rule("ok", model="wide", delay_ms=50))

    shown = pile.wait(within_s=60)

    assert shown["counts"]["completed"] == LONG
    made, owners = _calls(service, pile), _owners(service, pile)
    calls = [call for some in made.values() for call in some]
    assert len(calls) == LONG, "no call was killed and made again"
    assert {call["event"] for call in calls} == {"answered"}
    new = [call for text, some in made.items() if owners[text] not in of_old for call in some]
    assert len(new) > 50
    for one in new:
        # An old worker on its way out may admit by its own limit at the very same moment.
        sure = [call for call in calls if call in new or call["at"] < one["at"] - MOMENT_MS]
        beside = sum(call["at"] < one["at"] < call["ended_at"] for call in sure)
        assert beside < LOWERED.concurrency, f"admitted beside {beside} others"
    pile_oracle.check(service, pile)


def _most(deployment: Deployment) -> int:
    """Return how many calls that are not interactive may be under way."""
    return deployment.concurrency - deployment.concurrency // 10


def _owners(service: Service, pile: Pile) -> dict[str, str]:
    """Return which worker called for each text, as far as they were called for."""
    rows = service.sql.rows(
        "SELECT j.custom_id, a.owner FROM attempt a JOIN job j ON j.id = a.job_id"
        " WHERE j.batch_id = ?",
        pile.id,
    )
    return {pile.lines[row["custom_id"]]: row["owner"] for row in rows}


def _pile(service: Service, number: int, model: str) -> Pile:
    lines = texts(service.client, number)
    return hand_over(service.client, [line(*each, model=model) for each in lines])


def _done(pile: Pile) -> int:
    return int(pile.shown()["counts"]["completed"])


def _calls(service: Service, pile: Pile) -> dict[str, list[Row]]:
    mine: dict[str, list[Row]] = {text: [] for text in pile.lines.values()}
    for call in service.upstream.calls():
        if call["marker"] in mine:
            mine[call["marker"]].append(call)
    return mine


def _left(service: Service) -> int:
    with service.redis_client() as client:
        return int(client.hlen("dramatiq:bulk.msgs"))


def _parked(service: Service) -> int:
    with service.redis_client() as client:
        return int(client.zcard("dramatiq:bulk.XQ"))
