"""Round a failure over several claims: what was learned once is not paid for again, and nothing leaks."""

import asyncio

from shared.jobs.lanes import lane_of
from shared.jobs.transitions import Priority
from shared.limiter.rooms import Rooms
from shared.routing.breaker import Pass
from shared.routing.breaker_states import Verdict
from tests.fakes.upstream_client import rule
from tests.integration.workers.conftest import Bench, until
from workers.attempt.hold import Stop

TOO_LONG = {"error": {"message": "too long", "code": "context_length_exceeded"}}


async def _due(bench: Bench) -> None:
    async with bench.resources.database.transaction() as db:
        await db.exec_driver_sql("UPDATE job SET not_before = NULL")


async def test_a_refusal_is_not_asked_for_again_while_the_other_one_has_no_room(
    bench: Bench,
) -> None:
    bench.upstream.script(rule("status", model="cheap", status=400, body=TOO_LONG))
    claude = bench.resources.catalog.resolve("claude").targets[0]
    await bench.resources.limiter.pause(lane_of(claude), seconds=300)
    job_id = await bench.submit("hello", model="any", attempts=3)

    for _ in range(5):
        await bench.run(job_id)
        await _due(bench)

    job = await bench.job(job_id)
    assert (job["state"], job["reason"], job["failures"]) == ("queued", "provider_paused", 1)
    assert [row["deployment"] for row in await bench.attempts(job_id)] == ["cheap"]
    await bench.resources.shared.redis.flushall()
    assert (await bench.run(job_id))["state"] == "completed"


async def test_a_judge_is_asked_once_while_a_job_waits(bench: Bench) -> None:
    bench.upstream.script(rule("ok", model="judge", content="simple"))
    for name in ("cheap", "m"):
        target = bench.resources.catalog.resolve(name).targets[0]
        await bench.resources.limiter.pause(lane_of(target), seconds=300)
    job_id = await bench.submit("hello", model="by difficulty", attempts=3)

    for _ in range(4):
        await bench.run(job_id)
        await _due(bench)

    assert (await bench.job(job_id))["state"] == "queued"
    assert [row["deployment"] for row in await bench.attempts(job_id)] == ["judge"]


async def test_a_shutdown_after_a_judge_has_spoken_closes_the_call(bench: Bench) -> None:
    bench.upstream.script(
        rule("ok", model="judge", content="simple"), rule("hang", model="cheap", seconds=30)
    )
    job_id = await bench.submit("hello", model="by difficulty", attempts=3)
    await bench.runner.take([job_id], Priority.STANDARD)

    async def is_under_way() -> bool:
        return len(await bench.attempts(job_id)) > 1

    await until(is_under_way)
    await bench.runner.drain(0.1)

    job = await bench.job(job_id)
    assert (job["state"], job["reason"]) == ("queued", "interrupted")
    assert [row["status"] for row in await bench.attempts(job_id)] == ["ok", "interrupted"]


async def test_what_a_route_does_not_go_round_keeps_its_place(bench: Bench) -> None:
    resources, route = bench.resources, bench.resources.catalog.resolve("loyal")
    for _ in range(route.breaker.min_calls):
        granted = await resources.breakers.enter("cheap", route.breaker, "call")
        assert isinstance(granted, Pass)
        resources.breakers.left(granted, Verdict.BAD)
    await resources.breakers.told_all()
    job_id = await bench.submit("hello", model="loyal")

    job = await bench.run(job_id)

    assert (job["state"], job["reason"]) == ("queued", "provider_down")
    assert not await bench.attempts(job_id)


WRONG = """
[[deployments]]
name = "wrong"
provider = "cohere"  # which needs an extra that is not installed here
model = "command"
base_url = "http://127.0.0.1:9"
keys = ["sk-any"]

[[routes]]
model = "half wrong"
deployments = ["wrong", "cheap"]
"""


async def test_a_way_that_cannot_be_called_is_passed_by(bench: Bench) -> None:
    config = bench.resources.settings.config
    config.write_text(config.read_text() + WRONG)
    await bench.resources.shared.watch.look(stored=False)
    job_id = await bench.submit("hello", model="half wrong")

    job = await bench.run(job_id)

    assert job["state"] == "completed", job["error"]
    assert [row["deployment"] for row in await bench.attempts(job_id)] == ["cheap"]


async def test_a_call_that_is_closed_while_its_lane_is_being_paused_leaves_its_slot(
    bench: Bench,
) -> None:
    bench.upstream.script(rule("status", model="m", status=429, headers={"retry-after": "60"}))
    target = bench.resources.catalog.resolve("m").targets[0]
    pausing = bench.resources.limiter.pause

    async def slowly(lane: object, *, seconds: float) -> None:
        bench.runner.stop([job_id], Stop.CANCELLED)
        await asyncio.sleep(5)
        await pausing(lane, seconds=seconds)  # type: ignore[arg-type]

    bench.resources.limiter.pause = slowly  # type: ignore[method-assign]
    job_id = await bench.submit("hello")
    await bench.run(job_id)

    room = (await Rooms(bench.resources.shared.redis).of([lane_of(target)]))[target.lane_key]
    assert room.under_way == 0
