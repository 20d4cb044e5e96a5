"""The dispatcher gives what lanes and workers have room for, each tenant its share, on both databases."""

import asyncio
from time import monotonic

import pytest
from sqlalchemy import insert

from shared.auth.model import Tenant
from shared.batches.model import Batch
from shared.clock import now_ms
from shared.limiter.rooms import Rooms
from shared.redis import connect
from tests.integration.scheduler.conftest import BULK, STANDARD, Bench
from workers.scheduler import dispatcher as dispatcher_module
from workers.scheduler.strays import NOWHERE

WIDE, NARROW = 90, 9
HALF_A_RESERVE = 5
"""What the lanes admit besides their reserve."""


async def test_it_gives_what_the_lane_admits_and_no_more(bench: Bench) -> None:
    await bench.worker()
    ids = await bench.add(300)

    first = await bench.given()
    again = await bench.given()
    await bench.run(first[:40])
    still = await bench.given()
    await bench.end(first[:25])
    more = await bench.given()

    assert first == ids[:WIDE]
    assert again == still == []
    assert more == ids[WIDE : WIDE + 25]


async def test_nothing_is_given_where_no_worker_is(bench: Bench) -> None:
    await bench.add(5)
    await bench.worker(name="leaving", draining=True)

    assert await bench.given() == []


async def test_it_gives_no_more_than_the_workers_can_hold(bench: Bench) -> None:
    await bench.worker(30)
    await bench.worker(20, name="w2")
    ids = await bench.add(80)

    first = await bench.given()
    await bench.run(first)
    assert await bench.given() == []
    await bench.end(first[:10])

    # Three of the fifty places are for lanes that hold fewer.
    assert first == ids[:47]
    assert await bench.given() == ids[47:57]


async def test_few_jobs_go_to_all_workers_alike_and_many_in_large_slices(bench: Bench) -> None:
    await bench.worker()
    await bench.worker(name="w2")
    await bench.add(50)

    await bench.dispatcher.dispatch()

    assert sorted(len(each["ids"]) for each in await bench.messages()) == [25, 25]


async def test_one_job_does_not_wait_behind_fifty_thousand(bench: Bench) -> None:
    await bench.worker()
    await bench.add(50_000, tenant="ten_a", model="narrow", created_at=1)
    first = await bench.given()
    await bench.run(first)
    (mine,) = await bench.add(1, tenant="ten_b", model="narrow", priority=STANDARD)

    # The pile leaves them a place; and the first that becomes free is theirs, too.
    assert await bench.given() == [mine]
    await bench.run([mine])
    (next_one,) = await bench.add(1, tenant="ten_b", model="narrow", priority=STANDARD)
    assert await bench.given() == []
    await bench.end(first[:1])

    assert await bench.given() == [next_one]


async def test_tenants_share_a_lane_by_weight_and_tokens(bench: Bench) -> None:
    await bench.worker()
    async with bench.resources.database.transaction() as db:
        heavy = {"id": "ten_heavy", "name": "heavy", "weight": 3, "created_at": 1}
        await db.execute(insert(Tenant).values(**heavy))
    await bench.add(400, tenant="ten_a")
    await bench.add(400, tenant="ten_heavy")
    await bench.add(400, tenant="ten_large", tokens=200)

    counts = bench.by_tenant([])
    for _ in range(5):
        ids = await bench.given()
        counts += bench.by_tenant(ids)
        await bench.run(ids)
        await bench.end(ids)

    # 1 : 3 : 1 in tokens, and the last one's jobs are twice as large.
    assert counts["ten_a"] == pytest.approx(100, abs=2)
    assert counts["ten_heavy"] == pytest.approx(300, abs=2)
    assert counts["ten_large"] == pytest.approx(50, abs=2)


async def test_no_lane_starves_another(bench: Bench) -> None:
    await bench.worker(60)
    await bench.add(500, model="wide")
    await bench.add(5, model="narrow", tenant="ten_b")
    await bench.add(5, model="metered", tenant="ten_c")
    await bench.fill_buckets("metered")

    first = bench.by_tenant(await bench.given())
    rest = [job_id for _ in range(3) for job_id in await bench.given()]

    assert (first["ten_b"], first["ten_c"]) == (5, 5)
    # Of sixty places three are left, for lanes that hold fewer than those of ten_a.
    assert bench.by_tenant(rest) + first == {"ten_a": 47, "ten_b": 5, "ten_c": 5}


