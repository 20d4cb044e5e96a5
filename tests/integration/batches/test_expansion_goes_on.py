"""Reading goes on: after a death, beside another leader, in the middle of a cancellation."""

import asyncio
from typing import Any

import orjson
import pytest

from shared.batches import store as batch_store
from shared.batches.model import BatchState
from tests.integration.batches.piles import CHAT, Piles, chat, jsonl
from tests.integration.batches.yard import TENANT, Yard
from workers.batches import checking, storing, turns
from workers.batches.turns import Turns


@pytest.fixture
def piles(yard: Yard) -> Piles:
    return Piles(yard)


def dying(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, times: set[int]) -> list[int]:
    """Let a failpoint raise where it would kill, the n-th times that it is passed."""
    passed: list[int] = []

    def die(point: str) -> None:
        if point == name:
            passed.append(len(passed) + 1)
            if passed[-1] in times:
                raise RuntimeError(name)

    monkeypatch.setattr(module, "failpoint", die)
    return passed


@pytest.mark.parametrize("on_invalid", ["reject", "skip"])
async def test_a_leader_that_dies_between_chunks(
    piles: Piles, on_invalid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [chat(f"c{i}", "x" * 10) for i in range(3000)]
    if on_invalid == "skip":
        for wrong in (5, 700, 2999):
            lines[wrong] = lines[wrong] | {"method": "PUT"}
        lines[1000] = lines[20]
    batch_id = await piles.create(
        b"\n".join(map(orjson.dumps, lines)), options={"on_invalid": on_invalid}
    )
    passed = dying(monkeypatch, storing, "mid_expansion", {1, 3, 4, 6})

    for _ in range(5):
        await piles.expand()

    assert len(passed) > 6
    batch = await piles.yard.row(batch_id)
    expected = 3000 - (4 if on_invalid == "skip" else 0)
    assert (batch["total"], batch["invalid"]) == (expected, 3000 - expected)
    names = [job["custom_id"] for job in await piles.yard.lines(batch_id)]
    assert len(names) == len(set(names)) == expected
    (given,) = await piles.inputs(batch_id)
    assert given["stored"]
    assert given["stored_jobs"] == expected


async def test_two_leaders_at_once(piles: Piles) -> None:
    batch_ids = [
        await piles.create(jsonl(chat(f"c{i}") for i in range(3000))),
        await piles.create(
            jsonl([*(chat(f"c{i}") for i in range(2500)), chat("c1")]),
            options={"on_invalid": "skip"},
        ),
    ]

    await asyncio.gather(piles.expand(), piles.expand())
    await piles.expand()

    for batch_id, expected, invalid in zip(batch_ids, (3000, 2500), (0, 1), strict=True):
        batch = await piles.yard.row(batch_id)
        assert (batch["total"], batch["invalid"]) == (expected, invalid)
        lines = [job["line"] for job in await piles.yard.lines(batch_id)]
        assert lines == list(range(1, expected + 1))


@pytest.mark.parametrize("moment", ["checking", "storing"])
async def test_of_a_batch_that_is_cancelled_only_what_was_checked_is_stored(
    piles: Piles, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "MOST_KEPT", 0)
    monkeypatch.setattr(turns, "monotonic", iter(range(10**9)).__next__)
    monkeypatch.setattr(turns, "TURN_S", 2)
    batch_id = await piles.create(jsonl(chat(f"c{i}") for i in range(5000)))
    leader = Turns(piles.resources)
    while True:
        assert await leader.perform()
        (given,) = await piles.inputs(batch_id)
        if moment == "checking" or given["stored_lines"] >= 1000:
            break

    await piles.yard.cancel(batch_id)
    stored = len(await piles.yard.lines(batch_id))
    while await leader.perform():
        pass
    # On a slow machine the lines do not all end in one turn.
    while (batch := await piles.yard.row(batch_id))["state"] == BatchState.CANCELLING:
        await piles.yard.lead()

    total = 5000 if moment == "storing" else 0
    assert stored < 5000
    assert len(await piles.yard.lines(batch_id)) == total
    assert batch["state"] == BatchState.CANCELLED
    assert (batch["total"], batch["cancelled"]) == (total, total)


async def test_nobody_waits_for_the_many_batches_of_another(
    piles: Piles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MOST_OPEN", 4)
    monkeypatch.setattr(turns, "MOST_LISTED", 6)
    for _ in range(8):
        await piles.create(jsonl(chat(f"c{i}") for i in range(10_000)))
    leader = Turns(piles.resources)
    await leader.perform()
    small = await piles.create(jsonl([chat("one")]), tenant_id="ten_2")

    for _ in range(8):
        await leader.perform()

    assert len(await piles.yard.lines(small)) == 1
    assert len(leader._queue) <= 4


async def test_a_small_batch_does_not_wait_for_large_ones(piles: Piles) -> None:
    large = [await piles.create(jsonl(chat(f"c{i}") for i in range(20_000))) for _ in range(4)]
    leader = Turns(piles.resources)
    await leader.perform()
    small = await piles.create(jsonl([chat("one"), chat("two")]))

    for _ in range(6):
        await leader.perform()

    assert len(await piles.yard.lines(small)) == 2
    for batch_id in large:
        (given,) = await piles.inputs(batch_id)
        assert not given["stored"]


async def test_a_batch_that_cannot_be_read_keeps_no_other_waiting(piles: Piles) -> None:
    broken = await piles.create(jsonl([chat("a")]), options={"endpoint": CHAT})
    await piles.yard.change(broken, options={"nonsense": 1})
    good = await piles.create(jsonl([chat("a")]))

    await piles.expand()

    assert len(await piles.yard.lines(good)) == 1
    assert (await piles.yard.row(broken))["state"] == BatchState.VALIDATING


async def test_a_model_that_went_away_between_the_readings(
    piles: Piles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "MOST_KEPT", 0)
    batch_id = await piles.create(jsonl(chat(f"c{i}") for i in range(3)))
    leader = Turns(piles.resources)
    original = checking.conclude

    async def conclude(*args: Any) -> bool:
        done = await original(*args)
        resolve = piles.resources.catalog.resolve

        def gone(model: str) -> Any:
            return resolve(f"none/{model}")

        monkeypatch.setattr(piles.resources.catalog, "resolve", gone)
        return done

    monkeypatch.setattr("workers.batches.expansion.conclude", conclude)
    while await leader.perform():
        pass

    batch = await piles.yard.row(batch_id)
    assert (batch["total"], batch["invalid"]) == (0, 3)
    assert {error["code"] for error in batch["errors"]} == {"model_not_found"}


async def test_a_line_may_name_who_is_told_of_it(piles: Piles) -> None:
    hook = {"url": "https://example.com/hook", "events": ["job.queued", "job.completed"]}
    batch_id = await piles.create(jsonl([chat("a", webhook=hook), chat("b")]))

    await piles.expand()

    first, second = await piles.yard.lines(batch_id)
    assert first["webhook"] == hook
    assert second["webhook"] is None
    async with piles.resources.database.reading() as db:
        told = (await db.exec_driver_sql("SELECT job_id, event_type FROM webhook_delivery")).all()
        secrets = (await db.exec_driver_sql("SELECT * FROM webhook_secret")).all()
    assert [tuple(row) for row in told] == [(first["id"], "job.queued")]
    assert len(secrets) == 1


async def test_what_the_api_counts_as_unread_shrinks(piles: Piles) -> None:
    await piles.create(jsonl([chat("a")]))
    async with piles.resources.database.reading() as db:
        before = await batch_store.unread(db)
    await piles.expand()
    async with piles.resources.database.reading() as db:
        after = await batch_store.unread(db)
    assert before[TENANT][0] == 1
    assert after == {}
