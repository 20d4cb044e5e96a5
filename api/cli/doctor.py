"""`penstock doctor`: what is misconfigured, in plain words."""

import asyncio
import sys
from collections.abc import AsyncIterator

from rich.console import Console
from rich.text import Text

from api.cli import doctor_database, doctor_machine, doctor_redis
from api.cli.configuration import load_settings
from api.cli.errors import FAILED, CommandError
from api.cli.finding import Finding, Level, fail
from shared.settings import Settings

STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def run() -> int:
    """Print every finding as it comes; return 1 if one of them is a failure."""
    return asyncio.run(_run())


async def _run() -> int:
    out = Console(highlight=False, soft_wrap=True)
    failures = 0
    async for finding in examine():
        failures += finding.level is Level.FAIL
        out.print(
            Text(f"{finding.level:<5}", STYLES[finding.level]),
            Text(f"{finding.part:<15}{finding.words}"),
        )
    if failures:
        print(f"{failures} of these must be put right.", file=sys.stderr)
    return FAILED if failures else 0


async def examine() -> AsyncIterator[Finding]:
    """Yield what is found, the cheap things first."""
    yield doctor_machine.python()
    try:
        settings = load_settings()
    except CommandError as error:
        yield fail("settings", str(error))
        return
    for finding in doctor_machine.configuration(settings):
        yield finding
    yield doctor_machine.scans(settings)
    async for finding in doctor_machine.data_folder(settings):
        yield finding
    async for finding in _services(settings):
        yield finding


async def _services(settings: Settings) -> AsyncIterator[Finding]:
    redis_url = doctor_redis.url_of(settings)
    if redis_url is None:
        yield doctor_redis.not_started()
    else:
        async for finding in doctor_redis.examine(redis_url):
            yield finding
    async for finding in doctor_database.examine(settings, running=redis_url is not None):
        yield finding
