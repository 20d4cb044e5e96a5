"""`penstock up`: the whole service until Ctrl-C."""

import asyncio
import sys

from api.cli.configuration import (
    admin_key_file,
    load_settings,
    told_where,
    uses_embedded_redis,
)
from api.cli.database import shown_url
from api.cli.interrupts import INTERRUPTED, Interrupts
from api.cli.service import Plan, Service, running
from shared.settings import Settings


def run(*, workers: int, host: str | None, port: int | None) -> int:
    """Serve until a signal; return the exit code.

    Raises:
        CommandError: the service cannot start, or cannot go on.
    """
    settings = load_settings(host=host, port=port)
    return asyncio.run(serve(settings, workers=workers))


async def serve(settings: Settings, *, workers: int) -> int:
    """Serve until the first signal, then drain; a second one kills."""
    plan = Plan(
        settings,
        report=say,
        workers=workers,
        own_redis=uses_embedded_redis(settings),
        environment=_for_eyes(settings),
    )
    interrupts = Interrupts(say)
    try:
        async with running(plan) as service:
            interrupts.service = service
            await service.ready()
            _announce(settings, service, workers)
            with told_where(settings, service.url):
                await service.keep()
    except asyncio.CancelledError:
        if not interrupts.count:
            raise
    say("stopped.")
    return INTERRUPTED if interrupts.killed else 0


def say(line: str) -> None:
    """Tell the operator something."""
    print(f"penstock: {line}", file=sys.stderr, flush=True)


def _for_eyes(settings: Settings) -> dict[str, str]:
    # At a terminal the logs are for someone who reads them, unless they asked for something else.
    if "log_format" in settings.model_fields_set or not sys.stderr.isatty():
        return {}
    return {"PENSTOCK_LOG_FORMAT": "console"}


def _announce(settings: Settings, service: Service, workers: int) -> None:
    crew = "1 worker" if workers == 1 else f"{workers} workers"
    redis = "its own Redis" if service.own_redis else "the Redis of PENSTOCK_REDIS_URL"
    say(f"ready at {service.url} with {crew}, {redis} and {shown_url(settings)}")
    if settings.admin_key is None and (file := admin_key_file(settings)).exists():
        verb = "was made and stored" if service.made_key else "is"
        say(f"the administrator's key {verb} in {file}")
    say("Ctrl-C drains and stops.")
