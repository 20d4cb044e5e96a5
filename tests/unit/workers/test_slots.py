"""Jobs that wait for a slot in a worker: who is called, and in which order."""

import asyncio

from workers.attempt.slots import Slots


async def line_up(
    slots: Slots, *jobs: tuple[str, int]
) -> tuple[list[str], list[asyncio.Task[None]]]:
    """Let jobs (a tenant's name, a rank) wait; return the list in which they are called."""
    called: list[str] = []

    async def wait(tenant: str, rank: int, nth: int) -> None:
        await slots.turn("lane", tenant, rank, slots.arrive(), patience_s=10)
        called.append(f"{tenant}{nth}")

    tasks = []
    for nth, (tenant, rank) in enumerate(jobs):
        tasks.append(asyncio.create_task(wait(tenant, rank, nth)))
        await asyncio.sleep(0)
    return called, tasks


async def call(slots: Slots, times: int) -> None:
    for _ in range(times):
        slots.freed("lane")
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_tenants_are_called_in_turn_and_the_urgent_first() -> None:
    slots = Slots()
    called, tasks = await line_up(slots, ("a", 2), ("a", 2), ("a", 1), ("b", 2), ("c", 0), ("b", 2))

    await call(slots, 6)

    assert called == ["c4", "a2", "b3", "a0", "b5", "a1"]
    await asyncio.gather(*tasks)
    assert not slots.crowded("lane", 2)


async def test_who_is_more_urgent_passes_those_who_wait() -> None:
    slots = Slots()
    _, tasks = await line_up(slots, ("a", 2), ("b", 2))

    assert [slots.crowded("lane", rank) for rank in range(3)] == [False, False, True]
    _, more = await line_up(slots, ("c", 1))
    assert [slots.crowded("lane", rank) for rank in range(3)] == [False, True, True]

    await call(slots, 3)
    assert not slots.crowded("lane", 2)
    await asyncio.gather(*tasks, *more)


async def test_who_comes_with_a_single_job_is_next() -> None:
    slots = Slots()
    called, tasks = await line_up(slots, *[("a", 1)] * 20)
    await call(slots, 10)
    _, more = await line_up(slots, ("b", 2))
    (mine,) = more

    await call(slots, 1)

    assert mine.done()
    assert called == [f"a{nth}" for nth in range(10)]
    await call(slots, 10)
    await asyncio.gather(*tasks)


async def test_who_is_impatient_or_gone_is_not_called() -> None:
    slots = Slots()
    called, tasks = await line_up(slots, ("a", 2), ("b", 2), ("c", 2))
    tasks[0].cancel()
    await asyncio.sleep(0)

    await call(slots, 1)
    assert called == ["b1"]
    assert not await slots.turn("lane", "d", 2, slots.arrive(), patience_s=0.001)
    await call(slots, 2)

    assert called == ["b1", "c2"]
    assert not slots.crowded("lane", 2)


async def test_a_call_to_one_who_goes_is_passed_on() -> None:
    slots = Slots()
    called, tasks = await line_up(slots, ("a", 2), ("b", 2))

    slots.freed("lane")
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert called == ["b1"]


async def test_who_waits_has_a_look_now_and_then_all_the_same() -> None:
    slots = Slots()

    assert await slots.turn("lane", "a", 2, slots.arrive(), patience_s=10) is True
    assert not slots.crowded("lane", 2)
