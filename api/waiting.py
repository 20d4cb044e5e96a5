"""Clients that wait for a job: woken by one Redis listener for the whole process."""

import asyncio
import signal
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from redis.asyncio import Redis

from shared.events.deltas import PREFIX, Delta, channel_of, parse
from shared.events.notices import Channel, Listener
from shared.jobs.transitions import FINAL

RECHECK_S = 5.0
"""A notice may be lost: who waits looks again after this time."""
MOST_DELTAS = 256
"""So many deltas are kept for one who is slow to take them; then the log must be read."""


_OF_ALL = frozenset({Channel.CHANGED, Channel.ANSWERED})


class Watch:
    """What one who waits hears of a job.

    `number` is the highest event number heard of, `ended` says that a final state was. `deltas`
    are what was streamed since they were last taken; while `stale` is set some may be missing, and
    the log has to be read from one's own place. `leaving` says that everybody is sent home.
    `answer` is the status and body of the result, where it came along with the news of the end.
    """

    __slots__ = ("answer", "changed", "deltas", "ended", "leaving", "number", "stale")

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.number = 0
        self.ended = False
        self.answer: tuple[int, bytes] | None = None
        self.leaving = False
        self.deltas: deque[Delta] = deque()
        self.stale = False

    def tell(self, number: int, *, ended: bool) -> None:
        """Hear of a change of state."""
        self.number = max(self.number, number)
        self.ended = self.ended or ended
        self.changed.set()

    def add(self, delta: Delta) -> None:
        """Hear a delta; one who does not take them in time has to read the log."""
        if len(self.deltas) >= MOST_DELTAS:
            self.deltas.clear()
            self.stale = True
        self.deltas.append(delta)
        self.changed.set()

    def miss(self) -> None:
        """Hear that something may have been missed."""
        self.stale = True
        self.changed.set()


class Waiting:
    """Wakes whoever watches a job, by one subscription for the whole process."""

    def __init__(self, redis: Redis) -> None:
        self._watches: dict[str, set[Watch]] = defaultdict(set)
        self._streams: dict[str, set[Watch]] = defaultdict(set)
        self._listener = Listener(
            redis, [Channel.CHANGED, Channel.ANSWERED], self._hear, self._began
        )
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
        for watch in self._everyone():
            watch.leaving = True
            watch.changed.set()

    @contextmanager
    def watch(self, job_id: str, *, deltas: bool = False) -> Iterator[Watch]:
        """Hear of a job's changes, and of its deltas too; look at the job after this, not before."""
        watch = Watch()
        watch.leaving = self.closing
        channel = channel_of(job_id)
        _add(self._watches, job_id, watch)
        if deltas and _add(self._streams, channel, watch):
            self._listener.join(channel)
        elif deltas:
            # It is listened to already, perhaps for long: what was said is in the log.
            watch.stale = True
        try:
            yield watch
        finally:
            _discard(self._watches, job_id, watch)
            if deltas and _discard(self._streams, channel, watch):
                self._listener.leave(channel)

    def _began(self, channel: str) -> None:
        missed = self._everyone() if channel in _OF_ALL else self._streams.get(channel, ())
        for watch in missed:
            watch.miss()

    def _hear(self, channel: str, message: bytes) -> None:
        if channel == Channel.CHANGED:
            for item in message.decode().split():
                self._changed(*item.split(":"))
        elif channel == Channel.ANSWERED:
            head, _, body = message.partition(b" ")
            job_id, number, status = head.decode().split(":")
            self._answered(job_id, int(number), (int(status), body))
        elif watches := self._streams.get(channel):
            delta = parse(channel.removeprefix(PREFIX), message)
            for watch in watches:
                watch.add(delta)

    def _changed(self, job_id: str, number: str, state: str) -> None:
        for watch in self._watches.get(job_id, ()):
            watch.tell(int(number), ended=state in FINAL)

    def _answered(self, job_id: str, number: int, answer: tuple[int, bytes]) -> None:
        for watch in self._watches.get(job_id, ()):
            watch.answer = answer
            watch.tell(number, ended=True)

    def _everyone(self) -> list[Watch]:
        return [watch for watches in self._watches.values() for watch in watches]


def _add(known: dict[str, set[Watch]], key: str, watch: Watch) -> bool:
    known[key].add(watch)
    return len(known[key]) == 1


def _discard(known: dict[str, set[Watch]], key: str, watch: Watch) -> bool:
    known[key].discard(watch)
    if known[key]:
        return False
    del known[key]
    return True


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


async def until_ended(watch: Watch, seconds: float) -> None:
    """Wait until the job's end was heard of or may have been missed, at most `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not (watch.ended or watch.leaving or watch.stale):
                await watch.changed.wait()
                watch.changed.clear()
    watch.ended = watch.stale = False


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most `seconds`, and leave it ready to be waited for again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()
