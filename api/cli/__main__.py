"""`penstock`: the command line. Every command loads what it needs when it runs, so `--help` is quick."""

# ruff: noqa: PLC0415  see above
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.cli import batch, jobs, keys, routes, tenants, webhooks
from api.cli.errors import CommandError
from api.cli.options import Key, Url

app = typer.Typer(
    name="penstock",
    help="The durable job layer for LLM calls.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(jobs.app, name="jobs")
app.add_typer(batch.app, name="batch")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(keys.app, name="keys")
app.add_typer(tenants.app, name="tenants")
app.add_typer(routes.app, name="routes")


class Live(StrEnum):
    """Whose life a container's health check may ask for."""

    WORKER = "worker"
    SCHEDULER = "scheduler"


@app.command()
def up(
    workers: Annotated[int, typer.Option(min=1, help="How many worker processes.")] = 1,
    host: Annotated[str | None, typer.Option(help="Where to listen (PENSTOCK_HOST).")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Where to listen (PENSTOCK_PORT).")
    ] = None,
) -> None:
    """Start everything on this machine; Ctrl-C drains and stops it."""
    from api.cli import up as command

    sys.exit(command.run(workers=workers, host=host, port=port))


@app.command()
def demo(
    documents: Annotated[
        Path | None, typer.Option(help="A folder of documents; the samples if not given.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Who answers, e.g. sandbox/reader.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep the data folder afterwards.")] = False,
) -> None:
    """Start everything, process the sample documents as a client over HTTP, stop everything."""
    from api.cli import demo as command

    sys.exit(command.run(documents=documents, model=model, keep=keep))


@app.command()
def process(
    documents: Annotated[list[Path], typer.Argument(help="Files, or folders of them.")],
    *,
    instructions: Annotated[str, typer.Option(help="What to read out of them, or a file of it.")],
    schema: Annotated[Path, typer.Option(help="A file with the JSON schema of the answer.")],
    model: Annotated[str, typer.Option(help="Who answers, e.g. openai/gpt-4o-mini.")],
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("results.jsonl"),
    csv: Annotated[Path | None, typer.Option(help="Where a table of them goes, too.")] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, max=50_000, help="How many documents a batch has at most.")
    ] = 5_000,
    retry_failed: Annotated[bool, typer.Option(help="Try again what failed before.")] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Read many documents; run it again after an interruption, and nothing is done twice."""
    from api.cli import process as command

    order = command.Order(
        named=documents,
        instructions=instructions,
        schema=schema,
        model=model,
        out=out,
        table=csv,
        batch_size=batch_size,
        retry_failed=retry_failed,
    )
    sys.exit(command.run(order, url=url, key=key))


@app.command()
def migrate() -> None:
    """Bring the database to this version; make the tenant and the administrator's key."""
    from api.cli import migrate as command

    sys.exit(command.run())


@app.command()
def doctor(
    live: Annotated[
        Live | None, typer.Option(help="Only tell by the exit code whether this one lives.")
    ] = None,
) -> None:
    """Say what is misconfigured, in plain words; exit code 1 if something is."""
    if live is not None:
        from api.cli import live as liveness

        sys.exit(liveness.run(live.value))
    from api.cli import doctor as command

    sys.exit(command.run())


def main() -> None:
    """Run the command line; a mistake of its user is one line, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A document may say what the terminal's encoding cannot.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    except CommandError as error:
        print(f"penstock: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
