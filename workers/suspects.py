"""Jobs whose worker died in the middle of them: one of them may have killed it, most have not."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

log = structlog.get_logger()


class Start(Protocol):
    """How the runner starts jobs."""

    async def __call__(
        self, ids: Sequence[str], *, most_crashes: int | None
    ) -> Sequence[asyncio.Task[None]]:
        """Claim those that have outlived no more workers than that; a task's name is its job's id."""
        ...


class Suspects:
    """Runs those that have outlived one worker side by side, but not too many; after them the others.

    Those others run one at a time, when no other suspect does: the next death is theirs for
    certain. None is claimed while it waits here, so that a crash does not count against it.
    """

    def __init__(self, start: Start, *, at_once: int) -> None:
        self._start = start
        self._at_once = at_once
        self._waiting: dict[str, None] = {}
        self._alone: dict[str, None] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Event()

    def add(self, ids: Sequence[str]) -> None:
        """Take in jobs; one that waits here already is not doubled."""
        for job_id in ids:
            if job_id not in self._alone:
                self._waiting[job_id] = None
        self._arrived.set()

    async def run(self) -> None:
        """Run whatever comes, for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting or self._alone:
                try:
                    await (self._run_together() if self._waiting else self._run_one())
                except Exception:
                    # The others must not wait for ever; these are woken again.
                    log.exception("suspects.not_claimed")

    async def _run_together(self) -> None:
        await self._until_at_most(self._at_once - 1)
        ids = list(self._waiting)[: self._at_once - len(self._running)]
        for job_id in ids:
            del self._waiting[job_id]
        started = await self._start(ids, most_crashes=1)
        self._running.update(started)
        names = {task.get_name() for task in started}
        self._alone.update(dict.fromkeys(job_id for job_id in ids if job_id not in names))

    async def _run_one(self) -> None:
        await self._until_at_most(0)
        job_id = next(iter(self._alone))
        del self._alone[job_id]
        self._running.update(await self._start([job_id], most_crashes=None))
        await self._until_at_most(0)

    async def _until_at_most(self, most: int) -> None:
        while len(self._running) > most:
            _, self._running = await asyncio.wait(
                self._running, return_when=asyncio.FIRST_COMPLETED
            )
