"""From the chunks of all streams of this process to the log of deltas, many in one round trip.

What a client waits for goes at once: the first chunks of a call, and its end. The rest is collected
for a short tick. Nothing here holds up a call or lets it fail: while Redis is away the chunks wait,
up to a bound, and beyond it a number is left out so that readers see the gap.
"""

import asyncio
import contextlib
from itertools import islice
from typing import Any

import orjson
import structlog

from shared.endings import end
from shared.events.deltas import Delta, DeltaLog

log = structlog.get_logger()

TICK_S = 0.02
LONGEST_TICK_S = 0.1
ENTRY_S = 0.00025
"""With many streams the tick grows, so that a process writes some 4,000 entries a second at most."""
RETRY_S = 0.25
PATIENCE_S = 1.0
MOST_AT_ONCE = 512
FULL_BYTES = 16 * 1024
MOST_BYTES = 1024 * 1024
MOST_BYTES_OF_ALL = 64 * 1024 * 1024


class DeltaWriter:
    """One per worker process."""

    def __init__(self, deltas: DeltaLog) -> None:
        self._log = deltas
        self._due: dict[JobDeltas, None] = {}
        self._waiting: dict[JobDeltas, None] = {}
        self._writing: list[JobDeltas] = []
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._tick_s = TICK_S
        self._away = False
        self.held_bytes = 0

    def start(self) -> None:
        """Begin to write in the background."""
        self._task = asyncio.create_task(self._run(), name="deltas")

    def of(self, job_id: str, version: int) -> "JobDeltas":
        """Return what takes the chunks of one claim: `version` is the job's after that claim."""
        return JobDeltas(self, job_id, version)

    async def close(self) -> None:
        """Write what is held, if that goes quickly, and stop."""
        left = [*self._writing, *self._due, *self._waiting]
        for job in left:
            self.send(job)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*(job.written() for job in left))
        if self._timer is not None:
            self._timer.cancel()
        await end(self._task)

    def send(self, job: "JobDeltas") -> None:
        """Write what the job holds, now."""
        if self._away:
            self.send_later(job)
            return
        self._due[job] = None
        self._wake.set()

    def send_later(self, job: "JobDeltas") -> None:
        """Write what the job holds at the next tick, together with others."""
        self._waiting[job] = None
        if self._timer is None:
            delay_s = RETRY_S if self._away else self._tick_s
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._due.update(self._waiting)
        self._waiting.clear()
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._due:
                self._writing = list(islice(self._due, MOST_AT_ONCE))
                for job in self._writing:
                    del self._due[job]
                await self._write(self._writing)
                self._writing = []

    async def _write(self, jobs: "list[JobDeltas]") -> None:
        deltas = [delta for job in jobs if (delta := job.take()) is not None]
        try:
            await self._log.append(deltas)
        except Exception as error:  # noqa: BLE001  whatever it is, the next try may succeed
            self._postpone(jobs, error)
            return
        if self._away:
            log.info("deltas.written_again")
        self._away = False
        self._tick_s = min(LONGEST_TICK_S, max(TICK_S, len(deltas) * ENTRY_S))
        for job in jobs:
            job.confirm()

    def _postpone(self, jobs: "list[JobDeltas]", error: Exception) -> None:
        if not self._away:
            log.warning("deltas.waiting", jobs=len(jobs), error=str(error))
        self._away = True
        left = [*jobs, *self._due]
        self._due.clear()
        for job in left:
            self.send_later(job)


class JobDeltas:
    """The chunks of one claim of a job, on their way to the log; its entries are numbered 1, 2, 3 …"""

    def __init__(self, writer: DeltaWriter, job_id: str, version: int) -> None:
        self._writer = writer
        self._job_id = job_id
        self._version = version
        self._number = 0
        self._chunks: list[bytes] = []
        self._bytes = 0
        self._ends = False
        self.dropped: tuple[str, ...] = ()
        """What the provider that speaks was not told; it stands with every entry: readers may miss one."""
        # Tried once: it may have been written, so it must be repeated just as it is.
        self._tried: Delta | None = None
        self._confirmed = asyncio.Event()

    def add(self, chunk: dict[str, Any], *, at_once: bool) -> None:
        """Take a chunk; `at_once` when somebody waits for it.

        Raises:
            JSONEncodeError: it cannot be written as JSON.
        """
        raw = orjson.dumps(chunk)
        self._chunks.append(raw)
        self._bytes += len(raw)
        self._writer.held_bytes += len(raw)
        if self._bytes > MOST_BYTES or self._writer.held_bytes > MOST_BYTES_OF_ALL:
            self._drop()
        elif at_once or self._bytes > FULL_BYTES:
            self._writer.send(self)
        else:
            self._writer.send_later(self)

    def flush(self, *, last: bool) -> None:
        """Write what is left of a call now; `last` says that it came to its proper end."""
        self._ends = last
        if self._holds:
            self._writer.send(self)

    async def written(self) -> None:
        """Return when all is written, or after a second: nobody's result waits for longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self._holds:
                    self._confirmed.clear()
                    await self._confirmed.wait()

    def take(self) -> Delta | None:
        """Return the next entry to write; the same again until it is confirmed."""
        if self._tried is None and self._holds:
            self._number += 1
            chunks = b"[" + b",".join(self._chunks) + b"]"
            self._tried = Delta(
                self._job_id, self._version, self._number, chunks, self._ends, self.dropped
            )
            self._writer.held_bytes += len(chunks) - self._bytes
            self._chunks, self._bytes, self._ends = [], 0, False
        return self._tried

    def confirm(self) -> None:
        """Note that the entry taken last stands in the log, and go on with what came since."""
        if self._tried is not None:
            self._writer.held_bytes -= len(self._tried.chunks)
            self._tried = None
        self._confirmed.set()
        if self._holds:
            self._writer.send_later(self)

    @property
    def _holds(self) -> bool:
        return bool(self._chunks or self._ends or self._tried)

    def _drop(self) -> None:
        log.warning("deltas.dropped", job_id=self._job_id, bytes=self._bytes)
        self._writer.held_bytes -= self._bytes
        self._chunks, self._bytes = [], 0
        self._number += 1
