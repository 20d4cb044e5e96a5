"""Options that several commands share."""

from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(envvar="PENSTOCK_URL", help="Where Penstock answers; this machine if not given."),
]
Key = Annotated[
    str | None,
    typer.Option(
        envvar="PENSTOCK_KEY",
        help="The API key; PENSTOCK_ADMIN_KEY or the data folder's admin.key if not given.",
        show_envvar=True,
    ),
]
