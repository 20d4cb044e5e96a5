"""`penstock routes`: what clients may name, and whether a file would be taken."""

# ruff: noqa: PLC0415  a command loads what it needs when it runs, so that `--help` is quick
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from shared.routing.catalog import Catalog

app = typer.Typer(no_args_is_help=True, help="Look at deployments and routes of the file.")


@app.command()
def show() -> None:
    """List what the configuration file gives names to."""
    from api.cli.configuration import load_settings, read_catalog
    from api.cli.show import console, table

    rows = _rows(read_catalog(load_settings()))
    console().print(table(["model", "strategy", "served by", "keys", "region"], rows))


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(help="The file; the configured one if absent.")
    ] = None,
) -> None:
    """Say whether a file can be used, and if not, which line is wrong; exit code 1 then."""
    from api.cli.configuration import load_settings, read_catalog
    from api.cli.errors import CommandError

    settings = load_settings(config=file)
    if not settings.config.exists():
        raise CommandError(f"There is no file {settings.config}.")
    contents = read_catalog(settings).contents
    count = f"{len(contents.deployments)} deployments, {len(contents.routes)} routes"
    print(f"{settings.config}: {count}, nothing is wrong.")


def _rows(catalog: "Catalog") -> Iterator[list[str | None]]:
    for name, route in catalog.routes():
        served = ", ".join(each.name for each in route.deployments)
        keys = str(sum(len(each.keys) for each in route.deployments if any(each.keys)))
        regions = {each.region for each in route.deployments if each.region}
        yield [name, route.strategy, served, keys, ", ".join(sorted(regions))]
