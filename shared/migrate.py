"""Bringing the database to this version's tables, and telling whether it is there."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from shared.database import Database
from shared.tables import metadata


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


async def upgrade(database: Database) -> None:
    """Run the migrations that are missing; safe to run again, and beside running processes."""
    async with database.transaction() as db:
        await db.run_sync(_upgrade)


async def is_current(database: Database) -> bool:
    """Tell whether every migration has been run."""
    async with database.reading() as db:
        return await db.run_sync(_is_current)


async def differences(database: Database) -> list[object]:
    """Compare the database with the models: empty when the migrations say all that they say."""
    async with database.reading() as db:
        return await db.run_sync(_differences)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Two deployments that start at once take turns; released with the transaction.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7313362)")
    command.upgrade(_config(connection), "head")


def _is_current(connection: Connection) -> bool:
    there = MigrationContext.configure(connection).get_current_revision()
    return there == ScriptDirectory.from_config(_config()).get_current_head()


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection)
    return list(compare_metadata(context, metadata))
