"""`penstock batch`: submit, list, show, watch, results, cancel, pause, resume, retry."""

# ruff: noqa: PLC0415  a command loads what it needs when it runs, so that `--help` is quick
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.options import Key, Url

app = typer.Typer(no_args_is_help=True, help="Hand in many requests at once, and steer them.")

BatchId = Annotated[str, typer.Argument(help="The batch's id: batch_…")]


class OnInvalid(StrEnum):
    """What becomes of lines that cannot be done."""

    REJECT = "reject"
    SKIP = "skip"


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(help="JSON lines: a request each.")],
    *,
    endpoint: Annotated[
        str | None, typer.Option(help="What all lines call; else each line's `url` decides.")
    ] = None,
    window: Annotated[str, typer.Option(help="How long it may take: 30m, 24h, 7d.")] = "24h",
    metadata: Annotated[list[str] | None, typer.Option(help="key=value; repeatable.")] = None,
    coalesce: Annotated[bool, typer.Option(help="Ask identical lines only once.")] = False,
    on_invalid: Annotated[
        OnInvalid, typer.Option(help="Refuse it all for one wrong line, or skip that line.")
    ] = OnInvalid.REJECT,
    dry_run: Annotated[bool, typer.Option(help="Only check and estimate.")] = False,
    watch: Annotated[bool, typer.Option(help="Show its progress until it has ended.")] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Upload a file of requests and have them done; prints the batch's id."""
    from api.cli import batch_submit as command

    asked = {
        "endpoint": endpoint,
        "completion_window": window,
        "metadata": command.pairs(metadata or []),
        "coalesce": coalesce,
        "on_invalid": on_invalid.value,
    }
    sys.exit(command.run(file, asked, dry_run=dry_run, watch=watch, url=url, key=key))


@app.command("list")
def list_batches(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, newest first.")] = 20,
    url: Url = None,
    key: Key = None,
) -> None:
    """List the newest batches."""
    from api.cli.show import console, table

    found = _ask("GET", "/v1/batches", url, key, params={"limit": limit})
    titles = ("id", "status", "endpoint", "total", "completed", "failed", "cost", "created")
    console().print(table(titles, map(_row, found["data"])))


@app.command()
def show(batch_id: BatchId, url: Url = None, key: Key = None) -> None:
    """Print a batch as JSON."""
    import json

    # ASCII escapes: what a client said must not steer the terminal.
    print(json.dumps(_ask("GET", f"/v1/batches/{_path(batch_id)}", url, key), indent=2))


@app.command()
def watch(batch_id: BatchId, url: Url = None, key: Key = None) -> None:
    """Show a batch's progress until it has ended; 0 if every line of it completed."""
    from api.cli import batch_watch as command

    sys.exit(command.run(_path(batch_id), url=url, key=key))


@app.command()
def results(
    batch_id: BatchId,
    *,
    out: Annotated[
        Path | None, typer.Option(help="Where to; the standard output if not given.")
    ] = None,
    after: Annotated[int, typer.Option(min=0, help="Only what follows this `number`.")] = 0,
    follow: Annotated[bool, typer.Option(help="Go on until the batch has ended.")] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print the lines that have ended so far, as JSON lines."""
    from api.cli import batch_results as command

    sys.exit(command.run(_path(batch_id), out, after=after, follow=follow, url=url, key=key))


@app.command()
def cancel(batch_id: BatchId, url: Url = None, key: Key = None) -> None:
    """Cancel what has not ended; what has is kept."""
    _steer(batch_id, "cancel", url, key)


@app.command()
def pause(batch_id: BatchId, url: Url = None, key: Key = None) -> None:
    """Begin no further line until it is resumed."""
    _steer(batch_id, "pause", url, key)


@app.command()
def resume(batch_id: BatchId, url: Url = None, key: Key = None) -> None:
    """Go on with a batch that was paused."""
    _steer(batch_id, "resume", url, key)


@app.command()
def retry(batch_id: BatchId, url: Url = None, key: Key = None) -> None:
    """Run the lines again that failed or expired."""
    _steer(batch_id, "retry", url, key)


def _steer(batch_id: str, how: str, url: str | None, key: str | None) -> None:
    batch = _ask("POST", f"/v1/batches/{_path(batch_id)}/{how}", url, key)
    paused = ", paused" if batch["paused"] else ""
    print(f"{batch['id']} is {batch['status']}{paused}")


def _row(batch: dict[str, Any]) -> tuple[object, ...]:
    from datetime import UTC, datetime

    counts, cost = batch["request_counts"], batch["cost_usd"]
    created = datetime.fromtimestamp(batch["created_at"], UTC).isoformat(" ", "seconds")
    head = (batch[name] for name in ("id", "status", "endpoint"))
    figures = (counts[name] for name in ("total", "completed", "failed"))
    return (*head, *figures, cost and f"${cost}", created)


def _path(batch_id: str) -> str:
    from urllib.parse import quote

    return quote(batch_id, safe="")


def _ask(method: str, path: str, url: str | None, key: str | None, **rest: Any) -> dict[str, Any]:
    from api.cli.client import ask

    return ask(method, path, url=url, key=key, **rest)
