"""The database made ready: its tables, the first tenant, the administrator's key."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from api.cli.configuration import admin_key_file
from api.cli.errors import MISUSED, CommandError, first_line
from shared import migrate
from shared.auth import issuing
from shared.database import Database
from shared.resources import secret_key
from shared.settings import Settings

PRIVATE = 0o600
DATABASE_ERRORS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What a database raises that is down, refuses us, or is not what its URL says."""


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Give the database of the settings; it need not answer.

    Raises:
        CommandError: the URL names no database that Penstock knows.
    """
    try:
        database = Database(settings.database_url)
    except (SQLAlchemyError, ImportError) as error:
        message = (
            "PENSTOCK_DATABASE_URL cannot be used: write postgresql+asyncpg://user:password@host/name"
            f" or sqlite+aiosqlite:///path ({first_line(error)})."
        )
        raise CommandError(message, exit_code=MISUSED) from error
    try:
        yield database
    finally:
        await database.close()


async def prepare(settings: Settings) -> bool:
    """Run the missing migrations; make the tenant and, where none works, an administrator's key.

    Returns True if a key was made: it is in `admin_key_file`, readable by this user alone.

    Raises:
        CommandError: the database does not answer, or PENSTOCK_ADMIN_KEY cannot be a key.
    """
    wanted = settings.admin_key and settings.admin_key.get_secret_value()
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        async with open_database(settings) as database:
            await migrate.upgrade(database)
            made = await issuing.bootstrap(database, secret_key(settings), admin_key=wanted or None)
        if made is not None:
            _write_private(admin_key_file(settings), made)
    except ValueError as error:
        raise CommandError(f"{first_line(error)}.", exit_code=MISUSED) from error
    except DATABASE_ERRORS as error:
        message = f"The database {shown_url(settings)} cannot be used: {first_line(error)}."
        raise CommandError(message) from error
    return made is not None


def shown_url(settings: Settings) -> str:
    """Return the database's URL without its password."""
    return Database(settings.database_url).url.render_as_string(hide_password=True)


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.touch(mode=PRIVATE)
    temporary.write_text(text + "\n", "utf-8")
    temporary.replace(path)
