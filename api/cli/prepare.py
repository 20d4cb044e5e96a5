"""The database made ready: its tables, the first tenant, the administrator's key."""

import os
from pathlib import Path

from api.cli.configuration import admin_key_file
from api.cli.database import DATABASE_ERRORS, open_database, shown_url
from api.cli.errors import MISUSED, CommandError, first_line
from shared import migrate
from shared.auth import issuing
from shared.resources import secret_key
from shared.settings import Settings

PRIVATE = 0o600


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


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.touch(mode=PRIVATE)
    temporary.write_text(text + "\n", "utf-8")
    temporary.replace(path)
