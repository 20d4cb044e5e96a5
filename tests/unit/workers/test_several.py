"""Several calls of one job: how they wait, fail and are cancelled together."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.jobs.transitions import Reason
from shared.providers.errors import Unavailable
from workers.attempt.admit import MustWait
from workers.attempt.retry import CallFailed, GiveUp, Retry
from workers.attempt.several import all_of


def answering(number: int, after: int = 0) -> Callable[[], Awaitable[int]]:
    async def ask() -> int:
        for _ in range(after):
            await asyncio.sleep(0)
        return number

    return ask


def failing(error: Exception, after: int = 0) -> Callable[[], Awaitable[int]]:
    async def ask() -> int:
        for _ in range(after):
            await asyncio.sleep(0)
        raise error

    return ask


def failed(decision: Retry | GiveUp) -> CallFailed:
    return CallFailed(Unavailable("down", provider="p"), decision)


async def test_answers_come_in_order_and_never_too_many_at_once() -> None:
    under_way = most = 0

    def asking(number: int) -> Callable[[], Awaitable[int]]:
        async def ask() -> int:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            for _ in range(20 - number):
                await asyncio.sleep(0)
            under_way -= 1
            return number

        return ask

    assert await all_of([asking(n) for n in range(20)], at_once=3) == list(range(20))
    assert most == 3


async def test_with_room_for_one_call_the_others_wait_for_it() -> None:
    slot = asyncio.Lock()

    def asking(number: int) -> Callable[[], Awaitable[int]]:
        async def ask() -> int:
            if slot.locked():
                raise MustWait(Reason.CONCURRENCY, 10, "lane")
            async with slot:
                await asyncio.sleep(0)
            return number

        return ask

    assert await all_of([asking(n) for n in range(9)], at_once=4) == list(range(9))


async def test_without_room_for_any_the_job_waits() -> None:
    wait = MustWait(Reason.RATE_LIMITED, 10, "lane")
    with pytest.raises(MustWait) as caught:
        await all_of([answering(1), failing(wait), answering(3)], at_once=2)
    assert caught.value is wait


async def test_after_a_failure_what_is_under_way_ends_and_nothing_begins() -> None:
    asked: list[int] = []

    def noting(number: int, after: int) -> Callable[[], Awaitable[int]]:
        async def ask() -> int:
            for _ in range(after):
                await asyncio.sleep(0)
            asked.append(number)
            return number

        return ask

    retry = failed(Retry(1.0))
    with pytest.raises(CallFailed):
        await all_of([failing(retry, after=1), noting(2, after=9), noting(3, after=0)], at_once=2)
    assert asked == [2]


@pytest.mark.parametrize("order", [1, -1])
async def test_the_gravest_failure_decides(order: int) -> None:
    retry, end = failed(Retry(1.0)), failed(GiveUp(Reason.REJECTED))
    asks = [failing(retry, after=2), failing(end, after=2)][::order]
    with pytest.raises(CallFailed) as caught:
        await all_of(asks, at_once=2)
    assert caught.value is end


async def test_a_cancelled_job_cancels_all_its_calls() -> None:
    closed: list[int] = []

    def waiting(number: int) -> Callable[[], Awaitable[int]]:
        async def ask() -> int:
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(0)  # as a settlement takes
                closed.append(number)
            return number

        return ask

    task = asyncio.create_task(all_of([waiting(n) for n in range(3)], at_once=3))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(closed) == [0, 1, 2]
