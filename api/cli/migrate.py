"""`penstock migrate`: the database brought to this version, ready for the processes to start."""

import asyncio

from api.cli.configuration import admin_key_file, load_settings
from api.cli.database import shown_url
from api.cli.prepare import prepare


def run() -> int:
    """Run the missing migrations and make the first key; safe to run again, and beside others.

    Raises:
        CommandError: the database cannot be used.
    """
    settings = load_settings()
    made_key = asyncio.run(prepare(settings))
    print(f"{shown_url(settings)} has the tables of this version.")
    if made_key:
        print(f"The administrator's key was made and stored in {admin_key_file(settings)}.")
    return 0
