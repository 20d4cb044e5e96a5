"""One event loop on one thread, beside Dramatiq's threads, with a watchdog over it."""

import asyncio
import faulthandler
import os
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from time import monotonic
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

EXIT_STUCK = 70
CHECKS_PER_LIMIT = 6


def _tell_where_it_hangs() -> None:
    # Dramatiq puts a framed pipe in the place of `sys.stderr`, which raw bytes would break.
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback(sys.__stderr__)


class LoopThread:
    """Runs coroutines for other threads; a loop that stops turning ends the process."""

    def __init__(self, *, stuck_after_s: float) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="runner", daemon=True)
        self._stuck_after_s = stuck_after_s
        self._turned_at = monotonic()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the loop and its watchdog."""
        self._thread.start()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop; the future is for another thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """Stop the loop once what runs on it has been awaited."""
        self._stopped.set()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def _turned(self) -> None:
        self._turned_at = monotonic()

    def _watch(self) -> None:
        interval = self._stuck_after_s / CHECKS_PER_LIMIT
        overdue = 0
        while not self._stopped.wait(interval):
            self._loop.call_soon_threadsafe(self._turned)
            late = monotonic() - self._turned_at > self._stuck_after_s
            overdue = overdue + 1 if late else 0
            # A process that was frozen finds itself late once; one that is stuck stays late.
            if overdue > 1:
                # Nothing in this process can be trusted now; its leases run out and are rescued.
                _tell_where_it_hangs()
                os._exit(EXIT_STUCK)
