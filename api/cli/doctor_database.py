"""The doctor on the database, and on who is at work by its books."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic

from api.cli import doctor_secret
from api.cli.database import DATABASE_ERRORS, open_database, shown_url
from api.cli.doctor_store import clock_ms
from api.cli.errors import CommandError, first_line
from api.cli.finding import Finding, fail, ok, skew, warn
from shared import clock, migrate
from shared.database import Database
from shared.jobs import pulse
from shared.settings import Settings

PART = "database"
SLOW_MS = 50.0


async def examine(settings: Settings, *, running: bool) -> AsyncIterator[Finding]:
    """Judge the database; while the service should be `running`, also who is at work by its books."""
    try:
        async with open_database(settings) as database:
            async for finding in _examine(database, settings, running=running):
                yield finding
    except CommandError as error:
        yield fail(PART, str(error))
    except DATABASE_ERRORS as error:
        yield fail(PART, f"{shown_url(settings)} does not answer: {first_line(error)}")


async def _examine(
    database: Database, settings: Settings, *, running: bool
) -> AsyncIterator[Finding]:
    if database.is_sqlite and not _is_there(database):
        # Looking must not make an empty one.
        words = f"{shown_url(settings)} is not there yet: `penstock migrate` or `up` makes it"
        yield fail(PART, words) if running else warn(PART, words)
        return
    yield await _clock(database)
    yield await _latency(database, settings)
    if not await migrate.is_current(database):
        words = "the tables are not those of this version: run `penstock migrate`"
        yield fail("migrations", words)
        return
    yield ok("migrations", "the tables are those of this version")
    async with database.reading() as db:
        secret = await doctor_secret.examine(db, settings)
    yield secret
    if not running:
        return
    async with database.reading() as db:
        leads, crew = await pulse.has_leader(db), await pulse.crew(db)
    for finding in judge_crew(leads=leads, crew=crew):
        yield finding


def _is_there(database: Database) -> bool:
    return Path(database.url.database or "").exists()


async def _clock(database: Database) -> Finding:
    async with database.reading() as db:
        # The first statement opens the connection: its time tells nothing.
        await clock_ms(db)
        before = clock.now_ms()
        theirs = await clock_ms(db)
        after = clock.now_ms()
    return skew("database clock", theirs_ms=theirs, before_ms=before, after_ms=after)


async def _latency(database: Database, settings: Settings) -> Finding:
    async with database.reading() as db:
        began = monotonic()
        await clock_ms(db)
        latency_ms = (monotonic() - began) * 1000
    words = f"{shown_url(settings)} answers in {latency_ms:.1f} ms"
    if latency_ms > SLOW_MS:
        return warn(PART, f"{words}: move it nearer, every job takes several round trips")
    return ok(PART, words)


def judge_crew(*, leads: bool, crew: pulse.Crew) -> Iterator[Finding]:
    """Judge who is at work."""
    if leads:
        yield ok("scheduler", "one leads")
    else:
        words = "none leads: what waits is never woken; start `python -m workers.scheduler`"
        yield fail("scheduler", words)
    if crew.silent:
        words = f"{crew.silent} live and do not reach the broker: see their logs, and PENSTOCK_REDIS_URL"
        yield fail("workers", words)
    if crew.consuming:
        yield ok("workers", f"{crew.consuming} at work, {crew.in_flight} jobs in hand")
    elif crew.draining:
        yield warn("workers", f"all {crew.draining} are draining: start another one")
    elif not crew.silent:
        yield fail("workers", "none was seen lately: start `dramatiq workers.main`")
