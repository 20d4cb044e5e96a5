"""A task in the background ends, however often it swallows its cancellation."""

import asyncio
from contextlib import suppress

from shared import endings
from shared.endings import end


async def test_one_that_swallows_it_is_cancelled_again() -> None:
    endings_before = endings.AGAIN_S
    begun, swallowed = asyncio.Event(), 0

    async def stubborn() -> None:
        nonlocal swallowed
        begun.set()
        while swallowed < 2:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            swallowed += 1
        await asyncio.sleep(3600)

    task = asyncio.create_task(stubborn())
    await begun.wait()
    endings.AGAIN_S = 0.01
    try:
        await end(task, None)
    finally:
        endings.AGAIN_S = endings_before

    assert task.cancelled()
    assert swallowed == 2


async def test_what_is_over_is_left_alone() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task

    await end(task)
    await end()

    assert task.done()
    assert not task.cancelled()
