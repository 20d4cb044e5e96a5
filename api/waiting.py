"""Clients that wait for a job: woken by one Redis listener for the whole process."""

import asyncio
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from redis.asyncio import Redis

from shared.events.notices import Channel, Listener

RECHECK_S = 5.0
"""A notice may be lost: who waits looks again after this time."""


class Waiting:
    """Wakes whoever watches a job when it has ended."""

    def __init__(self, redis: Redis) -> None:
        self._watched: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listener = Listener(redis, Channel.ENDED, self._wake)
        self.closing = False

    def start(self) -> None:
        """Begin to listen."""
        self._listener.start()

    async def close(self) -> None:
        """Stop listening and send everybody home."""
        self.leave()
        await self._listener.close()

    def leave(self) -> None:
        """Send everybody home, and whoever comes from now on."""
        self.closing = True
        self._wake(list(self._watched))

    @contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set when the job ends; look at the job after this, not before."""
        event = asyncio.Event()
        self._watched[job_id].add(event)
        try:
            yield event
        finally:
            self._watched[job_id].discard(event)
            if not self._watched[job_id]:
                del self._watched[job_id]

    def _wake(self, ids: Sequence[str]) -> None:
        for job_id in ids:
            for event in self._watched.get(job_id, ()):
                event.set()


@contextmanager
def left_at_signals(waiting: Waiting) -> Iterator[None]:
    """Send everybody home as soon as the process is told to stop.

    The server ends the lifespan when its connections have ended, and would wait for those who wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(waiting.leave)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    # Where nobody handles a signal it must go on doing what it does by itself.
    for number in (each for each, handler in before.items() if callable(handler)):
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most `seconds`, and leave it ready to be waited for again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()
