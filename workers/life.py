"""Signs of life: what readiness and `penstock doctor` know of the workers."""

import asyncio
from collections.abc import Callable

import structlog

from shared.endings import end
from shared.processes import store
from shared.processes.store import Life
from workers.resources import WorkerResources

log = structlog.get_logger()

EVERY_S = 5.0


class LifeSigns:
    """Writes what `describe` says every few seconds."""

    def __init__(self, resources: WorkerResources, describe: Callable[[], Life]) -> None:
        self._resources = resources
        self._describe = describe
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin at once."""
        self._task = asyncio.create_task(self._run(), name="life-signs")

    async def close(self) -> None:
        """Stop."""
        await end(self._task)

    async def _run(self) -> None:
        while True:
            try:
                async with self._resources.database.transaction() as db:
                    await store.record_life(db, self._describe())
                self._resources.shared.bell.ring()
            except Exception as error:  # noqa: BLE001  a worker without signs of life looks dead
                log.warning("life.not_recorded", error=str(error))
            await asyncio.sleep(EVERY_S)
