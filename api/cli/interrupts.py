"""Ctrl-C and its like: the first one ends things in order, the second one at once."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from api.cli.service import Service
from api.cli.supervisor import Report
from shared.endings import end

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130
"""The exit code of a command that was cut short."""


async def until_interrupted(work: Coroutine[Any, Any, T]) -> T:
    """Return what the work does; Ctrl-C ends it, however often a library swallows its cancellation.

    Raises:
        KeyboardInterrupt: it was ended.
    """
    loop, pressed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, pressed.set)
    task, waiting = asyncio.ensure_future(work), asyncio.ensure_future(pressed.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # From here on a second Ctrl-C ends it at once.
        loop.remove_signal_handler(signal.SIGINT)
        await end(waiting)
    if not task.done():
        await end(task)
        raise KeyboardInterrupt
    return task.result()


class Interrupts:
    """Turns the first signal into the cancellation of the current task; the second kills `service`."""

    def __init__(self, report: Report) -> None:
        self.service: Service | None = None
        self.count = 0
        self._report = report
        self._task = asyncio.current_task()
        for number in SIGNALS:
            # Under nohup a terminal that closes is none of our business.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    @property
    def killed(self) -> bool:
        """Tell whether the second signal has come."""
        return self.count > 1

    def _on_signal(self) -> None:
        self.count += 1
        if self.killed:
            if self.service is not None:
                self.service.kill()
        elif self._task is not None:
            self._report("stopping: running calls may finish; once more ends them. No job is lost.")
            self._task.cancel()
