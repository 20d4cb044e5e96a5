"""How tasks in the background end, or are ended."""

import asyncio
import contextlib
from typing import Any, TypeVar

Result = TypeVar("Result")

AGAIN_S = 0.5


async def end(*tasks: "asyncio.Task[Any] | None") -> None:
    """Cancel tasks until they have ended.

    Once is not enough: the Redis client may swallow a cancellation while it connects or writes.
    """
    left = {task for task in tasks if task is not None and not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)


async def whole(task: "asyncio.Task[Result]") -> Result:
    """Return what a task returns; also when cancelled meanwhile, wait for its end first.

    Raises:
        CancelledError: we were cancelled; what became of the task, `returned` tells.
        Exception: what the task raised.
    """
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await asyncio.wait([task])
        raise
    return task.result()


def returned(task: "asyncio.Task[Result]") -> Result | None:
    """Return what a task has returned; None if it has not."""
    failed = not task.done() or task.cancelled() or task.exception() is not None
    return None if failed else task.result()
