"""Ctrl-C and its like: the first one ends things in order, the second one at once."""

import asyncio
import signal

from api.cli.service import Service
from api.cli.supervisor import Report

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130
"""The exit code of a command that was cut short."""


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
