"""`penstock doctor --live`: one quick look for the health check of a container."""

import asyncio
import socket
import sys

from api.cli.configuration import load_settings
from api.cli.database import DATABASE_ERRORS, open_database
from api.cli.errors import FAILED, first_line
from shared.database import Database
from shared.jobs import pulse
from shared.processes import store
from shared.settings import Settings

SEEN_MS = 30_000
PATIENCE_S = 8.0


def run(who: str) -> int:
    """Return 0 if a worker of this host consumes (`worker`), or a scheduler leads (`scheduler`)."""
    problem = asyncio.run(look(load_settings(), who))
    if problem:
        print(f"penstock: {problem}", file=sys.stderr)
        return FAILED
    return 0


async def look(settings: Settings, who: str) -> str | None:
    """Return what is wrong, None if nothing is."""
    ask = _scheduler if who == "scheduler" else _worker
    try:
        async with asyncio.timeout(PATIENCE_S), open_database(settings) as database:
            return await ask(database)
    except TimeoutError:
        return f"The database did not answer within {PATIENCE_S:g} s."
    except DATABASE_ERRORS as error:
        return f"The database cannot be asked: {first_line(error)}."


async def _scheduler(database: Database) -> str | None:
    async with database.reading() as db:
        return None if await pulse.has_leader(db) else "No scheduler leads."


async def _worker(database: Database) -> str | None:
    async with database.reading() as db:
        lives = await store.lives(db, within_ms=SEEN_MS)
    here = [life for life in lives if life["host"] == socket.gethostname()]
    if not here:
        return "No worker of this host was seen lately."
    if all(life["silent_ms"] > SEEN_MS for life in here):
        return "The worker of this host lives and does not reach the broker."
    return None
