"""The embedded Redis kept running for as long as the service is: started again when it dies."""

import asyncio
from pathlib import Path

from api.cli import embedded_redis
from api.cli.errors import CommandError
from api.cli.supervisor import FIRST_DELAY_S, LONGEST_DELAY_S, Report

CHECK_S = 0.5
START_ERRORS = (
    embedded_redis.ServerNotFoundError,
    embedded_redis.ServerFailedError,
    embedded_redis.FolderInUseError,
    OSError,
)


class OwnRedis:
    """A Redis server below the data folder; `url` stays the same when the server is replaced."""

    def __init__(self, data_dir: Path, report: Report) -> None:
        """Start it, without leaving the event loop: a start cut in half would leave a server.

        Raises:
            CommandError: there is no server on this machine, or it does not come up.
        """
        self._folder = data_dir / "redis"
        self._report = report
        try:
            self._server = embedded_redis.start(self._folder)
        except START_ERRORS as error:
            raise CommandError(str(error)) from error
        self.url = self._server.url

    async def keep_running(self) -> None:
        """Replace the server whenever it has died; returns never.

        Raises:
            CommandError: the new one answers elsewhere, where nobody would find it.
        """
        delay_s = FIRST_DELAY_S
        while True:
            await asyncio.sleep(CHECK_S)
            if self._server.running:
                delay_s = FIRST_DELAY_S
                continue
            self._report("redis has died: it is started again.")
            self._server.stop()
            try:
                self._server = embedded_redis.start(self._folder)
            except START_ERRORS as error:
                self._report(f"redis: {error}")
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, LONGEST_DELAY_S)
                continue
            if self._server.url != self.url:
                raise CommandError("The embedded Redis died: start Penstock again; no job is lost.")

    async def stop(self) -> None:
        """Let it write what it holds, and end."""
        await asyncio.to_thread(self._server.stop)

    def kill(self) -> None:
        """End it now; what it wrote by then is there at the next start."""
        self._server.process.kill()
