"""How a task in the background is ended."""

import asyncio
from typing import Any

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