async def test_held_lines_and_those_of_held_batches_are_never_given(bench: Bench) -> None:
    await bench.worker()
    now = now_ms()
    async with bench.resources.database.transaction() as db:
        for name, held in (("batch_held", True), ("batch_free", False)):
            row = {"id": name, "held": held, "tenant_id": "ten_a", "state": "in_progress"}
            row |= {"completion_window": "24h", "complete_by": now, "created_at": now}
            await db.execute(insert(Batch).values(**row))
    await bench.add(3, batch_id="batch_held")
    await bench.add(3, held="paused")
    await bench.add(3, state="cancelled")
    await bench.add(3, not_before=now + 60_000)
    await bench.add(3, wakeup_at=now)
    free = await bench.add(3, batch_id="batch_free")

    assert await bench.given() == free


async def test_what_nobody_claims_is_given_again(bench: Bench) -> None:
    await bench.worker()
    ids = await bench.add(3)
    assert await bench.given() == ids
    bench.resources.settings.wakeup_s = 0.05

    await asyncio.sleep(0.1)

    assert await bench.given() == ids


async def test_while_its_message_waits_nothing_is_given_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.worker()
    await bench.add(3)
    await bench.dispatcher.dispatch()
    bench.resources.settings.wakeup_s = 0.05
    monkeypatch.setattr(dispatcher_module, "DRY_MESSAGES", 0)

    await asyncio.sleep(0.1)
    await bench.dispatcher.dispatch()

    assert len(await bench.messages()) == 1


async def test_what_came_back_is_given_again(bench: Bench) -> None:
    await bench.worker()
    (job_id,) = await bench.add(1)
    assert await bench.given() == [job_id]
    await bench.change([job_id], f"not_before = {now_ms() - 1}, claim_number = 1")
    assert await bench.given() == [job_id]
    await bench.change([job_id], "not_before = NULL, crashes = 1")

    await bench.dispatcher.dispatch()

    assert await bench.messages() == [{"ids": [job_id], "queue": "bulk", "suspect": True}]


async def test_a_job_without_a_lane_finds_its_own(bench: Bench) -> None:
    await bench.worker()
    (old,) = await bench.add(1, lane=None)
    (lost,) = await bench.add(1, lane=None, model="wide")
    await bench.change([lost], "model = 'gone'")

    assert await bench.given() == []
    assert sorted(await bench.given()) == sorted([old, lost])

    async with bench.resources.database.reading() as db:
        rows = (await db.exec_driver_sql("SELECT id, lane FROM job")).all()
    assert dict(map(tuple, rows)) == {old: bench.lane("wide").key, lost: NOWHERE}


async def test_old_bulk_takes_turns_with_standard_work(bench: Bench) -> None:
    await bench.worker()
    old = await bench.add(200, created_at=now_ms() - 3_600_000)
    new = await bench.add(200, priority=STANDARD)

    ids = await bench.given()

    # In turns as far as bulk work goes; what it leaves is for the others.
    assert set(ids) == {*old[: WIDE // 2], *new[: WIDE // 2 + HALF_A_RESERVE]}


async def test_standard_goes_before_fresh_bulk(bench: Bench) -> None:
    await bench.worker()
    await bench.add(200, priority=BULK)
    new = await bench.add(40, priority=STANDARD)

    ids = await bench.given()

    assert set(ids) > set(new)
    assert len(ids) == WIDE


async def test_without_redis_nothing_is_given_and_nothing_is_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.worker()
    ids = await bench.add(3)

    with monkeypatch.context() as patch:
        patch.setattr(bench.dispatcher, "_rooms", Rooms(connect("redis://127.0.0.1:1/0")))
        assert await bench.given() == []
    assert await bench.given() == ids


async def test_the_bell_calls_for_a_pass_at_once(bench: Bench) -> None:
    bench.resources.settings.tick_s = 20
    await bench.worker()
    bench.dispatcher.start()
    try:
        await asyncio.wait_for(bench.dispatcher.turn(), 5)
        turn = asyncio.create_task(bench.dispatcher.turn())
        ids = await bench.add(3)
        began = monotonic()
        bench.resources.bell.ring([bench.lane("wide").key])
        await asyncio.wait_for(turn, 5)
    finally:
        await bench.dispatcher.close()

    assert monotonic() - began < 2
    assert [each for message in await bench.messages() for each in message["ids"]] == ids
