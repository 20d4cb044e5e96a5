"""The database as the commands open it: what is wrong with it is told in one line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from api.cli.errors import MISUSED, CommandError, first_line
from shared.database import Database
from shared.settings import Settings

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


def shown_url(settings: Settings) -> str:
    """Return the database's URL without its password."""
    return make_url(settings.database_url).render_as_string(hide_password=True)
