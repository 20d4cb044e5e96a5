"""`python -m workers.scheduler`: one leads, the others stand by."""

import asyncio
import signal

import uvloop

from shared import failpoints
from shared.settings import Settings
from shared.telemetry import logs, multiprocess
from workers.scheduler.leader import run


async def main(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await run(settings, stopping)


if __name__ == "__main__":
    settings = Settings()
    logs.configure(settings.log_level, settings.log_format)
    multiprocess.share(settings.data_dir / "metrics")
    failpoints.arm(settings.failpoint)
    uvloop.run(main(settings))
